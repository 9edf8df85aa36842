//go:build datapath

// Package guard shows the guard with packets: a pod of nothing but namespaces, and a world that counts what reaches it.
package guard

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/charmarr/charmarr-go/tests/internal/ns"
	"github.com/charmarr/charmarr-go/tests/internal/packet"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/guard"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// stage is a pod whose default routes lead by its own interface into the world, as the CNI lays them: nothing but the guard
// stands between. The gateway's end of the overlay is a namespace of its own.
type stage struct {
	*testing.T
	pod, world, gateway *ns.NS
	counted             *ns.Counter
}

const (
	node  = "10.42.0.1"
	node6 = "fd42::1"
)

func newStage(t *testing.T) *stage {
	s := &stage{T: t, pod: ns.New(t), world: ns.New(t), gateway: ns.New(t)}
	ns.Veth(t, s.pod, "eth0", s.world, "pod0")
	ns.Veth(t, s.pod, "vxlan0", s.gateway, "tun0")
	s.world.Addr(t, "pod0", node+"/24", node6+"/64")
	s.world.Own(t, "198.18.0.0/15", "2001:db8:113::/64", "10.43.0.0/16", "10.44.0.9/32")
	s.pod.Addr(t, "eth0", "10.42.0.5/24", "fd42::5/64")
	s.pod.Addr(t, "vxlan0", "172.16.0.5/24")
	s.gateway.Addr(t, "tun0", "172.16.0.1/24")
	s.gateway.Own(t, "198.18.0.0/15")
	s.gateway.Default(t, "tun0", "172.16.0.5")
	s.pod.Default(t, "eth0", node)
	s.pod.Default(t, "eth0", node6)
	for _, n := range []*ns.NS{s.world, s.gateway} {
		s.echo(n)
	}
	s.counted = s.world.Count(t, "pod0")
	return s
}

var rules = overlay.Guard{
	Device: "eth0", Overlay: "vxlan0",
	Cluster: []netip.Prefix{netip.MustParsePrefix("10.42.0.0/16"), netip.MustParsePrefix("10.43.0.0/16"), netip.MustParsePrefix("fd42::/48")},
	Outside: []netip.AddrPort{netip.MustParseAddrPort("10.44.0.9:443"), netip.MustParseAddrPort("198.18.98.1:443"), netip.MustParseAddrPort("198.18.98.2:443"),
		netip.MustParseAddrPort("198.18.98.3:443")},
	Streams:   []netip.AddrPort{netip.MustParseAddrPort("198.18.98.1:443"), netip.MustParseAddrPort("198.18.98.3:443")},
	Datagrams: []netip.AddrPort{netip.MustParseAddrPort("198.18.98.2:443"), netip.MustParseAddrPort("198.18.98.3:443")},
	Gateways:  []netip.Addr{netip.MustParseAddr("198.18.99.1")},
	Port:      4790,
	Inbound:   []uint16{8080},
}

func (s *stage) guard(g overlay.Guard) {
	s.Helper()
	require.NoError(s, s.pod.Do(s.T, func() error { return guard.Install(g) }))
}

func (s *stage) dropped() (out map[string]uint64) {
	s.Helper()
	require.NoError(s, s.pod.Do(s.T, func() (err error) {
		out, err = guard.Dropped()
		return err
	}))
	return out
}

// kinds is what the guard has kept from leaving, by family and protocol.
func (s *stage) kinds() map[string]uint64 {
	s.Helper()
	out := map[string]uint64{}
	require.NoError(s, s.pod.Do(s.T, func() error {
		all, err := guard.Kinds()
		for _, k := range all {
			out[k.Family+" "+k.Protocol] = k.Packets
		}
		return err
	}))
	return out
}

// echo answers on TCP and UDP, on every address and on the ports that are used here.
func (s *stage) echo(n *ns.NS) {
	s.Helper()
	for _, port := range []int{443, 4790, 9000} {
		n.Listen(s.T, port, func(c net.Conn) {
			_, _ = c.Write([]byte("echo"))
			_ = c.Close()
		})
		require.NoError(s, n.Do(s.T, func() error {
			u, err := net.ListenUDP("udp", &net.UDPAddr{Port: port})
			if err != nil {
				return err
			}
			s.Cleanup(func() { _ = u.Close() })
			return nil // what counts of a datagram is that it came
		}))
	}
}

