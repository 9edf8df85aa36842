package client

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/charmarr/charmarr-go/vpnk8slib/agent/guard"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// Ours by their numbers: whatever bears them is taken away and laid anew, and nothing else is touched.
const (
	protocol     = 179  // of routes
	tableDirect  = 4790 // what goes by the pod's own interface
	tableOverlay = 4791 // the way out

	// Rules in this order, before Istio's (32764) and the kernel's own (32766).
	ruleOwn     = 4790 // what bears the overlay's address never leaves by another interface: not every enforcer of policies looks at it there
	ruleReply   = 4791 // answers to what came in by the pod's own interface; the guard marks them
	ruleLocal   = 4792 // networks that the pod is in
	ruleDirect  = 4793 // the cluster
	ruleOverlay = 4794 // all else
)

// last is the metric of a route that is there when no other is.
const last = 1<<31 - 1

// rules lay the order in which tables are asked, for both families.
func (h Handle) rules(c overlay.Client, device netlink.Link) error {
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		if family == netlink.FAMILY_V6 && !haveIPv6() {
			continue
		}
		if err := h.closing(family); err != nil {
			return err
		}
		if err := h.direct(c, device, family); err != nil {
			return err
		}
		if err := h.order(family, c.Address.Addr()); err != nil {
			return err
		}
	}
	return nil
}

// haveIPv6 is false where the kernel was told to have none.
func haveIPv6() bool {
	_, err := os.Stat("/proc/net/if_inet6")
	return err == nil
}

// closing is the last route of the way out, which stays when the interface goes: nothing, and at once.
func (h Handle) closing(family int) error {
	end := &netlink.Route{Family: family, Type: unix.RTN_UNREACHABLE, Table: tableOverlay, Priority: last, Protocol: protocol, Dst: everything(family)}
	if err := h.RouteReplace(end); err != nil {
		return fmt.Errorf("cannot close the way out: %w", err)
	}
	return nil
}

// direct leads the cluster's networks by the pod's own interface, to the router that the CNI has named.
func (h Handle) direct(c overlay.Client, device netlink.Link, family int) error {
	via, err := h.router(device, family)
	if err != nil {
		return err
	}
	wanted := map[string]bool{}
	for _, p := range c.Direct {
		if (family == netlink.FAMILY_V4) != p.Addr().Is4() {
			continue
		}
		wanted[p.String()] = true
		r := &netlink.Route{Family: family, LinkIndex: device.Attrs().Index, Dst: ipNet(p), Table: tableDirect, Protocol: protocol}
		if via != nil {
			r.Gw, r.Flags = via.Gw, int(netlink.FLAG_ONLINK)
		} else {
			r.Scope = netlink.SCOPE_LINK
		}
		if err := h.RouteReplace(r); err != nil {
			return fmt.Errorf("cannot lay the route to %s: %w", p, err)
		}
	}
	have, err := h.RouteListFiltered(family, &netlink.Route{Table: tableDirect}, netlink.RT_FILTER_TABLE)
	if err != nil {
		return fmt.Errorf("cannot list the cluster's routes: %w", err)
	}
	for _, r := range have {
		if r.Dst == nil || wanted[r.Dst.String()] {
			continue
		}
		if err := h.RouteDel(&r); err != nil && !absent(err) {
			return fmt.Errorf("cannot take away the route to %s: %w", r.Dst, err)
		}
	}
	return nil
}

// router is the CNI's default route by the pod's own interface; nil where it has none.
func (h Handle) router(device netlink.Link, family int) (*netlink.Route, error) {
	all, err := h.RouteListFiltered(family, &netlink.Route{LinkIndex: device.Attrs().Index, Table: unix.RT_TABLE_MAIN}, netlink.RT_FILTER_OIF|netlink.RT_FILTER_TABLE)
	if err != nil {
		return nil, fmt.Errorf("cannot list the pod's routes: %w", err)
	}
	for _, r := range all {
		if r.Gw != nil && (r.Dst == nil || r.Dst.String() == everything(family).String()) {
			return &r, nil
		}
	}
	return nil, nil
}

// order lays the rules themselves.
func (h Handle) order(family int, own netip.Addr) error {
	bit := uint32(guard.Entered)
	wanted := []netlink.Rule{}
	add := func(priority, table int, change func(*netlink.Rule)) {
		r := netlink.NewRule()
		r.Family, r.Priority, r.Table, r.Protocol = family, priority, table, protocol
		if change != nil {
			change(r)
		}
		wanted = append(wanted, *r)
	}
	if family == netlink.FAMILY_V4 {
		add(ruleOwn, tableOverlay, func(r *netlink.Rule) { r.Src = ipNet(netip.PrefixFrom(own, own.BitLen())) })
	}
	add(ruleReply, unix.RT_TABLE_MAIN, func(r *netlink.Rule) { r.Mark, r.Mask = bit, &bit })
	add(ruleLocal, unix.RT_TABLE_MAIN, func(r *netlink.Rule) { r.SuppressPrefixlen = 0 })
	add(ruleDirect, tableDirect, nil)
	add(ruleOverlay, tableOverlay, nil)
	have, err := h.RuleList(family)
	if err != nil {
		return fmt.Errorf("cannot list the rules: %w", err)
	}
	// What is right stays, and what is ours and wrong goes last: at no time is nothing there.
	for _, w := range wanted {
		if !slices.ContainsFunc(have, func(r netlink.Rule) bool { return same(r, w) }) {
			if err := h.RuleAdd(&w); err != nil {
				return fmt.Errorf("cannot lay rule %d: %w", w.Priority, err)
			}
		}
	}
	for _, r := range have {
		ours := r.Priority >= ruleOwn && r.Priority <= ruleOverlay
		if ours && !slices.ContainsFunc(wanted, func(w netlink.Rule) bool { return r.String() == w.String() }) {
			if err := h.RuleDel(&r); err != nil && !absent(err) {
				return fmt.Errorf("cannot take away rule %d: %w", r.Priority, err)
			}
		}
	}
	return nil
}

// same says whether two rules do the same; of what the kernel tells, this is what is laid here.
func same(a, b netlink.Rule) bool {
	mask := func(r netlink.Rule) uint32 {
		if r.Mask == nil {
			return 0
		}
		return *r.Mask
	}
	src := func(r netlink.Rule) string {
		if r.Src == nil {
			return ""
		}
		return r.Src.String()
	}
	return a.Priority == b.Priority && a.Table == b.Table && a.Mark == b.Mark && mask(a) == mask(b) &&
		a.SuppressPrefixlen == b.SuppressPrefixlen && src(a) == src(b)
}

func everything(family int) *net.IPNet {
	if family == netlink.FAMILY_V4 {
		return ipNet(netip.PrefixFrom(netip.IPv4Unspecified(), 0))
	}
	return ipNet(netip.PrefixFrom(netip.IPv6Unspecified(), 0))
}
