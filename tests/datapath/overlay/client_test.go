//go:build datapath

// Package overlay shows the overlay with packets, in namespaces: a client's pod, the node between, and the gateway's pod.
package overlay

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/charmarr/charmarr-go/tests/internal/ns"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/client"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/guard"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

var (
	way = overlay.Client{
		Device: "eth0", Overlay: "vxlan0", Address: netip.MustParsePrefix("172.16.0.18/20"), Gateway: netip.MustParseAddr("172.16.0.1"),
		Peer: netip.MustParseAddr("10.42.0.7"), VNI: 42, Port: 4790, MTU: 1320,
		Direct: []netip.Prefix{netip.MustParsePrefix("10.42.0.0/16"), netip.MustParsePrefix("10.43.0.0/16"), netip.MustParsePrefix("fd42::/48")},
	}
	rules = overlay.Guard{Device: "eth0", Overlay: "vxlan0", Cluster: way.Direct, Gateways: []netip.Addr{way.Peer}, Port: 4790, Inbound: []uint16{8080}}
)

// stage has two pods on one node; the world is behind the node, and behind the gateway: who answers says who he is.
type stage struct {
	*testing.T
	pod, node, gateway *ns.NS
}

func newStage(t *testing.T) *stage {
	s := &stage{t, ns.New(t), ns.New(t), ns.New(t)}
	s.join(s.pod, "pod0", "10.42.0.5", "fd42::5")
	s.join(s.gateway, "gw0", "10.42.0.7", "fd42::7")
	s.node.Own(t, "198.18.0.0/15", "2001:db8:113::/64", "10.43.0.0/16")
	s.node.Forward(t)
	s.gateway.Own(t, "198.18.0.0/15")
	require.NoError(t, s.gateway.Do(t, func() error { return gatewayEnd(way) }))
	s.answer(s.node, "node")
	s.answer(s.gateway, "gateway")
	return s
}

// join gives a pod its interface: an address of its own, and a router that no network holds, as Calico does.
func (s *stage) join(pod *ns.NS, name, v4, v6 string) {
	s.Helper()
	ns.Veth(s.T, pod, "eth0", s.node, name)
	pod.Addr(s.T, "eth0", v4+"/32", v6+"/128")
	s.node.Addr(s.T, name, "169.254.1.1/32", "fe80::1/64")
	s.node.Route(s.T, name, v4+"/32")
	s.node.Route(s.T, name, v6+"/128")
	pod.Route(s.T, "eth0", "169.254.1.1/32")
	pod.Default(s.T, "eth0", "169.254.1.1")
	pod.Default(s.T, "eth0", "fe80::1")
}