// send is a way to send something to an address from inside a pod. That nothing answers is no error.
type send func(dst netip.Addr) error

func tcp(port uint16, control func(fd uintptr) error) send {
	return func(dst netip.Addr) error {
		_, err := dial("tcp", netip.AddrPortFrom(dst, port), moment, control)
		return quiet(err)
	}
}

func udp(port uint16, control func(fd uintptr) error) send {
	return func(dst netip.Addr) error {
		_, err := dial("udp", netip.AddrPortFrom(dst, port), moment, control)
		return quiet(err)
	}
}

// What is hoped for may take its time on a busy machine; what is not is waited for a moment.
const patience, moment = 3 * time.Second, 300 * time.Millisecond

// dial connects and says something.
func dial(network string, to netip.AddrPort, limit time.Duration, control func(fd uintptr) error) (answer string, err error) {
	d := net.Dialer{Timeout: limit, Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		if control == nil {
			return nil
		}
		return errors.Join(c.Control(func(fd uintptr) { err = control(fd) }), err)
	}}
	c, err := d.Dial(network, to.String())
	if err != nil {
		return "", err
	}
	defer c.Close()
	if _, err := c.Write([]byte("hello")); err != nil || network == "udp" {
		return "", err
	}
	_ = c.SetDeadline(time.Now().Add(limit))
	b := make([]byte, 4)
	n, err := c.Read(b)
	return string(b[:n]), err
}

// quiet leaves out that the network did not let it through, which is what is tried.
func quiet(err error) error {
	var wait net.Error
	if errors.As(err, &wait) && wait.Timeout() || errors.Is(err, unix.EPERM) || errors.Is(err, unix.EHOSTUNREACH) || errors.Is(err, unix.ENETUNREACH) || errors.Is(err, unix.ECONNREFUSED) {
		return nil
	}
	return err
}

func withMark(mark int) func(fd uintptr) error {
	return func(fd uintptr) error { return unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_MARK, mark) }
}

func onDevice(name string) func(fd uintptr) error {
	return func(fd uintptr) error { return unix.BindToDevice(int(fd), name) }
}

// ping sends an echo request by a raw socket.
func ping(dst netip.Addr) error {
	family, protocol, request := unix.AF_INET, unix.IPPROTO_ICMP, byte(8)
	if dst.Is6() {
		family, protocol, request = unix.AF_INET6, unix.IPPROTO_ICMPV6, 128
	}
	fd, err := unix.Socket(family, unix.SOCK_RAW, protocol)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	message := []byte{request, 0, 0, 0, 0, 1, 0, 1}
	binary.BigEndian.PutUint16(message[2:], ^(uint16(request)<<8 + 2)) // of ICMPv6 the kernel does it
	return quiet(unix.Sendto(fd, message, 0, address(dst)))
}

func address(dst netip.Addr) unix.Sockaddr {
	if dst.Is6() {
		return &unix.SockaddrInet6{Addr: dst.As16()}
	}
	return &unix.SockaddrInet4{Addr: dst.As4()}
}

func datagram(dst netip.Addr) []byte {
	if dst.Is6() {
		return packet.Datagram(netip.MustParseAddr("fd42::5"), dst, 9000)
	}
	return packet.Datagram(netip.MustParseAddr("10.42.0.5"), dst, 9000)
}

// raw hands a packet to the kernel with its header on.
func raw(dst netip.Addr) error { return quiet(packet.Raw(datagram(dst), "")) }

// frame hands a packet to the interface itself.
func frame(mark int, options ...int) send {
	return func(dst netip.Addr) error {
		return packet.Frame(datagram(dst), "eth0", net.HardwareAddr{255, 255, 255, 255, 255, 255}, mark, options...)
	}
}

