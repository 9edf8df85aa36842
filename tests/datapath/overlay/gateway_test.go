//go:build datapath

package overlay

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/charmarr/charmarr-go/tests/internal/ns"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/gateway"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// other is a second client, of another application.
var other = func() overlay.Client {
	c := way
	c.Address = netip.MustParsePrefix("172.16.0.33/20")
	return c
}()

// frame is a datagram in the encapsulation, as any process in any pod can write one: no capability is needed.
func frame(vni uint32, from, to netip.AddrPort, text string) []byte {
	udp := binary.BigEndian.AppendUint16(nil, from.Port())
	udp = binary.BigEndian.AppendUint16(udp, to.Port())
	udp = binary.BigEndian.AppendUint16(udp, uint16(8+len(text)))
	udp = append(append(udp, 0, 0), text...) // without a checksum
	ip := []byte{0x45, 0}
	ip = binary.BigEndian.AppendUint16(ip, uint16(20+len(udp)))
	ip = append(ip, 0, 0, 0, 0, 64, unix.IPPROTO_UDP, 0, 0)
	ip = append(append(ip, from.Addr().AsSlice()...), to.Addr().AsSlice()...)
	binary.BigEndian.PutUint16(ip[10:], checksum(ip))
	return encapsulated(vni, from.Addr(), unix.ETH_P_IP, append(ip, udp...))
}

// checksum is the internet's (RFC 1071).
func checksum(text []byte) uint16 {
	sum := uint32(0)
	for i := range text {
		sum += uint32(text[i]) << (8 * (1 - i%2))
	}
	return ^uint16(sum + sum>>16)
}

// encapsulated is a packet of a client's on its way to the gateway.
func encapsulated(vni uint32, client netip.Addr, kind uint16, packet []byte) []byte {
	out := binary.BigEndian.AppendUint32([]byte{8, 0, 0, 0}, vni<<8)
	out = append(append(out, overlay.MAC(way.Gateway)...), overlay.MAC(client)...)
	return append(binary.BigEndian.AppendUint16(out, kind), packet...)
}

// inject sends frames of one length from a pod to an end of the overlay, as one packet that the kernel cuts where it likes.
func (s *stage) inject(pod *ns.NS, to string, frames ...[]byte) {
	s.Helper()
	require.NoError(s, pod.Do(s.T, func() error {
		c, err := net.Dial("udp", net.JoinHostPort(to, fmt.Sprint(way.Port)))
		if err != nil {
			return err
		}
		defer c.Close()
		if len(frames) > 1 {
			raw, err := c.(*net.UDPConn).SyscallConn()
			if err != nil {
				return err
			}
			if out := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_UDP, unix.UDP_SEGMENT, len(frames[0])) }); out != nil || err != nil {
				return errors.Join(out, err)
			}
		}
		_, err = c.Write(bytes.Join(frames, nil))
		return err
	}))
}

