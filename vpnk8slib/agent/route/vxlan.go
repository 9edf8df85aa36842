package route

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// VXLAN is an end of the encapsulation. Nothing is learned, flooded or asked for: who is where is said by Lead alone.
type VXLAN struct {
	Name    string
	Device  netlink.Link // the pod's own interface, which the packets take
	Address netip.Prefix // in the overlay; its hardware address follows from it
	VNI     uint32
	Port    uint16
	MTU     int  // of what fits further on, in bytes; 0: not known
	Six     bool // the other end is reached over IPv6
}

// Overhead of the encapsulation in bytes: Ethernet, VXLAN, UDP and the outer header of either family.
const (
	overhead4 = 14 + 8 + 8 + 20
	overhead6 = 14 + 8 + 8 + 40
)

// Make makes the interface, unless one like it is there, and brings it up.
func (h Handle) Make(v VXLAN) (netlink.Link, error) {
	local, err := h.Address(v.Device, v.Six)
	if err != nil {
		return nil, err
	}
	overhead := overhead4
	if v.Six {
		overhead = overhead6
	}
	mtu := v.Device.Attrs().MTU - overhead
	if v.MTU != 0 {
		mtu = min(mtu, v.MTU)
	}
	want := &netlink.Vxlan{
		LinkAttrs: netlink.LinkAttrs{Name: v.Name, MTU: mtu, HardwareAddr: overlay.MAC(v.Address.Addr())},
		VxlanId:   int(v.VNI), SrcAddr: local, Port: int(v.Port), Learning: false, VtepDevIndex: v.Device.Attrs().Index, UDPCSum: true,
	}
	have, err := h.LinkByName(v.Name)
	if err == nil && !like(have, want) {
		if err := h.LinkDel(have); err != nil {
			return nil, err
		}
		err = netlink.LinkNotFoundError{}
	}
	var absent netlink.LinkNotFoundError
	if errors.As(err, &absent) {
		if err := h.LinkAdd(want); errors.Is(err, unix.EOPNOTSUPP) {
			return nil, fmt.Errorf("%w: this node's kernel has no VXLAN: on the node, modprobe vxlan (Ubuntu keeps it in linux-modules-extra-$(uname -r))", err)
		} else if err != nil {
			return nil, err
		}
		have, err = h.LinkByName(v.Name)
	}
	if err != nil {
		return nil, err
	}
	if have.Attrs().MTU != mtu {
		if err := h.LinkSetMTU(have, mtu); err != nil {
			return nil, err
		}
	}
	if err := h.bear(have, v.Address, 0); err != nil {
		return nil, err
	}
	return have, h.LinkSetUp(have)
}

// like says whether an interface is what we would make.
func like(have netlink.Link, want *netlink.Vxlan) bool {
	v, ok := have.(*netlink.Vxlan)
	return ok && v.VxlanId == want.VxlanId && v.Port == want.Port && v.SrcAddr.Equal(want.SrcAddr) && !v.Learning &&
		v.HardwareAddr.String() == want.HardwareAddr.String()
}

// Know makes an overlay address a neighbour: its hardware address is never asked for.
func (h Handle) Know(link netlink.Link, a netip.Addr) error { return h.know(link, a, a) }

func (h Handle) know(link netlink.Link, as, a netip.Addr) error {
	return h.NeighSet(&netlink.Neigh{LinkIndex: link.Attrs().Index, State: netlink.NUD_PERMANENT, IP: as.AsSlice(), HardwareAddr: overlay.MAC(a)})
}

// Carry6 gives an interface an address's twin; false: it takes too little at once, or has no IPv6.
func (h Handle) Carry6(link netlink.Link, vni uint32, a netip.Addr) (bool, error) {
	if !IPv6On(link.Attrs().Name) || link.Attrs().MTU < overlay.MinSix {
		return false, nil
	}
	return true, h.bear(link, netip.PrefixFrom(overlay.Six(vni, a), 128), unix.IFA_F_NODAD)
}

// bear gives an interface an address, and no route, unless it has it: to say it again tells everybody who watches addresses of a change,
// us among them.
func (h Handle) bear(link netlink.Link, own netip.Prefix, flags int) error {
	have, err := h.AddrList(link, netlink.FAMILY_ALL)
	if err != nil {
		return err
	}
	wanted := netlink.Addr{IPNet: Net(own), Flags: flags | unix.IFA_F_NOPREFIXROUTE}
	if slices.ContainsFunc(have, func(a netlink.Addr) bool {
		return a.IPNet.String() == wanted.IPNet.String() && a.Flags&wanted.Flags == wanted.Flags
	}) {
		return nil
	}
	return h.AddrReplace(link, &wanted)
}

// Know6 is Know, of an address's twin.
func (h Handle) Know6(link netlink.Link, vni uint32, a netip.Addr) error {
	return h.know(link, overlay.Six(vni, a), a)
}

// Lead leads the packets to an overlay address to a pod, wherever they were led before: the kernel keeps one pod for the
// hardware address of one (linux/drivers/net/vxlan, vxlan_fdb_replace).
func (h Handle) Lead(link netlink.Link, a, pod netip.Addr) error {
	return h.NeighSet(&netlink.Neigh{
		LinkIndex: link.Attrs().Index, Family: unix.AF_BRIDGE, State: netlink.NUD_PERMANENT, Flags: netlink.NTF_SELF,
		HardwareAddr: overlay.MAC(a), IP: pod.AsSlice(),
	})
}

// Forget leads the packets to an overlay address nowhere, if they were led to a pod.
func (h Handle) Forget(link netlink.Link, a, pod netip.Addr) error {
	err := h.NeighDel(&netlink.Neigh{
		LinkIndex: link.Attrs().Index, Family: unix.AF_BRIDGE, Flags: netlink.NTF_SELF, HardwareAddr: overlay.MAC(a), IP: pod.AsSlice(),
	})
	if Absent(err) {
		return nil
	}
	return err
}