// Whatever is sent to the world, and however, reaches the pod's own interface only before the guard is there.
func TestNothingLeaves(t *testing.T) {
	s := newStage(t)
	ways := []struct {
		name string
		six  bool
		send send
		by   string // the counter that tells of it
		kind string // and what it is told to have been
	}{
		{"TCP", false, tcp(443, nil), guard.Out, "ipv4 tcp"},
		{"UDP", false, udp(9000, nil), guard.Out, "ipv4 udp"},
		{"ping", false, ping, guard.Out, "ipv4 icmp"},
		{"TCP over IPv6", true, tcp(443, nil), guard.Out, "ipv6 tcp"},
		{"UDP over IPv6", true, udp(9000, nil), guard.Out, "ipv6 udp"},
		{"ping over IPv6", true, ping, guard.Out, "ipv6 icmp"},
		{"bound to the pod's own interface", false, udp(9000, onDevice("eth0")), guard.Out, "ipv4 udp"},
		{"with ztunnel's mark", false, udp(9000, withMark(0x539)), guard.Out, "ipv4 udp"},
		{"with the mark of Istio's own", false, tcp(443, withMark(0x111)), guard.Out, "ipv4 tcp"},
		{"with the guard's bit as mark", false, tcp(443, withMark(1<<29)), guard.Out, "ipv4 tcp"},
		{"the encapsulation's port", false, udp(4790, nil), guard.Out, "ipv4 udp"},
		{"a raw socket", false, raw, guard.Out, "ipv4 udp"},
		{"a frame", false, frame(0), guard.Raw, "ipv4 udp"},
		{"a frame with a mark", false, frame(0x539), guard.Raw, "ipv4 udp"},
		{"a frame that passes no queue", false, frame(0, unix.PACKET_QDISC_BYPASS), guard.Raw, "ipv4 udp"}, // the kernel has another way for it
		{"a frame of IPv6", true, frame(0), guard.Raw, "ipv6 udp"},
		{"a frame of IPv6 with a mark", true, frame(0x539), guard.Raw, "ipv6 udp"},
	}
	to := func(i int) netip.Addr {
		if ways[i].six {
			return netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 0x01, 0x13, 15: byte(i + 1)})
		}
		return netip.AddrFrom4([4]byte{198, 18, 0, byte(i + 1)})
	}
	before := make([]int, len(ways))
	for i, w := range ways {
		require.NoError(t, s.pod.Do(t, func() error { return w.send(to(i)) }), w.name)
		require.Positive(t, s.counted.Until(to(i).String()), "without the guard: %s", w.name)
	}
	for i := range ways {
		before[i] = s.counted.Of(to(i).String())
	}
	s.guard(rules)
	for i, w := range ways {
		dropped, kinds := s.dropped()[w.by], s.kinds()
		require.NoError(t, s.pod.Do(t, func() error { return w.send(to(i)) }), w.name)
		assert.Equal(t, before[i], s.counted.Of(to(i).String()), "LEAK: %s", w.name)
		assert.Greater(t, s.dropped()[w.by], dropped, "the guard tells of it: %s", w.name)
		for kind, n := range s.kinds() {
			if kind == w.kind {
				assert.Greater(t, n, kinds[kind], "and what it was: %s", w.name)
			} else if kind != "ipv6 icmp" { // which the kernel sends by itself
				assert.Equal(t, kinds[kind], n, "and nothing else: %s, %s", w.name, kind)
			}
		}
	}
	all, sum := s.kinds(), uint64(0)
	require.Len(t, all, 9)
	for _, n := range all {
		sum += n
	}
	byReason := s.dropped()
	assert.InDelta(t, byReason[guard.Out]+byReason[guard.Raw], sum, 3, "each once; the kernel may have sent something in between")
	s.guard(rules)
	assert.GreaterOrEqual(t, s.kinds()["ipv4 tcp"], all["ipv4 tcp"], "the next guard goes on counting")
}

