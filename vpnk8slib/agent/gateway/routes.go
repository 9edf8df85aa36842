package gateway

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/charmarr/charmarr-go/vpnk8slib/agent/route"
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
	clients := route.Net(g.config.Address.Masked())
	if err := g.handle.DeadEnd(tableBack, clients); err != nil {
		return err
	}
	if err := g.handle.DeadEnd(tableOut, route.Everything(netlink.FAMILY_V4)); err != nil {
		return err
	}
	back, out := route.Rule(netlink.FAMILY_V4, ruleBack, tableBack), route.Rule(netlink.FAMILY_V4, ruleOut, tableOut)
	back.Dst, out.IifName = clients, g.config.Overlay
	return g.handle.Order(netlink.FAMILY_V4, back, out)
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
	return link, g.handle.Forward(link)
}

// tunnel leads clients into the tunnel, if it is there. It comes and goes with the VPN client's connection, and its routes
// with it.
func (g *Gateway) tunnel() error {
	link, err := g.handle.LinkByName(g.config.Tunnel)
	var absent netlink.LinkNotFoundError
	if errors.As(err, &absent) {
		return nil
	}
	if err == nil && link.Attrs().RawFlags&unix.IFF_UP != 0 {
		out := &netlink.Route{LinkIndex: link.Attrs().Index, Dst: route.Everything(netlink.FAMILY_V4), Scope: netlink.SCOPE_LINK, Table: tableOut, Protocol: route.Protocol}
		err = errors.Join(g.handle.RouteReplace(out), g.handle.Forward(link))
	}
	if err != nil {
		return fmt.Errorf("cannot lead clients into %s: %w", g.config.Tunnel, err)
	}
	return nil
}
