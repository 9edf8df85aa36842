//go:build datapath

package overlay

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/charmarr/charmarr-go/tests/internal/ns"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/gateway"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/guard"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// grants is a provider that grants one port by NAT-PMP, for as long as it likes.
type grants struct {
	mu       sync.Mutex
	udp, tcp uint16
	lifetime uint32
	silent   bool
}

func (g *grants) say(change func(*grants)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	change(g)
}

// provide answers in the world, at the tunnel's other end.
func (s *stage) provide(g *grants) {
	s.Helper()
	require.NoError(s, s.world.Do(s.T, func() error {
		c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.ParseIP("198.18.0.1"), Port: 5351})
		if err != nil {
			return err
		}
		s.Cleanup(func() { _ = c.Close() })
		go func() {
			for buf := make([]byte, 64); ; {
				n, from, err := c.ReadFromUDPAddrPort(buf)
				if err != nil {
					return
				}
				if answer := g.answer(buf[:n]); answer != nil {
					_, _ = c.WriteToUDPAddrPort(answer, from)
				}
			}
		}()
		return nil
	}))
}

func (g *grants) answer(ask []byte) []byte {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.silent || len(ask) != 12 {
		return nil
	}
	out := make([]byte, 16)
	out[1] = 128 + ask[1]
	copy(out[8:10], ask[4:6])
	port := g.udp
	if ask[1] == 2 {
		port = g.tcp
	}
	binary.BigEndian.PutUint16(out[10:], port)
	binary.BigEndian.PutUint32(out[12:], g.lifetime)
	return out
}

// leased is what the gateway says of its client's port.
func leased(r overlay.Report) overlay.Lease {
	if r.Gateway == nil {
		return overlay.Lease{}
	}
	return r.Gateway.Ports["qbittorrent"]
}

// peer asks a port of the tunnel's address, from an address of the world's.
func (s *stage) peer(network, from string, port uint16, wait time.Duration) (said string, err error) {
	s.Helper()
	err = s.world.Do(s.T, func() error {
		local := net.Addr(&net.TCPAddr{IP: net.ParseIP(from)})
		if network == "udp" {
			local = &net.UDPAddr{IP: net.ParseIP(from)}
		}
		d := net.Dialer{LocalAddr: local, Timeout: wait}
		c, err := d.Dial(network, fmt.Sprintf("10.2.0.2:%d", port))
		if err != nil {
			return err
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(wait))
		if _, err := c.Write([]byte("who am I?")); err != nil {
			return err
		}
		buf := make([]byte, 64)
		n, err := c.Read(buf)
		said = string(buf[:n])
		return err
	})
	return said, err
}

// mirror answers peers of both protocols with what it sees of them.
func (s *stage) mirror(m *member, port uint16) {
	s.Helper()
	m.Listen(s.T, int(port), func(c net.Conn) {
		go func() {
			defer c.Close()
			for buf := make([]byte, 64); ; {
				if _, err := c.Read(buf); err != nil {
					return
				}
				if _, err := c.Write([]byte(c.RemoteAddr().(*net.TCPAddr).IP.String())); err != nil {
					return
				}
			}
		}()
	})
	require.NoError(s, m.Do(s.T, func() error {
		c, err := net.ListenUDP("udp4", &net.UDPAddr{Port: int(port)})
		if err != nil {
			return err
		}
		s.Cleanup(func() { _ = c.Close() })
		go func() {
			for buf := make([]byte, 64); ; {
				_, from, err := c.ReadFromUDPAddrPort(buf)
				if err != nil {
					return
				}
				_, _ = c.WriteToUDPAddrPort([]byte(from.Addr().String()), from)
			}
		}()
		return nil
	}))
}

// A torrent client behind the gateway has a port of the provider's: peers reach it, and it sees who they are. The provider takes the
// port away, gives another one, and falls silent.
func TestAPortOfTheProvider(t *testing.T) {
	const first, next, other = 40001, 40003, 40002
	s := newWorld(t)
	g := &grants{udp: first, tcp: first, lifetime: 4}
	s.provide(g)
	client := s.clientAgent("10.42.0.5", way, qbittorrentKey)
	ports := []uint16{first, next, other}
	for _, p := range ports {
		s.mirror(client, p)
	}
	gateway := s.gatewayAgent("10.42.0.7", nil)
	s.through(client.NS)
	_, err := s.peer("tcp", "198.18.5.1", first, moment)
	require.Error(t, err, "nobody has asked for it yet")

	gateway.wantPort()
	has := func(port uint16) { t.Helper(); s.led(gateway, port, 4) }
	refused := func(port uint16) { t.Helper(); s.refused(gateway, port) }
	has(first)
	refused(other)

	g.say(func(g *grants) { g.udp, g.tcp = next, next })
	has(next)
	refused(first)

	g.say(func(g *grants) { g.silent = true })
	has(0)
	refused(next)
	gateway.later("it says why", func(r overlay.Report) bool { return strings.Contains(leased(r).Error, "does not answer") })

	g.say(func(g *grants) { g.silent = false })
	has(next)
	gateway.config.Gateway.Blocks[0].Port = false
	gateway.Configure(gateway.config) // which is read every ten seconds
	has(0)
	refused(next)
}

