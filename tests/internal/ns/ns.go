// Package ns makes network namespaces for tests, and what joins them. Nothing outside of them is touched, and all of it goes
// with the test. It needs root.
package ns

import (
	"net"
	"os"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// NS is one network namespace.
type NS struct {
	handle netns.NsHandle
	links  *netlink.Handle
}

// New makes one with its loopback up.
func New(t *testing.T) *NS {
	t.Helper()
	n := &NS{handle: netns.None()}
	var err error
	onThread(func() {
		var own netns.NsHandle
		if own, err = netns.Get(); err != nil {
			return
		}
		defer own.Close()
		if n.handle, err = netns.New(); err == nil { // the thread is in it now
			err = netns.Set(own)
		}
	})
	require.NoError(t, err, "cannot make a network namespace: run as root")
	t.Cleanup(func() { _ = n.handle.Close() })
	n.links, err = netlink.NewHandleAt(n.handle)
	require.NoError(t, err)
	t.Cleanup(n.links.Close)
	n.Up(t, "lo")
	return n
}

// onThread runs f on a thread that goes with it, if f has left it in another namespace.
func onThread(f func()) {
	done := make(chan struct{})
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		defer close(done)
		f()
	}()
	<-done
}

// Do runs f inside. What f opens stays inside; goroutines that it starts do not.
func (n *NS) Do(t *testing.T, f func() error) error {
	t.Helper()
	var err error
	onThread(func() {
		if err = netns.Set(n.handle); err == nil {
			err = f()
		}
	})
	return err
}

// Veth joins two namespaces by a pair of interfaces.
func Veth(t *testing.T, a *NS, nameA string, b *NS, nameB string) {
	t.Helper()
	require.NoError(t, a.links.LinkAdd(&netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: nameA}, PeerName: nameB, PeerNamespace: netlink.NsFd(b.handle),
	}))
	a.Up(t, nameA)
	b.Up(t, nameB)
}

func (n *NS) link(t *testing.T, name string) netlink.Link {
	t.Helper()
	l, err := n.links.LinkByName(name)
	require.NoError(t, err, name)
	return l
}

// Up brings an interface up.
func (n *NS) Up(t *testing.T, name string) {
	t.Helper()
	require.NoError(t, n.links.LinkSetUp(n.link(t, name)))
}

// Down takes an interface down.
func (n *NS) Down(t *testing.T, name string) {
	t.Helper()
	require.NoError(t, n.links.LinkSetDown(n.link(t, name)))
}

// MTU says how much an interface takes at once, in bytes.
func (n *NS) MTU(t *testing.T, name string, bytes int) {
	t.Helper()
	require.NoError(t, n.links.LinkSetMTU(n.link(t, name), bytes))
}

// Takes is how much an interface takes at once, in bytes.
func (n *NS) Takes(t *testing.T, name string) int {
	t.Helper()
	return n.link(t, name).Attrs().MTU
}

// Delete takes an interface away.
func (n *NS) Delete(t *testing.T, name string) {
	t.Helper()
	require.NoError(t, n.links.LinkDel(n.link(t, name)))
}

// Addr gives an interface addresses such as "10.42.0.5/24". They may be used at once: nobody asks who else has them.
func (n *NS) Addr(t *testing.T, name string, addresses ...string) {
	t.Helper()
	for _, text := range addresses {
		a, err := netlink.ParseAddr(text)
		require.NoError(t, err)
		if a.IP.To4() == nil {
			a.Flags = unix.IFA_F_NODAD
		}
		require.NoError(t, n.links.AddrAdd(n.link(t, name), a), "%s on %s", text, name)
	}
}

// NoAddr takes addresses away from an interface.
func (n *NS) NoAddr(t *testing.T, name string, addresses ...string) {
	t.Helper()
	for _, text := range addresses {
		a, err := netlink.ParseAddr(text)
		require.NoError(t, err)
		require.NoError(t, n.links.AddrDel(n.link(t, name), a), "%s on %s", text, name)
	}
}

// Default lays a default route, in the place of one that is there.
func (n *NS) Default(t *testing.T, name, via string) {
	t.Helper()
	require.NoError(t, n.links.RouteReplace(&netlink.Route{LinkIndex: n.link(t, name).Attrs().Index, Gw: net.ParseIP(via)}))
}

