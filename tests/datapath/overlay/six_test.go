//go:build datapath

package overlay

import (
	"encoding/binary"
	"net"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/charmarr/charmarr-go/tests/internal/ns"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/gateway"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// In the world; the node would answer in its place.
const somewhere6, own6 = "2001:db8:113::1", "2001:db8:113::15"

// dual is a tunnel that has IPv6, in a pod that may forward it.
func (s *stage) dual(gateway *ns.NS, name string) {
	s.Helper()
	s.addressed(gateway, name)
	gateway.Forward(s.T)
}

// addressed is a tunnel that has IPv6.
func (s *stage) addressed(gateway *ns.NS, name string) {
	s.Helper()
	s.plain(gateway, name)
	gateway.Addr(s.T, "tun0", "fd10::2/128")
	gateway.Route(s.T, "tun0", "2001:db8:113::/64")
	s.world.Route(s.T, name, "fd10::2/128")
	for _, a := range []string{somewhere6, own6} { // in a tunnel nobody asks who has an address
		gateway.Neighbour(s.T, "tun0", a, s.world, name)
	}
	s.world.Neighbour(s.T, name, "fd10::2", gateway, "tun0")
}

// newWorld6 has IPv6 in its tunnels.
func newWorld6(t *testing.T) *stage {
	s := newWorld(t)
	s.world.Own(t, "2001:db8:113::/64")
	s.tunnel = s.dual
	return s
}

func (s *stage) refused6(pod *ns.NS) {
	s.Helper()
	_, err := s.ask(pod, "["+somewhere6+"]:443", patience)
	require.ErrorIs(s, err, unix.EHOSTUNREACH, "refused at once, so that whoever asks takes IPv4")
}

// IPv6 takes the tunnel where the tunnel has it, and is refused where it has not. It never takes another way.
func TestIPv6TakesTheTunnelToo(t *testing.T) {
	s := newWorld6(t)
	pod := s.clientAgent("10.42.0.5", way, qbittorrentKey)
	pod.Until("the overlay is laid", laid)
	out := s.node.Count(t, "p0.5")
	s.refused6(pod.NS)

	gateway := s.gatewayAgent("10.42.0.7", nil)
	s.through(pod.NS)
	pod.Until("it is told of IPv6", func(r overlay.Report) bool { return r.Client.IPv6 })
	said, err := s.ask(pod.NS, "["+somewhere6+"]:443", patience)
	require.NoError(t, err)
	assert.Equal(t, "world sees fd10::2", said)
	assert.True(t, gateway.Report().Gateway.IPv6)

	// The gateway is gone: nothing else is found.
	seen := pods(gateway)
	gateway.gone(t)
	pod.Until("the gateway is lost", func(r overlay.Report) bool { return r.Client.Lost })
	_, err = s.ask(pod.NS, "["+somewhere6+"]:443", moment)
	require.Error(t, err)

	// The next one's tunnel has none.
	s.tunnel = s.plain
	s.gatewayAgent("10.42.0.8", seen)
	s.through(pod.NS)
	pod.Until("it is told of none", func(r overlay.Report) bool { return !r.Client.IPv6 })
	s.refused6(pod.NS)
	assert.Zero(t, out.Of(somewhere6), "LEAK")
	assert.Empty(t, pod.Report().Client.Error)

	bare := s.join("10.42.0.6", "fd42::6")
	control := s.node.Count(t, "p0.6")
	said, err = s.ask(bare, "["+somewhere6+"]:443", patience)
	require.NoError(t, err)
	assert.Equal(t, "node sees fd42::6", said, "a pod that nobody guards")
	assert.Positive(t, control.Until(somewhere6))
}

// A pod that may not forward IPv6 says what to allow.
func TestIPv6IsNotForwarded(t *testing.T) {
	s := newWorld6(t)
	s.tunnel = s.addressed
	gateway := s.gatewayAgent("10.42.0.7", nil)
	pod := s.clientAgent("10.42.0.5", way, qbittorrentKey)
	s.through(pod.NS)
	report := gateway.Until("the tunnel is looked at", func(r overlay.Report) bool { return r.Gateway.NoIPv6 != "" })
	assert.Contains(t, report.Gateway.NoIPv6, "net.ipv6.conf.all.forwarding")
	assert.False(t, report.Gateway.IPv6)
	s.refused6(pod.NS)
}

// Where IPv6 is switched off in a pod, IPv4 goes its way.
func TestIPv6IsSwitchedOff(t *testing.T) {
	s := newWorld6(t)
	s.off, s.tunnel = true, s.plain
	gateway := s.gatewayAgent("10.42.0.7", nil)
	pod := s.clientAgent("10.42.0.5", way, qbittorrentKey)
	s.through(pod.NS)
	report := gateway.Until("the tunnel is looked at", func(r overlay.Report) bool { return r.Gateway.Tunnel })
	assert.Empty(t, report.Gateway.Error)
	assert.Empty(t, pod.Report().Client.Error)
	require.NoError(t, pod.Do(t, func() error {
		link, err := net.InterfaceByName("vxlan0")
		if err != nil {
			return err
		}
		have, err := link.Addrs()
		assert.Len(t, have, 1, "it is switched off indeed: there is the IPv4 address alone")
		return err
	}))
}

// Where IPv6 is switched off on the pod's own interface alone, or on all, IPv4 goes its way. What is the cluster's by IPv6 is refused, until it is
// switched on.
func TestIPv6IsSwitchedOffOnTheDevice(t *testing.T) {
	for _, where := range []string{"eth0", "all"} {
		t.Run(where, func(t *testing.T) {
			s := newWorld(t)
			s.node.Own(t, "fd42::ffff/128")
			pod := s.join("10.42.0.5", "fd42::5")
			cluster := func() (string, error) { return s.ask(pod, "[fd42::ffff]:443", patience) }
			said, err := cluster()
			require.NoError(t, err)
			require.Equal(t, "node sees fd42::5", said, "it is there")
			pod.Sysctl(t, "net/ipv6/conf/"+where+"/disable_ipv6", "1")
			gateway := s.gatewayAt("10.42.0.7")
			require.NoError(t, gateway.pin(t, way.Address.Addr(), "10.42.0.5"))
			s.guarded(pod, way)
			s.through(pod)
			_, err = cluster()
			assert.ErrorIs(t, err, map[string]error{"eth0": unix.EHOSTUNREACH, "all": unix.EADDRNOTAVAIL}[where], "at once, so that whoever asks takes IPv4")
			said, err = s.ask(pod, "10.43.0.1:443", patience)
			require.NoError(t, err)
			assert.Equal(t, "node sees 10.42.0.5", said)

			pod.Sysctl(t, "net/ipv6/conf/"+where+"/disable_ipv6", "0")
			pod.Addr(t, "eth0", "fd42::5/128")
			pod.Default(t, "eth0", "fe80::1")
			s.set(pod, way)
			said, err = cluster()
			require.NoError(t, err)
			assert.Equal(t, "node sees fd42::5", said)
			s.set(pod, way) // and stays
			_, err = cluster()
			assert.NoError(t, err)
		})
	}
}

// Nobody sends IPv6 in another's name either, nor to the cluster or to another client.
func TestNobodySendsInAnothersName6(t *testing.T) {
	s := newWorld6(t)
	g := s.gatewayAgent("10.42.0.7", nil)
	pod := s.clientAgent("10.42.0.5", way, qbittorrentKey)
	neighbour := s.clientAgent("10.42.0.6", other, keyOf("sabnzbd"))
	for _, m := range []*member{pod, neighbour} {
		s.through(m.NS)
		m.Until("it is told of IPv6", func(r overlay.Report) bool { return r.Client.IPv6 })
	}
	attacker := s.join("10.42.0.66", "fd42::66")
	dropped := func(counter string) uint64 { return g.Report().Gateway.Dropped[counter] }
	world, back := s.world.Count(t, "t0.7"), s.node.Count(t, "p0.7")
	own, others := overlay.Six(way.VNI, way.Address.Addr()), overlay.Six(way.VNI, other.Address.Addr())
	to := func(text string) netip.AddrPort { return netip.AddrPortFrom(netip.MustParseAddr(text), 9000) }
	attacks := []struct {
		name, counter string
		pod           *ns.NS
		from          netip.Addr
		to            string
	}{
		{"in a client's name", gateway.Spoofed, attacker, own, "2001:db8:113::11"},
		{"a client, in another's", gateway.Spoofed, pod.NS, others, "2001:db8:113::12"},
		{"a client, with its pod's own address", gateway.Spoofed, pod.NS, netip.MustParseAddr("fd42::5"), "2001:db8:113::13"},
		{"a client, of another overlay", gateway.Spoofed, pod.NS, overlay.Six(way.VNI+1, way.Address.Addr()), "2001:db8:113::14"},
		{"a client to a pod", gateway.Beyond, pod.NS, own, "fd42::6"},
		{"a client to another", gateway.Between, pod.NS, own, others.String()},
		{"a client to the gateway", gateway.Local, pod.NS, own, overlay.Six(way.VNI, way.Gateway).String()},
	}
	for _, a := range attacks {
		before := dropped(a.counter)
		s.inject(a.pod, "10.42.0.7", frame6(netip.AddrPortFrom(a.from, 5000), to(a.to)))
		require.Eventually(t, func() bool { return dropped(a.counter) == before+1 }, patience, moment/10, a.name)
		assert.Zero(t, world.Of(a.to)+back.Of(a.to), a.name)
	}
	s.inject(pod.NS, "10.42.0.7", frame6(netip.AddrPortFrom(own, 5000), to(own6)))
	assert.Positive(t, world.Until(own6), "the same packet, in its own name")
}

// frame6 is a datagram of IPv6 in the encapsulation.
func frame6(from, to netip.AddrPort) []byte {
	const text = "x"
	udp := binary.BigEndian.AppendUint16(nil, from.Port())
	udp = binary.BigEndian.AppendUint16(udp, to.Port())
	udp = binary.BigEndian.AppendUint16(udp, uint16(8+len(text)))
	udp = append(append(udp, 0, 0), text...)
	ends := append(from.Addr().AsSlice(), to.Addr().AsSlice()...)
	binary.BigEndian.PutUint16(udp[6:], checksum(append(append(ends, 0, byte(len(udp)), 0, unix.IPPROTO_UDP), udp...)))
	ip := []byte{0x60, 0, 0, 0, 0, byte(len(udp)), unix.IPPROTO_UDP, 64}
	return encapsulated(way.VNI, way.Address.Addr(), unix.ETH_P_IPV6, append(append(ip, ends...), udp...))
}