// Whoever has not said who he is is not forwarded, and only from the pod that has. Each attack stands beside the same packet
// from the pod whose address it bears.
func TestNobodySendsInAnothersName(t *testing.T) {
	s := newStage(t)
	attacker := s.join("10.42.0.66", "fd42::66")
	seen := s.world.Count(t, "t0.7")
	client := netip.AddrPortFrom(way.Address.Addr(), 5000)
	to := func(last int) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 18, 5, byte(last)}), 9000)
	}
	attacks := []struct {
		name string
		pod  *ns.NS
		f    func(to netip.AddrPort) []byte
	}{
		{"in a client's name", attacker, func(to netip.AddrPort) []byte { return frame(way.VNI, client, to, "x") }},
		{"in the name of an address that nobody has", attacker, func(to netip.AddrPort) []byte {
			return frame(way.VNI, netip.MustParseAddrPort("172.16.0.40:5000"), to, "x")
		}},
		{"in its own pod's name", attacker, func(to netip.AddrPort) []byte {
			return frame(way.VNI, netip.MustParseAddrPort("10.42.0.66:5000"), to, "x")
		}},
		{"in the gateway's name", attacker, func(to netip.AddrPort) []byte {
			return frame(way.VNI, netip.AddrPortFrom(way.Gateway, 5000), to, "x")
		}},
		{"a client, in another address than its own", s.pod, func(to netip.AddrPort) []byte {
			return frame(way.VNI, netip.MustParseAddrPort("172.16.0.19:5000"), to, "x")
		}},
		{"another protocol than IPv4", s.pod, func(to netip.AddrPort) []byte {
			f := frame(way.VNI, client, to, "x")
			f[8+12], f[8+13] = 0x86, 0xdd
			return f
		}},
	}
	for i, a := range attacks {
		before := s.gateway.dropped(t, gateway.Spoofed)
		s.inject(a.pod, "10.42.0.7", a.f(to(i)))
		assert.Zero(t, seen.Of(to(i).Addr().String()), a.name)
		assert.Equal(t, before+1, s.gateway.dropped(t, gateway.Spoofed), a.name)
		s.inject(s.pod, "10.42.0.7", frame(way.VNI, client, to(i), "x"))
		assert.Positive(t, seen.Until(to(i).Addr().String()), "the client itself may, beside: %s", a.name)
	}
	// Another overlay's packets are nobody's here.
	s.inject(s.pod, "10.42.0.7", frame(way.VNI+1, client, to(99), "x"))
	assert.Zero(t, seen.Of(to(99).Addr().String()))
	s.inject(s.pod, "10.42.0.7", frame(way.VNI, client, to(99), "x"))
	assert.Positive(t, seen.Until(to(99).Addr().String()), "in this one it is the client's")

	// The address goes with who proves to have it.
	require.NoError(t, s.gateway.pin(t, way.Address.Addr(), "10.42.0.66"))
	s.inject(s.pod, "10.42.0.7", frame(way.VNI, client, to(100), "x"))
	assert.Zero(t, seen.Of(to(100).Addr().String()), "the pod that had it before")
	s.inject(attacker, "10.42.0.7", frame(way.VNI, client, to(100), "x"))
	assert.Positive(t, seen.Until(to(100).Addr().String()), "the pod that has it now")
	require.Error(t, s.gateway.pin(t, netip.MustParseAddr("172.16.9.9"), "10.42.0.66"), "what is in nobody's block is nobody's")
}

// Several datagrams travel as one packet as long as they can: each is judged.
func TestSeveralInOnePacket(t *testing.T) {
	s := newStage(t)
	seen := s.world.Count(t, "t0.7")
	second := s.join("10.42.0.6", "fd42::6")
	require.NoError(t, s.gateway.pin(t, other.Address.Addr(), "10.42.0.6"))
	own, theirs := netip.AddrPortFrom(way.Address.Addr(), 5000), netip.AddrPortFrom(other.Address.Addr(), 5000)
	first, next, control := netip.MustParseAddrPort("198.18.6.1:9000"), netip.MustParseAddrPort("198.18.6.2:9000"), netip.MustParseAddrPort("198.18.6.3:9000")

	s.inject(s.pod, "10.42.0.7", frame(way.VNI, own, first, "x"), frame(way.VNI, own, control, "x"))
	require.Positive(t, seen.Until(first.Addr().String()))
	require.Positive(t, seen.Until(control.Addr().String()), "the second of a packet's would be seen")
	before := s.gateway.dropped(t, gateway.Spoofed)
	s.inject(s.pod, "10.42.0.7", frame(way.VNI, own, first, "x"), frame(way.VNI, theirs, next, "x"))
	assert.Zero(t, seen.Of(next.Addr().String()), "in another's name, behind one in its own")
	assert.Equal(t, before+1, s.gateway.dropped(t, gateway.Spoofed))
	s.inject(second, "10.42.0.7", frame(way.VNI, theirs, next, "x"))
	assert.Positive(t, seen.Until(next.Addr().String()), "the other may")
}

// The pod of a client that is gone has an address that is soon another pod's: that one neither sends nor hears in its place.
func TestAClientIsForgotten(t *testing.T) {
	s := newStage(t)
	seen, heard := s.world.Count(t, "t0.7"), s.pod.Count(t, "eth0")
	send := func(last int) string {
		to := netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 18, 7, byte(last)}), 9000)
		s.inject(s.pod, "10.42.0.7", frame(way.VNI, netip.AddrPortFrom(way.Address.Addr(), 5000), to, "x"))
		return to.Addr().String()
	}
	answer := func() int {
		before := heard.Of("10.42.0.5")
		require.NoError(t, s.gateway.Do(t, func() error {
			c, err := net.Dial("udp", way.Address.Addr().String()+":5000")
			if err != nil {
				return err
			}
			defer c.Close()
			_, err = c.Write([]byte("x"))
			return err
		}))
		return heard.Of("10.42.0.5") - before
	}
	require.Positive(t, seen.Until(send(1)))
	require.Positive(t, answer())
	require.NoError(t, s.gateway.Do(t, func() error { return s.gateway.Unpin(way.Address.Addr()) }))
	assert.Zero(t, seen.Of(send(2)))
	assert.Zero(t, answer(), "what is for the client goes to nobody")
	require.NoError(t, s.gateway.setUp(t))
	assert.Zero(t, seen.Of(send(3)))
	require.NoError(t, s.gateway.pin(t, way.Address.Addr(), "10.42.0.5"))
	assert.Positive(t, seen.Until(send(4)))
	assert.Positive(t, answer())
}