// Neighbour says that an address is behind an interface, at the one of another namespace: nobody is asked.
func (n *NS) Neighbour(t *testing.T, name, address string, other *NS, otherName string) {
	t.Helper()
	require.NoError(t, n.links.NeighSet(&netlink.Neigh{
		LinkIndex: n.link(t, name).Attrs().Index, State: netlink.NUD_PERMANENT, IP: net.ParseIP(address), HardwareAddr: other.link(t, otherName).Attrs().HardwareAddr,
	}))
}

// Own makes every address of a network this namespace's own.
func (n *NS) Own(t *testing.T, networks ...string) {
	t.Helper()
	for _, text := range networks {
		_, network, err := net.ParseCIDR(text)
		require.NoError(t, err)
		require.NoError(t, n.links.RouteAdd(&netlink.Route{
			LinkIndex: n.link(t, "lo").Attrs().Index, Dst: network, Type: unix.RTN_LOCAL, Table: unix.RT_TABLE_LOCAL, Scope: netlink.SCOPE_HOST,
		}))
	}
}

// Inode is the namespace's number, by which it is told from others.
func (n *NS) Inode(t *testing.T) uint64 {
	t.Helper()
	var stat unix.Stat_t
	require.NoError(t, unix.Fstat(int(n.handle), &stat))
	return stat.Ino
}

// Route leads a network by an interface.
func (n *NS) Route(t *testing.T, name, network string) {
	t.Helper()
	_, dst, err := net.ParseCIDR(network)
	require.NoError(t, err)
	require.NoError(t, n.links.RouteReplace(&netlink.Route{LinkIndex: n.link(t, name).Attrs().Index, Dst: dst, Scope: netlink.SCOPE_LINK}))
}

// Via leads a network by an interface to a router, which is asked for whatever the interface's networks are.
func (n *NS) Via(t *testing.T, name, network, router string) {
	t.Helper()
	_, dst, err := net.ParseCIDR(network)
	require.NoError(t, err)
	require.NoError(t, n.links.RouteReplace(&netlink.Route{LinkIndex: n.link(t, name).Attrs().Index, Dst: dst, Gw: net.ParseIP(router), Flags: int(netlink.FLAG_ONLINK)}))
}

// Another is Via, beside the routes to that network that are there.
func (n *NS) Another(t *testing.T, name, network, router string, metric int) {
	t.Helper()
	_, dst, err := net.ParseCIDR(network)
	require.NoError(t, err)
	require.NoError(t, n.links.RouteAdd(&netlink.Route{
		LinkIndex: n.link(t, name).Attrs().Index, Dst: dst, Gw: net.ParseIP(router), Priority: metric, Flags: int(netlink.FLAG_ONLINK),
	}))
}

// Less takes one route to a network away, and no second one.
func (n *NS) Less(t *testing.T, name, network string) {
	t.Helper()
	_, dst, err := net.ParseCIDR(network)
	require.NoError(t, err)
	require.NoError(t, n.links.RouteDel(&netlink.Route{LinkIndex: n.link(t, name).Attrs().Index, Dst: dst, Scope: netlink.SCOPE_NOWHERE})) // any
}

// NoRules takes away IPv4's rules for what comes in by an interface.
func (n *NS) NoRules(t *testing.T, name string) {
	t.Helper()
	rules, err := n.links.RuleList(netlink.FAMILY_V4)
	require.NoError(t, err)
	for _, r := range rules {
		if r.IifName == name {
			require.NoError(t, n.links.RuleDel(&r))
		}
	}
}

// NoRule takes away the rules of a priority, of both families; it is an error where either has none.
func (n *NS) NoRule(t *testing.T, priority int) {
	t.Helper()
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		rules, err := n.links.RuleListFiltered(family, &netlink.Rule{Priority: priority}, netlink.RT_FILTER_PRIORITY)
		require.NoError(t, err)
		require.NotEmpty(t, rules)
		for _, r := range rules {
			require.NoError(t, n.links.RuleDel(&r))
		}
	}
}

// Routers are those that IPv6's default routes lead to.
func (n *NS) Routers(t *testing.T) (all []string) {
	t.Helper()
	routes, err := n.links.RouteList(nil, netlink.FAMILY_V6)
	require.NoError(t, err)
	for _, r := range routes {
		if ones, _ := r.Dst.Mask.Size(); ones == 0 && r.Gw != nil {
			all = append(all, r.Gw.String())
		}
	}
	return all
}