// gatewayEnd is the other end, laid by hand.
func gatewayEnd(c overlay.Client) error {
	v := &netlink.Vxlan{LinkAttrs: netlink.LinkAttrs{Name: "vxlan0", HardwareAddr: overlay.MAC(c.Gateway), MTU: 1400}, VxlanId: int(c.VNI), Port: int(c.Port), SrcAddr: net.ParseIP("10.42.0.7")}
	if err := netlink.LinkAdd(v); err != nil {
		return err
	}
	if err := netlink.AddrAdd(v, &netlink.Addr{IPNet: &net.IPNet{IP: c.Gateway.AsSlice(), Mask: net.CIDRMask(20, 32)}}); err != nil {
		return err
	}
	if err := netlink.LinkSetUp(v); err != nil {
		return err
	}
	mac := overlay.MAC(c.Address.Addr())
	if err := netlink.NeighSet(&netlink.Neigh{LinkIndex: v.Index, State: netlink.NUD_PERMANENT, IP: c.Address.Addr().AsSlice(), HardwareAddr: mac}); err != nil {
		return err
	}
	return netlink.NeighSet(&netlink.Neigh{LinkIndex: v.Index, Family: unix.AF_BRIDGE, State: netlink.NUD_PERMANENT, Flags: netlink.NTF_SELF, IP: net.ParseIP("10.42.0.5"), HardwareAddr: mac})
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

// patience is what a busy machine may take.
const patience = 3 * time.Second

// ask connects from inside a namespace and returns what is said there.
func (s *stage) ask(n *ns.NS, to string) (said string, err error) {
	err = n.Do(s.T, func() error {
		c, err := net.DialTimeout("tcp", to, patience)
		if err != nil {
			return err
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(patience))
		b, err := io.ReadAll(c)
		said = string(b)
		return err
	})
	return said, err
}

func (s *stage) set(c overlay.Client) {
	s.Helper()
	require.NoError(s, s.pod.Do(s.T, func() error {
		h, err := client.Here()
		if err != nil {
			return err
		}
		defer h.Close()
		return h.SetUp(c)
	}))
}

// The world is reached through the gateway, the cluster as before, and whoever asks the pod is answered where he asked.
func TestTheWay(t *testing.T) {
	s := newStage(t)
	said, err := s.ask(s.pod, "198.18.0.1:443")
	require.NoError(t, err)
	require.Equal(t, "node sees 10.42.0.5", said, "before")

	require.NoError(t, s.pod.Do(t, func() error { return guard.Install(rules) }))
	s.set(way)
	said, err = s.ask(s.pod, "198.18.0.1:443")
	require.NoError(t, err)
	assert.Equal(t, "gateway sees 172.16.0.18", said)
	said, err = s.ask(s.pod, "10.43.0.1:443")
	require.NoError(t, err)
	assert.Equal(t, "node sees 10.42.0.5", said)
	start := time.Now()
	_, err = s.ask(s.pod, "[2001:db8:113::1]:443")
	assert.ErrorIs(t, err, unix.EHOSTUNREACH, "there is no IPv6 in this overlay")
	assert.Less(t, time.Since(start), 100*time.Millisecond, "it is refused, not lost")

	// A kubelet asks from the node's own address, which no network of the cluster holds; so does a client of a NodePort.
	s.pod.Listen(t, 8080, func(c net.Conn) {
		fmt.Fprint(c, "pod")
		_ = c.Close()
	})
	for _, from := range []string{"198.18.7.7", "169.254.1.1"} {
		require.NoError(t, s.node.Do(t, func() error {
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: patience}
			c, err := d.Dial("tcp", "10.42.0.5:8080")
			if err != nil {
				return err
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(patience))
			b, err := io.ReadAll(c)
			assert.Equal(t, "pod", string(b))
			return err
		}), from)
	}
}

// Set up again, nothing changes, and connections go on; with another gateway's pod they go on too.
func TestSetUpAgain(t *testing.T) {
	s := newStage(t)
	s.set(way)
	index := s.pod.Index(t, "vxlan0")
	s.set(way)
	assert.Equal(t, index, s.pod.Index(t, "vxlan0"))
	said, err := s.ask(s.pod, "198.18.0.1:443")
	require.NoError(t, err)
	require.Equal(t, "gateway sees 172.16.0.18", said)

	moved := way
	moved.Peer = netip.MustParseAddr("10.42.0.8")
	s.set(moved)
	_, err = s.ask(s.pod, "198.18.0.1:443")
	assert.Error(t, err, "there is nobody")
	s.set(way)
	assert.Equal(t, index, s.pod.Index(t, "vxlan0"))
	_, err = s.ask(s.pod, "198.18.0.1:443")
	assert.NoError(t, err)

	other := way
	other.VNI, other.Direct = 43, way.Direct[:1]
	s.set(other)
	assert.NotEqual(t, index, s.pod.Index(t, "vxlan0"), "another overlay is another interface")
	_, err = s.ask(s.pod, "10.43.0.1:443")
	assert.Error(t, err, "what is not direct any more takes the overlay")
}

// Without its interface the way is closed, even without the guard: the CNI's own routes lead nowhere.
func TestTheWayFailsClosed(t *testing.T) {
	s := newStage(t)
	s.set(way)
	s.pod.Delete(t, "vxlan0")
	_, err := s.ask(s.pod, "198.18.0.1:443")
	assert.ErrorIs(t, err, unix.EHOSTUNREACH)
	s.pod.Default(t, "eth0", "169.254.1.1") // somebody lays the route once more
	_, err = s.ask(s.pod, "198.18.0.1:443")
	assert.ErrorIs(t, err, unix.EHOSTUNREACH)
	said, err := s.ask(s.pod, "10.43.0.1:443")
	require.NoError(t, err)
	assert.Equal(t, "node sees 10.42.0.5", said)
	s.set(way)
	said, err = s.ask(s.pod, "198.18.0.1:443")
	require.NoError(t, err)
	assert.Equal(t, "gateway sees 172.16.0.18", said)
}
