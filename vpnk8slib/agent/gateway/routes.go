package gateway

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/charmarr/charmarr-go/vpnk8slib/agent/route"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

const (
	tableBack = 4792 // to clients
	tableOut  = 4793 // from clients: the tunnel, or nowhere

	// Before the rules of VPN clients: gluetun's are 98 to 101 (its internal/routing and internal/wireguard).
	ruleBack = 91
	ruleOut  = 92
)

// routes lay what is left when an interface goes, and the rules that ask the tables.
func (g *Gateway) routes() error {
	for _, clients := range []netip.Prefix{g.config.Address.Masked(), overlay.Sixes(g.config.VNI)} {
		family := netlink.FAMILY_V4
		if clients.Addr().Is6() {
			if family = netlink.FAMILY_V6; !route.HaveIPv6() {
				continue
			}
		}
		if err := g.handle.DeadEnd(tableBack, route.Net(clients)); err != nil {
			return err
		}
		if err := g.handle.DeadEnd(tableOut, route.Everything(family)); err != nil {
			return err
		}
		back, out := route.Rule(family, ruleBack, tableBack), route.Rule(family, ruleOut, tableOut)
		back.Dst, out.IifName = route.Net(clients), g.config.Overlay
		if err := g.handle.Order(family, back, out); err != nil {
			return err
		}
	}
	return nil
}

// overlay makes the interface of the clients.
func (g *Gateway) overlay(device netlink.Link) (netlink.Link, error) {
	c := g.config
	link, err := g.handle.Make(route.VXLAN{Name: c.Overlay, Device: device, Address: c.Address, VNI: c.VNI, Port: c.Port, MTU: c.MTU})
	if err != nil {
		return nil, err
	}
	back := &netlink.Route{
		LinkIndex: link.Attrs().Index, Dst: route.Net(c.Address.Masked()), Src: c.Address.Addr().AsSlice(), Scope: netlink.SCOPE_LINK,
		Table: tableBack, Protocol: route.Protocol,
	}
	if err := g.handle.RouteReplace(back); err != nil {
		return nil, err
	}
	if g.carried, err = g.handle.Carry6(link, c.VNI, c.Address.Addr()); err != nil {
		return nil, err
	}
	if g.carried {
		back.Dst, back.Src, back.Scope = route.Net(overlay.Sixes(c.VNI)), overlay.Six(c.VNI, c.Address.Addr()).AsSlice(), netlink.SCOPE_UNIVERSE
		if err := g.handle.RouteReplace(back); err != nil {
			return nil, err
		}
	}
	return link, g.handle.Forward(link)
}

// tunnel leads clients into the tunnel, if it is there. It comes and goes with the VPN client's connection, and its routes
// with it.
func (g *Gateway) tunnel() error {
	link, err := g.handle.LinkByName(g.config.Tunnel)
	var absent netlink.LinkNotFoundError
	if errors.As(err, &absent) {
		g.six = errNoTunnel6
		return nil
	}
	if err == nil && link.Attrs().RawFlags&unix.IFF_UP != 0 {
		out := &netlink.Route{LinkIndex: link.Attrs().Index, Dst: route.Everything(netlink.FAMILY_V4), Scope: netlink.SCOPE_LINK, Table: tableOut, Protocol: route.Protocol}
		err = errors.Join(g.handle.RouteReplace(out), g.handle.Forward(link))
	}
	if err != nil {
		return fmt.Errorf("cannot lead clients into %s: %w", g.config.Tunnel, err)
	}
	return g.tunnel6(link)
}

var (
	errNoTunnel6  = errors.New("the tunnel has no IPv6")
	errNoForward6 = errors.New("this pod may not forward IPv6 (net.ipv6.conf.all.forwarding): only a privileged container can allow it (tun-device=privileged); or leave out the tunnel's IPv6 address")
	errNarrow     = fmt.Errorf("the overlay's interface has no IPv6: it is disabled in this pod, or the tunnel takes less than %d bytes at once", overlay.MinSix)
)

// tunnel6 leads clients' IPv6 into the tunnel, if it has any. The kernel forwards no IPv6 unless it is told so for the whole pod,
// and by no other way than /proc/sys (linux/net/ipv6/ip6_output.c, ip6_forward), which is read-only in a container like this.
func (g *Gateway) tunnel6(link netlink.Link) error {
	if !route.HaveIPv6() { // nor does the kernel take a question about its routes (EOPNOTSUPP)
		g.six = errNoTunnel6
		return nil
	}
	addresses, err := g.handle.AddrList(link, netlink.FAMILY_V6)
	if err != nil {
		return fmt.Errorf("cannot list the addresses of %s: %w", g.config.Tunnel, err)
	}
	out := &netlink.Route{LinkIndex: link.Attrs().Index, Dst: route.Everything(netlink.FAMILY_V6), Table: tableOut, Protocol: route.Protocol}
	switch {
	case !slices.ContainsFunc(addresses, func(a netlink.Addr) bool { return a.IP.IsGlobalUnicast() }):
		g.six = errNoTunnel6
	case !g.carried:
		g.six = errNarrow
	case !route.Forwards6():
		g.six = errNoForward6
	default:
		if err := g.handle.RouteReplace(out); err != nil {
			return fmt.Errorf("cannot lead clients' IPv6 into %s: %w", g.config.Tunnel, err)
		}
		g.six = nil
		return nil
	}
	if err := g.handle.RouteDel(out); err != nil && !route.Absent(err) {
		return fmt.Errorf("cannot lead clients' IPv6 away from %s: %w", g.config.Tunnel, err)
	}
	return nil
}
