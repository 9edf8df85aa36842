//go:build datapath

// Package overlay shows the overlay with packets, in namespaces: clients' pods, the node between them, gateways' pods, and the
// world behind their tunnels.
package overlay

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/tests/internal/ns"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/client"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/gateway"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/guard"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/route"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

var (
	way = overlay.Client{
		Device: "eth0", Overlay: "vxlan0", Address: netip.MustParsePrefix("172.16.0.18/20"), Gateway: netip.MustParseAddr("172.16.0.1"),
		Peer: netip.MustParseAddr("10.42.0.7"), VNI: 42, Port: 4790, Beats: 4791, MTU: 1320,
		Direct: []netip.Prefix{netip.MustParsePrefix("10.42.0.0/16"), netip.MustParsePrefix("10.43.0.0/16"), netip.MustParsePrefix("fd42::/48")},
	}
	rules  = overlay.Guard{Device: "eth0", Overlay: "vxlan0", Cluster: way.Direct, Gateways: []netip.Addr{way.Peer}, Port: way.Port, Beats: way.Beats, Inbound: []uint16{8080}}
	server = netip.MustParseAddrPort("192.0.2.2:51820") // of a VPN, in the world
	ours   = overlay.Gateway{
		Device: "eth0", Overlay: "vxlan0", Tunnel: "tun0", Address: netip.PrefixFrom(way.Gateway, 20), VNI: way.VNI, Port: way.Port, Beats: way.Beats, MTU: way.MTU, Cluster: way.Direct,
		Blocks: []overlay.Block{
			{Name: "qbittorrent", Addresses: netip.MustParsePrefix("172.16.0.16/28")},
			{Name: "sabnzbd", Addresses: netip.MustParsePrefix("172.16.0.32/28")},
		},
	}
)

// stage has pods on one node. The world is behind the node, and behind the tunnel: who answers says who he is.
type stage struct {
	*testing.T
	node, world, pod *ns.NS
	gateway          *end
	off              bool                              // new interfaces of pods have no IPv6
	mtu              int                               // of pods; 0: Ethernet's
	tunnel           func(gateway *ns.NS, name string) // joins it to the world
}

// end is a gateway's pod.
type end struct {
	*gateway.Gateway
	*ns.NS
}

func newStage(t *testing.T) *stage {
	s := newWorld(t)
	s.pod = s.join("10.42.0.5", "fd42::5")
	s.gateway = s.gatewayAt("10.42.0.7")
	require.NoError(t, s.gateway.pin(t, way.Address.Addr(), "10.42.0.5"))
	return s
}

// newWorld has no pods yet.
func newWorld(t *testing.T) *stage {
	s := &stage{T: t, node: ns.New(t), world: ns.New(t)}
	s.tunnel = s.plain
	s.node.Own(t, "198.18.0.0/15", "2001:db8:113::/64", "10.43.0.0/16")
	s.node.Forward(t)
	s.world.Own(t, "198.18.0.0/15", "10.42.0.0/16")
	s.world.Addr(t, "lo", "198.18.0.1/32") // what it asks from
	s.answer(s.node, "node")
	s.answer(s.world, "world")
	return s
}

// join makes a pod with an interface: an address of its own, and a router that no network holds, as Calico does.
func (s *stage) join(v4, v6 string) *ns.NS {
	s.Helper()
	pod, name := ns.New(s.T), "p"+v4[len("10.42."):]
	ns.Veth(s.T, pod, "eth0", s.node, name)
	if s.mtu != 0 {
		pod.MTU(s.T, "eth0", s.mtu)
		s.node.MTU(s.T, name, s.mtu)
	}
	pod.Addr(s.T, "eth0", v4+"/32", v6+"/128")
	s.node.Addr(s.T, name, "169.254.1.1/32", "fe80::1/64")
	s.node.Route(s.T, name, v4+"/32")
	s.node.Route(s.T, name, v6+"/128")
	pod.Route(s.T, "eth0", "169.254.1.1/32")
	pod.Default(s.T, "eth0", "169.254.1.1")
	pod.Default(s.T, "eth0", "fe80::1")
	if s.off {
		pod.Sysctl(s.T, "net/ipv6/conf/default/disable_ipv6", "1")
	}
	return pod
}