// What the pod needs goes on: the cluster, the gateway's pod in it, and the API server on its port. A gateway outside of the cluster is
// none, whatever it is called.
func TestWhatMayLeave(t *testing.T) {
	s := newStage(t)
	encapsulate := func() { _ = s.pod.Do(t, func() error { return udp(4790, nil)(netip.MustParseAddr("198.18.99.1")) }) }
	encapsulate()
	require.Positive(t, s.counted.Until("198.18.99.1"), "without the guard")
	s.guard(rules)
	for _, to := range []string{"10.42.0.1:443", "10.43.0.7:9000", "10.44.0.9:443", "[fd42::1]:443"} {
		require.NoError(t, s.pod.Do(t, func() error {
			answer, err := dial("tcp", netip.MustParseAddrPort(to), patience, nil)
			assert.Equal(t, "echo", answer, to)
			return err
		}), to)
	}
	before, gateway := s.counted.Of("10.44.0.9"), s.counted.Of("198.18.99.1")
	require.NoError(t, s.pod.Do(t, func() error { return tcp(9000, nil)(netip.MustParseAddr("10.44.0.9")) }))
	encapsulate()
	assert.Equal(t, before, s.counted.Of("10.44.0.9"), "its other ports may not")
	assert.Equal(t, gateway, s.counted.Of("198.18.99.1"))
}

// What is there by one protocol is spoken to by no other.
func TestByWhichProtocol(t *testing.T) {
	s := newStage(t)
	to443 := map[string]send{"tcp": tcp(443, nil), "udp": udp(443, nil)}
	say := func(by, to string) {
		require.NoError(t, s.pod.Do(t, func() error { return to443[by](netip.MustParseAddr(to)) }))
	}
	for _, to := range []string{"198.18.98.1", "198.18.98.2"} {
		say("tcp", to)
		say("udp", to)
	}
	require.Positive(t, s.counted.Until("198.18.98.1"), "without the guard")
	require.Positive(t, s.counted.Until("198.18.98.2"), "without the guard")
	s.guard(rules)
	before := s.dropped()[guard.Out]
	streams, datagrams := s.counted.Of("198.18.98.1"), s.counted.Of("198.18.98.2")
	say("udp", "198.18.98.1")
	say("tcp", "198.18.98.2")
	assert.Equal(t, streams, s.counted.Of("198.18.98.1"))
	assert.Equal(t, datagrams, s.counted.Of("198.18.98.2"))
	assert.Greater(t, s.dropped()[guard.Out], before)
	say("tcp", "198.18.98.1")
	say("udp", "198.18.98.2")
	assert.Greater(t, s.counted.Of("198.18.98.1"), streams)
	assert.Greater(t, s.counted.Of("198.18.98.2"), datagrams)
	for by := range to443 {
		both := s.counted.Of("198.18.98.3")
		say(by, "198.18.98.3")
		assert.Greater(t, s.counted.Of("198.18.98.3"), both, "who is there by both, by %s", by)
	}
}

// listen answers inside the pod.
func (s *stage) listen(port int) {
	s.Helper()
	s.pod.Listen(s.T, port, func(c net.Conn) {
		_, _ = c.Write([]byte("echo"))
		go func() {
			defer c.Close()
			for range 200 { // somebody who goes on talking
				time.Sleep(50 * time.Millisecond)
				if _, err := c.Write([]byte("more")); err != nil {
					return
				}
			}
		}()
	})
}

// from asks the pod, from an address of another namespace's.
func (s *stage) from(n *ns.NS, limit time.Duration, source string, to string) (answer string, err error) {
	err = n.Do(s.T, func() error {
		d := net.Dialer{Timeout: limit, LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}}
		c, err := d.Dial("tcp", to)
		if err != nil {
			return err
		}
		s.Cleanup(func() { _ = c.Close() })
		b := make([]byte, 4)
		_ = c.SetReadDeadline(time.Now().Add(limit))
		k, err := c.Read(b)
		answer = string(b[:k])
		return err
	})
	return answer, err
}