// led waits until a port leads to the client, by both protocols and to the peer's own address; 0: until there is none.
func (s *stage) led(gateway *member, port uint16, lifetime int) {
	s.Helper()
	l := leased(gateway.later(fmt.Sprint("the port is ", port), func(r overlay.Report) bool { return leased(r).Port == port }))
	if port == 0 {
		time.Sleep(moment) // the rules follow what is told
		return
	}
	assert.Equal(s, way.Address.Addr(), l.Client)
	assert.Equal(s, lifetime, l.Lifetime)
	assert.Empty(s, l.Error)
	for _, network := range []string{"tcp", "udp"} {
		require.Eventually(s, func() bool {
			said, err := s.peer(network, "198.18.5.1", port, moment)
			return err == nil && said == "198.18.5.1"
		}, patience, moment, "a peer by %s, and seen as itself", network)
	}
}

// refused has peers come to a port that leads to nobody.
func (s *stage) refused(gateway *member, port uint16) {
	s.Helper()
	before := s.unasked(gateway)
	for _, network := range []string{"tcp", "udp"} {
		_, err := s.peer(network, "198.18.5.2", port, moment)
		assert.Error(s, err, "%s to %d", network, port)
	}
	assert.Greater(s, s.unasked(gateway), before)
}

// wantPort starts a gateway again with a provider that grants ports, and a client that wants one.
func (m *member) wantPort() {
	m.Kill()
	m.config.Gateway.Ports = netip.MustParseAddr("198.18.0.1")
	m.config.Gateway.Blocks[0].Port = true
	m.Configure(m.config)
	m.Start()
}

// unasked counts what came out of the tunnel and was nobody's answer.
func (s *stage) unasked(m *member) uint64 {
	s.Helper()
	return m.Report().Gateway.Dropped[gateway.Unasked]
}

// shown has a port of the provider's lead to a client.
func (s *stage) shown(port uint16) (client, gateway *member) {
	s.Helper()
	s.provide(&grants{udp: port, tcp: port, lifetime: 60})
	client = s.clientAgent("10.42.0.5", way, qbittorrentKey)
	s.mirror(client, port)
	gateway = s.gatewayAgent("10.42.0.7", nil)
	gateway.wantPort()
	require.Eventually(s, func() bool { _, err := s.peer("udp", "198.18.9.9", port, moment); return err == nil }, 5*patience, moment)
	return client, gateway
}

// Somebody in the tunnel says that he is in the cluster, or a client: nobody answers him there, neither the client nor, where his packet has
// come too far, the gateway.
func TestNobodyOfTheClusterComesThroughTheTunnel(t *testing.T) {
	const port = 40001
	s := newWorld(t)
	_, gateway := s.shown(port)
	sides := map[string]*ns.Counter{"the client": s.node.Count(t, "p0.5"), "the gateway": s.node.Count(t, "p0.7")}
	said, err := s.peer("udp", "198.18.7.7", port, patience)
	require.NoError(t, err)
	require.Equal(t, "198.18.7.7", said, "others are led to the client")
	held := func() uint64 { return s.unasked(gateway) + gateway.Report().Guard.Dropped[guard.In] }
	for _, liar := range []string{"10.42.0.99", "10.43.0.10", "172.16.0.33", way.Gateway.String()} {
		s.world.Addr(t, "lo", liar+"/32")
		before := held()
		for _, network := range []string{"udp", "tcp"} {
			_, err := s.peer(network, liar, port, moment)
			assert.Error(t, err, "%s from %s", network, liar)
		}
		s.tooFar(liar, port)
		for who, side := range sides {
			assert.Zero(t, side.Of(liar), "LEAK: %s answers %s", who, liar)
		}
		if liar != way.Gateway.String() { // its own address the kernel believes nobody
			assert.Greater(t, held(), before, liar)
		}
	}
}

