package client

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/charmarr/charmarr-go/vpnk8slib/agent/guard"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/route"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

const (
	tableDirect  = 4790 // what goes by the pod's own interface
	tableOverlay = 4791 // the way out

	// A mesh's answers to a workload's callers, which ztunnel takes on the loopback: its own rule for them (32764) comes behind ours.
	// Where there is no mesh its table is empty. (istio/istio cni, InpodTProxyMark, RouteTableInbound.)
	meshMark, meshMask, meshTable = 0x111, 0xfff, 100

	// Rules in this order, before Istio's (32764) and the kernel's own (32766).
	ruleMesh    = 4789 // the mesh's own
	ruleOwn     = 4790 // what bears the overlay's address never leaves by another interface: not every enforcer of policies looks at it there
	ruleReply   = 4791 // answers to what came in by the pod's own interface; the guard marks them
	ruleLocal   = 4792 // networks that the pod is in
	ruleDirect  = 4793 // the cluster
	ruleOverlay = 4794 // all else
)

// rules lay the order in which tables are asked, for both families.
func rules(h route.Handle, c Config, device netlink.Link) error {
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		if family == netlink.FAMILY_V6 && !route.HaveIPv6() {
			continue
		}
		if err := h.DeadEnd(tableOverlay, route.Everything(family)); err != nil {
			return err
		}
		if err := direct(h, c.Client, device, family); err != nil {
			return err
		}
		if err := h.Order(family, append(order(c.Client, family), answers(h, c, device, family)...)...); err != nil {
			return err
		}
	}
	return nil
}

func order(c overlay.Client, family int) []*netlink.Rule {
	bit := uint32(guard.Entered)
	reply := route.Rule(family, ruleReply, unix.RT_TABLE_MAIN)
	reply.Mark, reply.Mask = bit, &bit
	local := route.Rule(family, ruleLocal, unix.RT_TABLE_MAIN)
	local.SuppressPrefixlen = 7 // what holds more than 10.0.0.0/8 is no network that a pod is in: some lead out by halves of the world
	if family == netlink.FAMILY_V6 {
		local.SuppressPrefixlen = 6 // than fc00::/7
	}
	mask := uint32(meshMask)
	mesh := route.Rule(family, ruleMesh, meshTable)
	mesh.Mark, mesh.Mask = meshMark, &mask
	all := []*netlink.Rule{mesh, reply, local, route.Rule(family, ruleDirect, tableDirect), route.Rule(family, ruleOverlay, tableOverlay)}
	own := route.Rule(family, ruleOwn, tableOverlay)
	own.Src = route.Host(c.Address.Addr())
	if family == netlink.FAMILY_V6 {
		own.Src = route.Host(overlay.Six(c.VNI, c.Address.Addr()))
	}
	return append(all, own)
}

// answers lead what the pod's own address says from a port that it is asked on where the marked answers go. The kernel makes none to whom
// it finds no way to, and it looks for one before the guard can mark anything: there is none where the overlay is down, or has no IPv6.
// What is no answer goes no further than to the guard.
func answers(h route.Handle, c Config, device netlink.Link, family int) (all []*netlink.Rule) {
	address, err := h.Address(device, family == netlink.FAMILY_V6)
	own, ok := netip.AddrFromSlice(address)
	if err != nil || !ok { // nobody asks it by this family
		return nil
	}
	for _, port := range c.Inbound {
		r := route.Rule(family, ruleReply, unix.RT_TABLE_MAIN)
		r.Src, r.Sport = route.Host(own.Unmap()), netlink.NewRulePortRange(port, port)
		all = append(all, r)
	}
	return all
}

// direct leads the cluster's networks by the pod's own interface, to the router that the CNI has named.
func direct(h route.Handle, c overlay.Client, device netlink.Link, family int) error {
	via, err := router(h, device, family)
	if err != nil {
		return err
	}
	have, err := h.RouteListFiltered(family, &netlink.Route{Table: tableDirect}, netlink.RT_FILTER_TABLE)
	if err != nil {
		return fmt.Errorf("cannot list the cluster's routes: %w", err)
	}
	if via == nil { // unless somebody has taken the CNI's route away: the router is where it was
		if i := slices.IndexFunc(have, func(r netlink.Route) bool { return r.Gw != nil }); i >= 0 {
			via = &have[i]
		}
	}
	off := family == netlink.FAMILY_V6 && !route.IPv6On(c.Device) // the kernel takes no routes by an interface of which IPv6 is switched off
	wanted := map[string]bool{}
	for _, p := range c.Direct {
		if (family == netlink.FAMILY_V4) != p.Addr().Is4() {
			continue
		}
		wanted[p.String()] = true
		r := &netlink.Route{Family: family, LinkIndex: device.Attrs().Index, Dst: route.Net(p), Table: tableDirect, Protocol: route.Protocol}
		switch {
		case off: // a dead end in its place: what is the cluster's is not for the overlay
			r.LinkIndex, r.Type = 0, unix.RTN_UNREACHABLE
		case via != nil:
			r.Gw, r.Flags = via.Gw, int(netlink.FLAG_ONLINK)
		default:
			r.Scope = netlink.SCOPE_LINK
		}
		if err := h.RouteReplace(r); err != nil {
			return fmt.Errorf("cannot lay the route to %s: %w", p, err)
		}
	}
	for _, r := range have {
		if r.Dst == nil || wanted[r.Dst.String()] {
			continue
		}
		if err := h.RouteDel(&r); err != nil && !route.Absent(err) {
			return fmt.Errorf("cannot take away the route to %s: %w", r.Dst, err)
		}
	}
	return nil
}

// router is the CNI's default route by the pod's own interface; nil where it has none.
func router(h route.Handle, device netlink.Link, family int) (*netlink.Route, error) {
	all, err := h.RouteListFiltered(family, &netlink.Route{LinkIndex: device.Attrs().Index, Table: unix.RT_TABLE_MAIN}, netlink.RT_FILTER_OIF|netlink.RT_FILTER_TABLE)
	if err != nil {
		return nil, fmt.Errorf("cannot list the pod's routes: %w", err)
	}
	for _, r := range all {
		if r.Gw != nil && (r.Dst == nil || r.Dst.String() == route.Everything(family).String()) {
			return &r, nil
		}
	}
	return nil, nil
}