// Who asks a declared port over the pod's own interface is answered there, wherever he is; the port for peers is open to the
// tunnel only.
func TestWhoMayAsk(t *testing.T) {
	for _, family := range []struct{ pod, before, declared, other string }{
		{"10.42.0.5", "198.18.7.7", "198.18.7.8", "198.18.7.9"},
		{"fd42::5", "2001:db8:113::7", "2001:db8:113::8", "2001:db8:113::9"},
	} {
		s := newStage(t)
		if strings.Contains(family.pod, ":") { // which is bound to an address that is there
			for _, a := range []string{family.before, family.declared, family.other} {
				s.world.Addr(t, "pod0", a+"/128")
			}
		}
		s.listen(8080)
		s.listen(6881)
		answer, err := s.from(s.world, patience, family.before, net.JoinHostPort(family.pod, "6881"))
		require.NoError(t, err)
		require.Equal(t, "echo", answer, "without the guard")

		s.guard(rules)
		answer, err = s.from(s.world, patience, family.declared, net.JoinHostPort(family.pod, "8080"))
		require.NoError(t, err)
		assert.Equal(t, "echo", answer)
		assert.Positive(t, s.counted.Until(family.declared))
		_, err = s.from(s.world, moment, family.other, net.JoinHostPort(family.pod, "6881"))
		assert.Error(t, err)
		assert.Zero(t, s.counted.Of(family.other))
		assert.Positive(t, s.dropped()[guard.In])
	}
}

// A peer has come in through the tunnel; then the tunnel's interface goes, and the route leads by the pod's own.
func TestAConnectionThroughTheTunnelStaysThere(t *testing.T) {
	for _, guarded := range []bool{false, true} {
		s := newStage(t)
		s.listen(6881)
		s.pod.Default(t, "vxlan0", "172.16.0.1")
		if guarded {
			s.guard(rules)
		}
		answer, err := s.from(s.gateway, patience, "198.18.8.8", "172.16.0.5:6881")
		require.NoError(t, err)
		require.Equal(t, "echo", answer)
		require.Zero(t, s.counted.Of("198.18.8.8"))
		s.pod.Delete(t, "vxlan0")
		s.pod.Addr(t, "lo", "172.16.0.5/32") // else the kernel has no use for the connection any more
		s.pod.Default(t, "eth0", node)
		time.Sleep(400 * time.Millisecond) // the pod goes on talking: several times by now
		if guarded {
			assert.Zero(t, s.counted.Of("198.18.8.8"), "LEAK")
			assert.Positive(t, s.dropped()[guard.Out])
		} else {
			assert.Positive(t, s.counted.Until("198.18.8.8"), "without the guard it goes on over the pod's own interface")
		}
	}
}

// A second guard takes the place of the first, and of nobody else's rules; removed, nothing of it is left.
func TestInstallAgain(t *testing.T) {
	s := newStage(t)
	tables := func() (names []string) {
		require.NoError(t, s.pod.Do(t, func() error {
			conn, err := nftables.New()
			if err != nil {
				return err
			}
			all, err := conn.ListTables()
			for _, table := range all {
				names = append(names, table.Name)
			}
			return err
		}))
		return names
	}
	require.NoError(t, s.pod.Do(t, func() error {
		conn, err := nftables.New()
		if err != nil {
			return err
		}
		conn.AddTable(&nftables.Table{Name: "somebody-elses", Family: nftables.TableFamilyINet})
		return conn.Flush()
	}))
	s.guard(rules)
	s.guard(rules)
	assert.ElementsMatch(t, []string{"somebody-elses", guard.Table, guard.Table}, tables())

	wrong := rules
	wrong.Cluster = append(wrong.Cluster[:len(wrong.Cluster):len(wrong.Cluster)], netip.MustParsePrefix("10.42.7.0/24"))
	assert.ErrorContains(t, s.pod.Do(t, func() error { return guard.Install(wrong) }), "10.42.0.0/16 and 10.42.7.0/24")
	require.NoError(t, s.pod.Do(t, func() error { return udp(9000, nil)(netip.MustParseAddr("198.18.6.1")) }))
	assert.Zero(t, s.counted.Of("198.18.6.1"), "what is refused changes nothing")

	require.NoError(t, s.pod.Do(t, guard.Remove))
	assert.Equal(t, []string{"somebody-elses"}, tables())
	require.NoError(t, s.pod.Do(t, guard.Remove))
}
