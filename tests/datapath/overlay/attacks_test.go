//go:build datapath

package overlay

import (
	"net"
	"net/netip"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/tests/internal/ns"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/gateway"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/guard"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// many are told from what a network says of itself, which a guard counts too.
const many = 10

// within changes whom a frame is for and from, by hardware address.
func within(f []byte, to, from net.HardwareAddr) []byte {
	copy(f[8:], to)
	copy(f[8+6:], from)
	return f
}

// hears counts the datagrams that come to a port.
func (s *stage) hears(n *ns.NS, port int) *atomic.Int64 {
	s.Helper()
	heard := new(atomic.Int64)
	require.NoError(s, n.Do(s.T, func() error {
		c, err := net.ListenUDP("udp", &net.UDPAddr{Port: port})
		if err != nil {
			return err
		}
		s.Cleanup(func() { _ = c.Close() })
		go func() {
			for text := make([]byte, 2000); ; heard.Add(1) {
				if _, err := c.Read(text); err != nil {
					return
				}
			}
		}()
		return nil
	}))
	return heard
}

func (s *stage) comes(heard *atomic.Int64, why string) {
	s.Helper()
	require.Eventually(s, func() bool { return heard.Swap(0) > 0 }, patience, moment/10, why)
}

// By one datagram with the gateway's hardware address, and no capability, any pod has the client's packets sent to itself: of an end
// that learns. Ours does not, and its guard does not let the datagram in.
func TestNobodyTakesTheWayToTheGateway(t *testing.T) {
	for name, lay := range map[string]func(s *stage){
		"as pod-gateway": func(s *stage) {
			s.pod.Learning(t, "vxlan0", int(way.VNI), int(way.Port), way.Address.String(), overlay.MAC(way.Address.Addr()), "10.42.0.7")
			s.pod.Known(t, "vxlan0", way.Gateway.String(), overlay.MAC(way.Gateway))
			s.pod.Via(t, "vxlan0", "198.18.0.0/15", way.Gateway.String())
		},
		"ours":                  func(s *stage) { s.set(s.pod, way) },
		"ours behind its guard": func(s *stage) { s.guarded(s.pod, way) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			lay(s)
			attacker := s.join("10.42.0.66", "fd42::66")
			got := s.hears(attacker, int(way.Port))
			s.sees(s.pod, "world sees 10.2.0.2")
			for range many {
				s.inject(attacker, "10.42.0.5", within(
					frame(way.VNI, netip.AddrPortFrom(way.Gateway, 5000), netip.AddrPortFrom(way.Address.Addr(), 5000), "x"),
					overlay.MAC(way.Address.Addr()), overlay.MAC(way.Gateway)))
			}
			if name == "as pod-gateway" {
				_, err := s.ask(s.pod, "198.18.0.1:443", moment)
				assert.Error(t, err)
				s.comes(got, "the attacker has the client's packets")
				return
			}
			s.sees(s.pod, "world sees 10.2.0.2")
			assert.Zero(t, got.Load(), "LEAK: the attacker has the client's packets")
			if name == "ours behind its guard" {
				assert.GreaterOrEqual(t, s.dropped(s.pod, guard.In), uint64(many))
			}
		})
	}
}

// sees expects what the world says.
func (s *stage) sees(pod *ns.NS, what string) {
	s.Helper()
	said, err := s.ask(pod, "198.18.0.1:443", patience)
	require.NoError(s, err)
	require.Equal(s, what, said)
}

// The same at the other end: the answers to a client go to its pod, whoever sends with its hardware address.
func TestNobodyTakesTheWayBack(t *testing.T) {
	s := newStage(t)
	s.set(s.pod, way)
	attacker, second := s.join("10.42.0.66", "fd42::66"), s.join("10.42.0.6", "fd42::6")
	require.NoError(t, s.gateway.pin(t, other.Address.Addr(), "10.42.0.6"))
	learns := s.taught()
	for _, a := range []struct {
		name string
		pod  *ns.NS
		from netip.Addr
		may  bool // it is let in, and learned from by nobody
	}{
		{"a stranger", attacker, way.Address.Addr(), false},
		{"another client, in its own name", second, other.Address.Addr(), true},
	} {
		got := s.hears(a.pod, int(way.Port))
		before := s.gateway.dropped(t, gateway.Spoofed)
		f := within(frame(way.VNI, netip.AddrPortFrom(a.from, 5000), netip.MustParseAddrPort("203.0.113.1:9000"), "x"),
			overlay.MAC(way.Gateway), overlay.MAC(way.Address.Addr()))
		s.inject(a.pod, "10.42.0.7", f)
		s.sees(s.pod, "world sees 10.2.0.2")
		assert.Zero(t, got.Load(), "LEAK: %s has the client's answers", a.name)
		if !a.may {
			assert.Equal(t, before+1, s.gateway.dropped(t, gateway.Spoofed), a.name)
		}
		learns(a.pod, f)
		s.comes(got, "of an end that learns: "+a.name)
	}
}