// tooFar sends packets that a router takes for having come too far.
func (s *stage) tooFar(from string, port uint16) {
	s.Helper()
	require.NoError(s, s.world.Do(s.T, func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_TTL, 1); err != nil {
			return err
		}
		if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: netip.MustParseAddr(from).As4()}); err != nil {
			return err
		}
		for range 3 {
			if err := unix.Sendto(fd, []byte("x"), 0, &unix.SockaddrInet4{Port: int(port), Addr: [4]byte{10, 2, 0, 2}}); err != nil {
				return err
			}
		}
		return nil
	}))
}

// A consumer goes, and another one gets its addresses and asks for no port. The first one's peer goes on sending, and reaches nobody.
func TestAPeerOfWhoHasGone(t *testing.T) {
	const port = 40001
	s := newWorld(t)
	client, gateway := s.shown(port)
	peer := func() (said string) {
		require.NoError(t, s.world.Do(t, func() error {
			d := net.Dialer{LocalAddr: &net.UDPAddr{IP: net.ParseIP("198.18.5.1"), Port: 7001}}
			c, err := d.Dial("udp", fmt.Sprintf("10.2.0.2:%d", port))
			if err != nil {
				return err
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(moment))
			_, _ = c.Write([]byte("who am I?"))
			buf := make([]byte, 64)
			n, _ := c.Read(buf)
			said = string(buf[:n])
			return nil
		}))
		return said
	}
	require.Equal(t, "198.18.5.1", peer())

	gateway.config.Gateway.Blocks[0].Name, gateway.config.Gateway.Blocks[0].Port = "another", false
	gateway.Key("another", keyOf("another"))
	gateway.Configure(gateway.config)
	client.Kill()
	client.Delete(t, "eth0")
	next := s.clientAgent("10.42.0.8", way, keyOf("another"))
	s.mirror(next, port)
	gateway.later("it is another's", func(r overlay.Report) bool {
		return r.Gateway != nil && len(r.Gateway.Ports) == 0 && r.Gateway.Clients[way.Address.Addr()].Pod == netip.MustParseAddr("10.42.0.8")
	})
	s.through(next.NS)
	before := s.unasked(gateway)
	for range 5 {
		assert.Empty(t, peer(), "the other one is reached")
	}
	assert.Greater(t, s.unasked(gateway), before)
}

// Another client speaks to a peer from the number of the port that leads to the first one, as the provider has it and as it comes out of the
// tunnel, and to the provider in its name. Neither takes anything away.
func TestNobodyTakesAnothersPeers(t *testing.T) {
	const port, inner = 40001, 0xd010
	s := newWorld(t)
	client, gateway := s.shown(port)
	c := way
	c.Address = netip.MustParsePrefix("172.16.0.34/20")
	other := s.clientAgent("10.42.0.6", c, keyOf("sabnzbd"))
	s.through(other.NS)
	// What a client says from a port of its own comes to the peer from this one of the tunnel's, and the peer comes to another one then.
	spoken := func(from *member, as netip.AddrPort, peer string, asked int) (seen uint16, said string, err error) {
		at := netip.AddrPortFrom(netip.MustParseAddr(peer), 7003)
		err = s.world.Do(t, func() error {
			l, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at))
			if err != nil {
				return err
			}
			defer l.Close()
			_ = l.SetDeadline(time.Now().Add(patience))
			s.inject(from.NS, "10.42.0.7", frame(way.VNI, as, at, "x"))
			buf := make([]byte, 64)
			_, source, err := l.ReadFromUDPAddrPort(buf)
			if err != nil {
				return fmt.Errorf("it has not come: %w", err)
			}
			if _, err := l.WriteTo([]byte("who am I?"), &net.UDPAddr{IP: net.ParseIP("10.2.0.2"), Port: asked}); err != nil {
				return err
			}
			n, err := l.Read(buf) // the other one answers nobody
			seen, said = source.Port(), string(buf[:n])
			return err
		})
		return seen, said, err
	}
	for i, led := range []uint16{port, inner} {
		peer := fmt.Sprintf("198.18.5.%d", 3+i)
		seen, said, err := spoken(other, netip.AddrPortFrom(c.Address.Addr(), led), peer, int(led))
		assert.NoError(t, err, "the first client's, by %d", led)
		assert.Equal(t, peer, said)
		assert.NotEqual(t, led, seen)
	}
	seen, said, err := spoken(client, netip.AddrPortFrom(way.Address.Addr(), port), "198.18.5.5", port)
	require.NoError(t, err)
	assert.Equal(t, "198.18.5.5", said)
	assert.EqualValues(t, port, seen, "its own port the first one keeps")
	_, said, err = spoken(client, netip.AddrPortFrom(way.Address.Addr(), inner), "198.18.5.6", inner)
	require.NoError(t, err, "by the other one it is led to the port that it is asked on, whatever it says from there itself")
	assert.Equal(t, "198.18.5.6", said)
	seen, _, err = spoken(other, netip.AddrPortFrom(c.Address.Addr(), 5000), "198.18.5.7", inner)
	require.NoError(t, err)
	assert.EqualValues(t, 5000, seen, "others keep theirs where it is nobody's")

	before := gateway.Report().Gateway.Dropped["beyond"]
	s.inject(other.NS, "10.42.0.7", frame(way.VNI, netip.AddrPortFrom(c.Address.Addr(), 5001), netip.MustParseAddrPort("198.18.0.1:5351"), "x"))
	require.Eventually(t, func() bool { return gateway.Report().Gateway.Dropped["beyond"] > before }, patience, moment)
}