// From is Via, with the address that is sent from.
func (n *NS) From(t *testing.T, name, network, router, own string) {
	t.Helper()
	_, dst, err := net.ParseCIDR(network)
	require.NoError(t, err)
	require.NoError(t, n.links.RouteReplace(&netlink.Route{
		LinkIndex: n.link(t, name).Attrs().Index, Dst: dst, Gw: net.ParseIP(router), Src: net.ParseIP(own), Flags: int(netlink.FLAG_ONLINK),
	}))
}

// VXLAN makes one by hand, with one other end: its address in it, and the pod that it is in.
func (n *NS) VXLAN(t *testing.T, name string, vni, port, mtu int, own, other, pod string) {
	t.Helper()
	mac := func(ip string) net.HardwareAddr { return append(net.HardwareAddr{2, 0}, net.ParseIP(ip).To4()...) }
	address, err := netlink.ParseAddr(own)
	require.NoError(t, err)
	v := &netlink.Vxlan{LinkAttrs: netlink.LinkAttrs{Name: name, MTU: mtu, HardwareAddr: mac(address.IP.String())}, VxlanId: vni, Port: port, UDPCSum: true}
	require.NoError(t, n.links.LinkAdd(v))
	require.NoError(t, n.links.AddrAdd(v, address))
	require.NoError(t, n.links.LinkSetUp(v))
	for _, e := range []*netlink.Neigh{
		{State: netlink.NUD_PERMANENT, IP: net.ParseIP(other)},
		{State: netlink.NUD_PERMANENT, IP: net.ParseIP(pod), Family: unix.AF_BRIDGE, Flags: netlink.NTF_SELF},
	} {
		e.LinkIndex, e.HardwareAddr = v.Index, mac(other)
		require.NoError(t, n.links.NeighSet(e))
	}
}

// Learning makes an end of a VXLAN as pod-gateway's scripts do: who sends is learned, and all that is not known goes to one pod.
func (n *NS) Learning(t *testing.T, name string, vni, port int, own string, mac net.HardwareAddr, pod string) {
	t.Helper()
	address, err := netlink.ParseAddr(own)
	require.NoError(t, err)
	v := &netlink.Vxlan{LinkAttrs: netlink.LinkAttrs{Name: name, HardwareAddr: mac}, VxlanId: vni, Port: port, Learning: true, UDPCSum: true}
	require.NoError(t, n.links.LinkAdd(v))
	require.NoError(t, n.links.AddrAdd(v, address))
	require.NoError(t, n.links.LinkSetUp(v))
	require.NoError(t, n.links.NeighAppend(&netlink.Neigh{
		LinkIndex: v.Index, Family: unix.AF_BRIDGE, State: netlink.NUD_PERMANENT, Flags: netlink.NTF_SELF, IP: net.ParseIP(pod), HardwareAddr: make(net.HardwareAddr, 6),
	}))
}

// Known says whose hardware address an address has behind an interface.
func (n *NS) Known(t *testing.T, name, address string, mac net.HardwareAddr) {
	t.Helper()
	require.NoError(t, n.links.NeighSet(&netlink.Neigh{
		LinkIndex: n.link(t, name).Attrs().Index, State: netlink.NUD_PERMANENT, IP: net.ParseIP(address), HardwareAddr: mac,
	}))
}

// Forward makes it a router, which answers for all.
func (n *NS) Forward(t *testing.T) {
	t.Helper()
	for _, name := range []string{"net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"} {
		n.Sysctl(t, name, "1")
	}
}

// Sysctl sets one, by its path.
func (n *NS) Sysctl(t *testing.T, path, value string) {
	t.Helper()
	require.NoError(t, n.Do(t, func() error { return os.WriteFile("/proc/sys/"+path, []byte(value), 0) }))
}

// Index is an interface's number: another one is another interface.
func (n *NS) Index(t *testing.T, name string) int {
	t.Helper()
	return n.link(t, name).Attrs().Index
}

// Listen serves each connection to a TCP port inside, one after the other, until the test ends. What serves closes it.
func (n *NS) Listen(t *testing.T, port int, serve func(net.Conn)) {
	t.Helper()
	require.NoError(t, n.Do(t, func() error {
		l, err := net.ListenTCP("tcp", &net.TCPAddr{Port: port})
		if err != nil {
			return err
		}
		t.Cleanup(func() { _ = l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil { // closed: the test has ended
					return
				}
				serve(c)
			}
		}()
		return nil
	}))
}