// taught sends a frame to an end of the overlay as pod-gateway makes it, and has that answer the client.
func (s *stage) taught() func(by *ns.NS, f []byte) {
	s.Helper()
	end := s.join("10.42.0.9", "fd42::9")
	end.Learning(s.T, "vxlan0", int(way.VNI), int(way.Port), way.Gateway.String()+"/20", overlay.MAC(way.Gateway), "10.42.0.5")
	end.Known(s.T, "vxlan0", way.Address.Addr().String(), overlay.MAC(way.Address.Addr()))
	return func(by *ns.NS, f []byte) {
		s.Helper()
		s.inject(by, "10.42.0.9", f)
		require.NoError(s, end.Do(s.T, func() error {
			c, err := net.Dial("udp", netip.AddrPortFrom(way.Address.Addr(), 5000).String())
			if err != nil {
				return err
			}
			defer c.Close()
			_, err = c.Write([]byte("x"))
			return err
		}))
	}
}

// What is in the encapsulation comes from the gateway's pod, or is not heard: neither in the world's name, nor from another client that
// knows where its neighbour is. And it is for the client's address in the overlay alone.
func TestNobodySendsIntoAClient(t *testing.T) {
	s := newStage(t)
	attacker, second := s.join("10.42.0.66", "fd42::66"), s.join("10.42.0.6", "fd42::6")
	s.set(second, other)
	heard := s.hears(s.pod, 5000)
	s.set(s.pod, way)
	in := func(from, to string) []byte {
		return within(frame(way.VNI, netip.MustParseAddrPort(from), netip.AddrPortFrom(netip.MustParseAddr(to), 5000), "x"),
			overlay.MAC(way.Address.Addr()), overlay.MAC(way.Gateway))
	}
	attacks := []struct {
		name string
		pod  *ns.NS
		f    []byte
	}{
		{"a stranger, in the world's name", attacker, in("8.8.4.4:53", "172.16.0.18")},
		{"a stranger, in the gateway's name", attacker, in("172.16.0.1:5000", "172.16.0.18")},
		{"another client, in its own name", second, in("172.16.0.33:5000", "172.16.0.18")},
		{"a stranger, to the pod's own address", attacker, in("8.8.4.4:53", "10.42.0.5")},
		{"somebody behind the tunnel, to the pod's own address", s.gateway.NS, in("8.8.4.4:53", "10.42.0.5")},
	}
	for _, a := range attacks {
		s.inject(a.pod, "10.42.0.5", a.f)
		s.comes(heard, "without the guard: "+a.name)
	}
	g := rules
	g.Own = way.Address.Addr()
	require.NoError(t, s.pod.Do(t, func() error { return guard.Install(g) }))
	for _, a := range attacks {
		before := s.dropped(s.pod, guard.In)
		for range many {
			s.inject(a.pod, "10.42.0.5", a.f)
		}
		require.Eventually(t, func() bool { return s.dropped(s.pod, guard.In) >= before+many }, patience, moment/10, a.name)
		assert.Zero(t, heard.Load(), a.name)
	}
	s.inject(s.gateway.NS, "10.42.0.5", attacks[0].f)
	s.comes(heard, "the same, from the gateway")
}

// A gateway as pod-gateway makes it forwards into the cluster with its own address, which policies let through: ours forwards nothing
// there, for clients as for strangers.
func TestNobodyReachesPodsThroughTheGateway(t *testing.T) {
	s := newStage(t)
	attacker, victim := s.join("10.42.0.66", "fd42::66"), s.join("10.42.0.6", "fd42::6")
	heard := s.hears(victim, 9000)
	byHand := s.join("10.42.0.9", "fd42::9")
	byHand.Learning(t, "vxlan0", int(way.VNI), int(way.Port), way.Gateway.String()+"/20", overlay.MAC(way.Gateway), "10.42.0.5")
	byHand.Forward(t)
	byHand.Masquerade(t, "vxlan0", "eth0")
	f := frame(way.VNI, netip.AddrPortFrom(way.Address.Addr(), 5000), netip.MustParseAddrPort("10.42.0.6:9000"), "x")
	for _, a := range []struct {
		pod     *ns.NS
		counter string
	}{{attacker, gateway.Spoofed}, {s.pod, gateway.Beyond}} {
		s.inject(a.pod, "10.42.0.9", f)
		s.comes(heard, "by the gateway that was made by hand")
		before := s.gateway.dropped(t, a.counter)
		s.inject(a.pod, "10.42.0.7", f)
		require.Eventually(t, func() bool { return s.gateway.dropped(t, a.counter) == before+1 }, patience, moment/10, a.counter)
		assert.Zero(t, heard.Load(), a.counter)
	}
}

// Who is behind the tunnel may send the encapsulation too: it is not opened.
func TestNobodySendsTheEncapsulationThroughTheTunnel(t *testing.T) {
	s := newStage(t)
	heard := s.hears(s.node, 9000)
	f := frame(way.VNI, netip.AddrPortFrom(way.Address.Addr(), 5000), netip.MustParseAddrPort("198.18.0.1:9000"), "x")
	seen := s.world.Count(t, "t0.7")
	before := s.gateway.dropped(t, gateway.Unasked)
	s.inject(s.world, "10.2.0.2", f)
	require.Eventually(t, func() bool { return s.gateway.dropped(t, gateway.Unasked) == before+1 }, patience, moment/10)
	assert.Zero(t, seen.Of("198.18.0.1"))
	assert.Zero(t, heard.Load())
	s.inject(s.pod, "10.42.0.7", f)
	assert.Positive(t, seen.Until("198.18.0.1"), "the same, from the client's pod")
}