// gatewayAt makes a gateway's pod. There is one tunnel address: the newest gateway has it.
func (s *stage) gatewayAt(v4 string) *end {
	s.Helper()
	e := &end{NS: s.join(v4, "fd42::"+v4[len("10.42.0."):])}
	s.tunnel(e.NS, "t"+v4[len("10.42."):])
	require.NoError(s, e.Do(s.T, func() error {
		h, err := route.Here()
		if err != nil {
			return err
		}
		s.Cleanup(h.Close)
		if e.Gateway, err = gateway.New(h, ours); err != nil {
			return err
		}
		return e.SetUp()
	}))
	return e
}

// plain is a tunnel that encrypts nothing.
func (s *stage) plain(gateway *ns.NS, name string) {
	s.Helper()
	ns.Veth(s.T, gateway, "tun0", s.world, name)
	gateway.Addr(s.T, "tun0", "10.2.0.2/32")
	gateway.Route(s.T, "tun0", "198.18.0.0/15") // as a VPN client does, for the pod's own
	s.world.Route(s.T, name, "10.2.0.2/32")
}

func (e *end) pin(t *testing.T, client netip.Addr, pod string) error {
	t.Helper()
	return e.Do(t, func() error { return e.Pin(client, netip.MustParseAddr(pod)) })
}

func (e *end) setUp(t *testing.T) error { return e.Do(t, e.SetUp) }

func (e *end) dropped(t *testing.T, counter string) (n uint64) {
	t.Helper()
	require.NoError(t, e.Do(t, func() error {
		all, err := gateway.Dropped()
		n = all[counter]
		return err
	}))
	return n
}

// answer says who it is, and whom it sees.
func (s *stage) answer(n *ns.NS, name string) {
	s.Helper()
	n.Listen(s.T, 443, func(c net.Conn) {
		host, _, _ := net.SplitHostPort(c.RemoteAddr().String())
		fmt.Fprintf(c, "%s sees %s", name, host)
		_ = c.Close()
	})
}

const (
	patience = 3 * time.Second        // what a busy machine may take
	moment   = 200 * time.Millisecond // what is waited for what is not to come
)

// ask connects from inside a namespace and returns what is said there.
func (s *stage) ask(n *ns.NS, to string, wait time.Duration) (said string, err error) {
	err = n.Do(s.T, func() error {
		c, err := net.DialTimeout("tcp", to, wait)
		if err != nil {
			return err
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(wait))
		b, err := io.ReadAll(c)
		said = string(b)
		return err
	})
	return said, err
}

// set makes a pod a client.
func (s *stage) set(pod *ns.NS, c overlay.Client) {
	s.Helper()
	s.asked(pod, c, rules.Inbound...)
}

// asked makes a pod a client that knows on which ports it is asked.
func (s *stage) asked(pod *ns.NS, c overlay.Client, ports ...uint16) {
	s.Helper()
	require.NoError(s, pod.Do(s.T, func() error {
		h, err := route.Here()
		if err != nil {
			return err
		}
		defer h.Close()
		if err := client.SetUp(h, client.Config{Client: c, Inbound: ports}, false); err != nil {
			return err
		}
		return client.Point(h, c, c.Peer)
	}))
}

// guarded makes a pod a client behind its guard.
func (s *stage) guarded(pod *ns.NS, c overlay.Client) {
	s.Helper()
	g := rules
	g.Gateways = []netip.Addr{c.Peer}
	require.NoError(s, pod.Do(s.T, func() error { return guard.Install(g) }))
	s.set(pod, c)
}

// dropped is what a pod's guard has dropped.
func (s *stage) dropped(pod *ns.NS, counter string) (n uint64) {
	s.Helper()
	require.NoError(s, pod.Do(s.T, func() error {
		all, err := guard.Dropped()
		n = all[counter]
		return err
	}))
	return n
}
