// Package route is what both ends of the overlay ask of the kernel's routing: an interface, rules and routes, made and kept
// as wanted, whatever was there.
package route

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Protocol is the number that our routes and rules bear: whatever bears it is taken away and laid anew, and nothing else is
// touched.
const Protocol = 179

// Last is the metric of a route that is taken when no other is there.
const Last = 1<<31 - 1

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

// HaveIPv6 is false where the kernel was told to have none.
func HaveIPv6() bool {
	_, err := os.Stat("/proc/net/if_inet6")
	return err == nil
}

// IPv6On says whether an interface has IPv6: a kernel with it may be told to have none on some, or on all, and refuses their addresses then.
func IPv6On(name string) bool { return sysctl("ipv6/conf/"+name+"/disable_ipv6") == "0" }

// DeadEnd lays the route that is left in a table when its interface goes: nowhere, and at once. Those of ours to elsewhere are what an
// earlier configuration has left.
func (h Handle) DeadEnd(table int, to *net.IPNet) error {
	family := netlink.FAMILY_V4
	if len(to.IP) == net.IPv6len {
		family = netlink.FAMILY_V6
	}
	end := &netlink.Route{Family: family, Type: unix.RTN_UNREACHABLE, Table: table, Priority: Last, Protocol: Protocol, Dst: to}
	if err := h.RouteReplace(end); err != nil {
		return fmt.Errorf("cannot close the way to %s: %w", to, err)
	}
	have, err := h.RouteListFiltered(family, end, netlink.RT_FILTER_TABLE|netlink.RT_FILTER_TYPE|netlink.RT_FILTER_PROTOCOL)
	if err != nil {
		return fmt.Errorf("cannot list the ways that are closed: %w", err)
	}
	for _, r := range have {
		if r.Dst == nil || r.Dst.String() == to.String() {
			continue
		}
		if err := h.RouteDel(&r); err != nil && !Absent(err) {
			return fmt.Errorf("cannot take away the closed way to %s: %w", r.Dst, err)
		}
	}
	return nil
}

// Rule is a rule of ours: which table is asked, and when.
func Rule(family, priority, table int) *netlink.Rule {
	r := netlink.NewRule()
	r.Family, r.Priority, r.Table, r.Protocol = family, priority, table, Protocol
	return r
}

// Order lays rules, and takes away what else of ours is there. What is right stays, and what is wrong goes last: at no time is
// nothing there.
func (h Handle) Order(family int, wanted ...*netlink.Rule) error {
	have, err := h.RuleList(family)
	if err != nil {
		return fmt.Errorf("cannot list the rules: %w", err)
	}
	for _, w := range wanted {
		if !slices.ContainsFunc(have, func(r netlink.Rule) bool { return same(&r, w) }) {
			if err := h.RuleAdd(w); err != nil {
				return fmt.Errorf("cannot lay rule %d: %w", w.Priority, err)
			}
		}
	}
	for _, r := range have {
		if r.Protocol != Protocol || slices.ContainsFunc(wanted, func(w *netlink.Rule) bool { return same(&r, w) }) {
			continue
		}
		if err := h.RuleDel(&r); err != nil && !Absent(err) {
			return fmt.Errorf("cannot take away rule %d: %w", r.Priority, err)
		}
	}
	return nil
}

// same says whether two rules do the same; of what the kernel tells, this is what is laid here.
func same(a, b *netlink.Rule) bool {
	mask := func(r *netlink.Rule) uint32 {
		if r.Mask == nil {
			return 0
		}
		return *r.Mask
	}
	text := func(n *net.IPNet) string {
		if n == nil {
			return ""
		}
		return n.String()
	}
	return a.Priority == b.Priority && a.Protocol == b.Protocol && a.Table == b.Table && a.Invert == b.Invert &&
		a.Mark == b.Mark && mask(a) == mask(b) && a.IifName == b.IifName && a.OifName == b.OifName &&
		a.SuppressPrefixlen == b.SuppressPrefixlen && text(a.Src) == text(b.Src) && text(a.Dst) == text(b.Dst) && reflect.DeepEqual(a.Sport, b.Sport)
}

// Address is the one that an interface sends from, of a family.
func (h Handle) Address(device netlink.Link, six bool) (net.IP, error) {
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
	return nil, fmt.Errorf("%s has no address of the family of the other end", device.Attrs().Name)
}

// AddressOf is Address, of an interface by its name.
func (h Handle) AddressOf(device string, six bool) (netip.Addr, error) {
	link, err := h.LinkByName(device)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("cannot find %s: %w", device, err)
	}
	own, err := h.Address(link, six)
	if err != nil {
		return netip.Addr{}, err
	}
	a, _ := netip.AddrFromSlice(own)
	return a.Unmap(), nil
}

// Net is a network as the kernel's library has it.
func Net(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// Host is one address as a network.
func Host(a netip.Addr) *net.IPNet { return Net(netip.PrefixFrom(a, a.BitLen())) }

// Everything is the network of all addresses of a family.
func Everything(family int) *net.IPNet {
	if family == netlink.FAMILY_V4 {
		return Net(netip.PrefixFrom(netip.IPv4Unspecified(), 0))
	}
	return Net(netip.PrefixFrom(netip.IPv6Unspecified(), 0))
}

// Absent holds for what the kernel says of a route, a rule or a neighbour that is not there.
func Absent(err error) bool { return errors.Is(err, syscall.ESRCH) || errors.Is(err, fs.ErrNotExist) }
