// Package client is a pod's end of the overlay: the interface, and the rules by which the pod's traffic takes it.
//
// Routing fails closed by itself. What is not answered over the pod's own interface, and not to the cluster, is looked up in a
// table whose last route drops it; the routes that the CNI laid are asked for nothing else any more, whoever changes them.
package client

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// Handle is where it all is done: a network namespace.
type Handle struct{ *netlink.Handle }

// Here is the namespace that this process is in.
func Here() (Handle, error) {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return Handle{}, fmt.Errorf("cannot reach the kernel's routing: %w", err)
	}
	return Handle{h}, nil
}

// Overhead of the encapsulation in bytes: Ethernet, VXLAN, UDP and the outer header of either family.
const (
	overhead4 = 14 + 8 + 8 + 20
	overhead6 = 14 + 8 + 8 + 40
)

// SetUp makes the interface, and the way to it. What is there already and right stays as it is, with its connections.
func (h Handle) SetUp(c overlay.Client) error {
	if err := c.Check(); err != nil {
		return fmt.Errorf("cannot set up the overlay: %w", err)
	}
	device, err := h.LinkByName(c.Device)
	if err != nil {
		return fmt.Errorf("cannot set up the overlay: cannot find %s: %w", c.Device, err)
	}
	// Closed first: between the rules and the interface nothing leaves.
	if err := h.rules(c, device); err != nil {
		return fmt.Errorf("cannot set up the overlay: %w", err)
	}
	link, err := h.link(c, device)
	if err != nil {
		return fmt.Errorf("cannot make %s: %w", c.Overlay, err)
	}
	if err := h.Point(c, link, c.Peer); err != nil {
		return err
	}
	way := &netlink.Route{LinkIndex: link.Attrs().Index, Gw: c.Gateway.AsSlice(), Table: tableOverlay, Protocol: protocol}
	if err := h.RouteReplace(way); err != nil {
		return fmt.Errorf("cannot lay the route through %s: %w", c.Overlay, err)
	}
	return nil
}

// link makes the interface, unless one like it is there.
func (h Handle) link(c overlay.Client, device netlink.Link) (netlink.Link, error) {
	local, err := h.address(device, c.Peer.Is6())
	if err != nil {
		return nil, err
	}
	overhead := overhead4
	if c.Peer.Is6() {
		overhead = overhead6
	}
	mtu := device.Attrs().MTU - overhead
	if c.MTU != 0 {
		mtu = min(mtu, c.MTU)
	}
	want := &netlink.Vxlan{
		LinkAttrs: netlink.LinkAttrs{Name: c.Overlay, MTU: mtu, HardwareAddr: overlay.MAC(c.Address.Addr())},
		VxlanId:   int(c.VNI), SrcAddr: local, Port: int(c.Port), Learning: false, VtepDevIndex: device.Attrs().Index, UDPCSum: true,
	}
	have, err := h.LinkByName(c.Overlay)
	if err == nil && !like(have, want) {
		if err := h.LinkDel(have); err != nil {
			return nil, err
		}
		err = netlink.LinkNotFoundError{}
	}
	var absent netlink.LinkNotFoundError
	if errors.As(err, &absent) {
		if err := h.LinkAdd(want); err != nil {
			return nil, err
		}
		have, err = h.LinkByName(c.Overlay)
	}
	if err != nil {
		return nil, err
	}
	if have.Attrs().MTU != mtu {
		if err := h.LinkSetMTU(have, mtu); err != nil {
			return nil, err
		}
	}
	address := &netlink.Addr{IPNet: ipNet(c.Address), Flags: unix.IFA_F_NOPREFIXROUTE}
	if err := h.AddrReplace(have, address); err != nil {
		return nil, err
	}
	if err := h.LinkSetUp(have); err != nil {
		return nil, err
	}
	// The gateway is the only neighbour, and never asked for its address.
	own := &netlink.Route{LinkIndex: have.Attrs().Index, Dst: ipNet(netip.PrefixFrom(c.Gateway, 32)), Scope: netlink.SCOPE_LINK, Protocol: protocol}
	for _, table := range []int{unix.RT_TABLE_MAIN, tableOverlay} {
		own.Table = table
		if err := h.RouteReplace(own); err != nil {
			return nil, err
		}
	}
	return have, h.NeighSet(&netlink.Neigh{
		LinkIndex: have.Attrs().Index, State: netlink.NUD_PERMANENT, IP: c.Gateway.AsSlice(), HardwareAddr: overlay.MAC(c.Gateway),
	})
}

// like says whether an interface is what we would make.
func like(have netlink.Link, want *netlink.Vxlan) bool {
	v, ok := have.(*netlink.Vxlan)
	return ok && v.VxlanId == want.VxlanId && v.Port == want.Port && v.SrcAddr.Equal(want.SrcAddr) && !v.Learning &&
		v.HardwareAddr.String() == want.HardwareAddr.String()
}

// Point leads the overlay to the gateway's pod, wherever it led before. Interface, address and routes stay.
func (h Handle) Point(c overlay.Client, link netlink.Link, peer netip.Addr) error {
	entry := func(a netip.Addr) *netlink.Neigh {
		return &netlink.Neigh{
			LinkIndex: link.Attrs().Index, Family: unix.AF_BRIDGE, State: netlink.NUD_PERMANENT, Flags: netlink.NTF_SELF,
			HardwareAddr: overlay.MAC(c.Gateway), IP: a.AsSlice(),
		}
	}
	if err := h.NeighSet(entry(peer)); err != nil {
		return fmt.Errorf("cannot lead the overlay to %s: %w", peer, err)
	}
	entries, err := h.NeighList(link.Attrs().Index, unix.AF_BRIDGE)
	if err != nil {
		return fmt.Errorf("cannot list where the overlay leads: %w", err)
	}
	for _, e := range entries {
		a, _ := netip.AddrFromSlice(e.IP)
		if a.Unmap() == peer && e.HardwareAddr.String() == overlay.MAC(c.Gateway).String() {
			continue
		}
		if err := h.NeighDel(&e); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("cannot take away where the overlay led: %w", err)
		}
	}
	return nil
}

// address is the one that the pod's own interface sends from.
func (h Handle) address(device netlink.Link, six bool) (net.IP, error) {
	family := netlink.FAMILY_V4
	if six {
		family = netlink.FAMILY_V6
	}
	all, err := h.AddrList(device, family)
	if err != nil {
		return nil, err
	}
	for _, a := range all {
		if a.IP.IsGlobalUnicast() {
			return a.IP, nil
		}
	}
	return nil, fmt.Errorf("%s has no address of the family of the gateway's pod", device.Attrs().Name)
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// absent holds for what the kernel says of a route or rule that is not there.
func absent(err error) bool { return errors.Is(err, syscall.ESRCH) || errors.Is(err, fs.ErrNotExist) }