// A client's way leads into the tunnel alone: not to other clients, not to the cluster, not to what the gateway serves.
func TestClientsReachTheTunnelAlone(t *testing.T) {
	s := newStage(t)
	second := s.join("10.42.0.6", "fd42::6")
	require.NoError(t, s.gateway.pin(t, other.Address.Addr(), "10.42.0.6"))
	s.set(s.pod, way)
	s.set(second, other)
	for _, pod := range []*ns.NS{s.pod, second} {
		said, err := s.ask(pod, "198.18.0.1:443", patience)
		require.NoError(t, err)
		require.Equal(t, "world sees 10.2.0.2", said)
	}
	s.answer(s.gateway.NS, "gateway")
	s.answer(second, "second")
	victim := s.node.Count(t, "p0.7")

	for _, a := range []struct{ name, to, counter string }{
		{"another client", other.Address.Addr().String(), gateway.Between},
		{"a pod of the cluster", "10.42.0.6", gateway.Beyond},
		{"a Service", "10.43.0.1", gateway.Beyond},
		{"the gateway by its overlay address", way.Gateway.String(), gateway.Local},
		{"the gateway by its pod's", "10.42.0.7", gateway.Local},
		{"the gateway by its tunnel's", "10.2.0.2", gateway.Local},
	} {
		before, sent := s.gateway.dropped(t, a.counter), victim.Of(a.to)
		s.inject(s.pod, "10.42.0.7", frame(way.VNI, netip.AddrPortFrom(way.Address.Addr(), 5000), netip.MustParseAddrPort(a.to+":443"), "x"))
		require.Eventually(t, func() bool { return s.gateway.dropped(t, a.counter) == before+1 }, patience, 10*time.Millisecond, a.name)
		assert.Equal(t, sent, victim.Of(a.to), a.name)
	}
	for _, from := range []string{way.Gateway.String(), "10.2.0.2"} {
		_, err := s.ask(s.pod, from+":443", moment)
		assert.Error(t, err, from)
	}
	said, err := s.ask(s.node, "10.42.0.7:443", patience)
	require.NoError(t, err)
	assert.Equal(t, "gateway sees 169.254.1.1", said, "which is there, for others")
}

// What comes out of the tunnel and is nobody's answer is met with silence: a refusal would end the connection of a client
// whose gateway has just been replaced.
func TestTheTunnelIsNotAnswered(t *testing.T) {
	s := newStage(t)
	refused := func() error {
		_, err := s.ask(s.world, "10.2.0.2:9", moment)
		return err
	}
	var timeout net.Error
	require.ErrorAs(t, refused(), &timeout)
	assert.True(t, timeout.Timeout())
	assert.Positive(t, s.gateway.dropped(t, gateway.Unasked))
	require.NoError(t, s.gateway.Do(t, s.gateway.Remove))
	assert.ErrorIs(t, refused(), unix.ECONNREFUSED, "without it the kernel refuses")
}