// A provider gives ports on which the cluster asks the client, or the client's end of the overlay is: nobody comes to them.
func TestAPortThatIsNotForPeers(t *testing.T) {
	s := newWorld(t)
	g := &grants{udp: 40001, tcp: 40001, lifetime: 4}
	s.provide(g)
	client := s.clientAgent("10.42.0.5", way, qbittorrentKey)
	for _, p := range []uint16{40001, 8080} {
		s.mirror(client, p)
	}
	gateway := s.gatewayAgent("10.42.0.7", nil)
	s.through(client.NS)
	gateway.wantPort()
	peered := func(network string, port uint16) {
		t.Helper()
		require.Eventually(t, func() bool { _, err := s.peer(network, "198.18.5.1", port, moment); return err == nil }, 5*patience, moment)
	}
	peered("tcp", 40001)
	peered("udp", 40001)
	in := func() uint64 { // the gateway's own ports are the same, and it holds them first
		return client.Report().Guard.Dropped[guard.In] + gateway.Report().Guard.Dropped[guard.In]
	}
	for port, network := range map[uint16]string{8080: "tcp", way.Port: "udp", way.Beats: "udp"} {
		g.say(func(g *grants) { g.udp, g.tcp = port, port })
		gateway.later("it is leased", func(r overlay.Report) bool { return leased(r).Port == port })
		before := in()
		assert.Eventually(t, func() bool {
			_, err := s.peer(network, "198.18.5.1", port, moment)
			assert.Error(t, err, port)
			return in() > before
		}, patience, moment, port)
	}
	require.NoError(t, s.node.Do(t, func() error {
		c, err := net.DialTimeout("tcp", "10.42.0.5:8080", patience)
		if err == nil {
			_ = c.Close()
		}
		return err
	}), "the cluster does")
}

// A provider that gives other ports for TCP than for UDP gives none that a torrent client could use.
func TestUnevenPorts(t *testing.T) {
	s := newWorld(t)
	s.provide(&grants{udp: 40001, tcp: 40002, lifetime: 60})
	s.clientAgent("10.42.0.5", way, qbittorrentKey)
	m := s.gatewayAgent("10.42.0.7", nil)
	m.wantPort()
	l := leased(m.Until("it says so", func(r overlay.Report) bool { return leased(r).Error != "" }))
	assert.Contains(t, l.Error, "other ports for TCP")
	assert.Zero(t, l.Port)
}

// A peer has connected to the provider's port. Then the client's end of the overlay goes: what the client says to the peer waits for
// it, and goes nowhere else.
func TestAPeerWhileTheOverlayGoes(t *testing.T) {
	const port = 40001
	s := newWorld(t)
	client, _ := s.shown(port)
	beside, through := s.node.Count(t, "p0.5"), s.world.Count(t, "t0.7")

	var c net.Conn
	require.NoError(t, s.world.Do(t, func() (err error) {
		from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP("198.18.6.6")}, Timeout: patience}
		c, err = from.Dial("tcp", fmt.Sprintf("10.2.0.2:%d", port))
		return err
	}))
	defer c.Close()
	talk := func() (string, error) {
		_ = c.SetDeadline(time.Now().Add(patience))
		if _, err := c.Write([]byte("who am I?")); err != nil {
			return "", err
		}
		buf := make([]byte, 64)
		n, err := c.Read(buf)
		return string(buf[:n]), err
	}
	said, err := talk()
	require.NoError(t, err)
	require.Equal(t, "198.18.6.6", said)
	for range 5 {
		client.Delete(t, "vxlan0")
		said, err = talk()
		require.NoError(t, err)
		require.Equal(t, "198.18.6.6", said)
	}
	assert.Positive(t, through.Of("198.18.6.6"), "so it would be counted")
	assert.Zero(t, beside.Of("198.18.6.6"), "LEAK")
}