// Without the tunnel clients go nowhere, and least of all by the gateway's own interface; with it they go on.
func TestTheTunnelComesAndGoes(t *testing.T) {
	s := newStage(t)
	s.set(s.pod, way)
	said, err := s.ask(s.pod, "198.18.0.1:443", patience)
	require.NoError(t, err)
	require.Equal(t, "world sees 10.2.0.2", said)

	out := s.node.Count(t, "p0.7")
	s.gateway.Delete(t, "tun0")
	for _, lay := range []func() error{func() error { return nil }, func() error { return s.gateway.setUp(t) }} {
		require.NoError(t, lay())
		_, err = s.ask(s.pod, "198.18.0.2:443", moment)
		assert.ErrorIs(t, err, unix.EHOSTUNREACH, "it is refused, not lost")
		assert.Zero(t, out.Of("198.18.0.2"), "LEAK")
	}
	_, err = s.ask(s.gateway.NS, "198.18.0.2:443", patience)
	require.NoError(t, err)
	assert.Positive(t, out.Until("198.18.0.2"), "the gateway's own would be seen there")

	s.tunnel(s.gateway.NS, "again")
	require.NoError(t, s.gateway.setUp(t))
	said, err = s.ask(s.pod, "198.18.0.1:443", patience)
	require.NoError(t, err)
	assert.Equal(t, "world sees 10.2.0.2", said)
}

// The tunnel has no address for a while, as when its VPN client gives it another one: the kernel would take the pod's own, which is nobody's
// business behind the tunnel.
func TestTheTunnelLosesItsAddress(t *testing.T) {
	s := newStage(t)
	s.set(s.pod, way)
	seen := s.world.Count(t, "t0.7")
	_, err := s.ask(s.pod, "198.18.0.1:443", patience)
	require.NoError(t, err)
	require.Positive(t, seen.Until("198.18.0.1"))
	require.Zero(t, s.gateway.dropped(t, gateway.Bare))

	s.gateway.NoAddr(t, "tun0", "10.2.0.2/32")
	s.gateway.Neighbour(t, "tun0", "198.18.0.2", s.world, "t0.7") // in a tunnel nobody asks who has an address
	require.NoError(t, s.gateway.setUp(t))
	_, err = s.ask(s.pod, "198.18.0.2:443", moment)
	require.Error(t, err)
	assert.Zero(t, seen.Of("198.18.0.2"), "LEAK: the pod's address")
	assert.Positive(t, s.gateway.dropped(t, gateway.Bare))

	for _, next := range []string{"10.2.0.2", "10.43.9.9"} { // the same one, or what a provider gives that knows nothing of the cluster
		s.gateway.Addr(t, "tun0", next+"/32")
		s.world.Route(t, "t0.7", next+"/32")
		require.NoError(t, s.gateway.setUp(t))
		said, err := s.ask(s.pod, "198.18.0.2:443", patience)
		require.NoError(t, err)
		assert.Equal(t, "world sees "+next, said)
		s.gateway.NoAddr(t, "tun0", next+"/32")
	}
	assert.Positive(t, seen.Until("198.18.0.2"))
}

// Whatever somebody takes away is there again, with the clients that were pinned.
func TestTheGatewaySetsUpAgain(t *testing.T) {
	s := newStage(t)
	s.set(s.pod, way)
	ruin := map[string]func() error{
		"vxlan0": func() error { s.gateway.Delete(t, "vxlan0"); return nil },
		"all":    func() error { return s.gateway.Do(t, s.gateway.Remove) },
		"neighbours": func() error { // the kernel forgets them, permanent ones too
			s.gateway.Down(t, "vxlan0")
			s.gateway.Up(t, "vxlan0")
			return nil
		},
	}
	for what, take := range ruin {
		require.NoError(t, take())
		_, err := s.ask(s.pod, "198.18.0.1:443", moment)
		require.Error(t, err, what)
		require.NoError(t, s.gateway.setUp(t))
		said, err := s.ask(s.pod, "198.18.0.1:443", patience)
		require.NoError(t, err, what)
		assert.Equal(t, "world sees 10.2.0.2", said, what)
	}
	index := s.gateway.Index(t, "vxlan0")
	require.NoError(t, s.gateway.setUp(t))
	assert.Equal(t, index, s.gateway.Index(t, "vxlan0"), "what is right stays")
}

// The gateway moves to another pod with another address: the connection on which the client sends goes on.
func TestAConnectionOutlivesItsGateway(t *testing.T) {
	s := newStage(t)
	s.guarded(s.pod, way)
	c := s.connection(s.pod)
	s.gateway.Delete(t, "tun0") // the pod is gone, and with it what it knew of the connection
	s.gateway.Delete(t, "eth0")
	next := s.gatewayAt("10.42.0.8")
	require.NoError(t, next.pin(t, way.Address.Addr(), "10.42.0.5"))
	moved := way
	moved.Peer = netip.MustParseAddr("10.42.0.8")
	s.guarded(s.pod, moved)
	c.say()
}
