// Package client is a pod's end of the overlay: the interface, and the rules by which the pod's traffic takes it.
//
// Routing fails closed by itself. What is not answered over the pod's own interface, and not to the cluster, is looked up in a
// table whose last route drops it; the routes that the CNI laid are asked for nothing else any more, whoever changes them. But for what says
// from the pod's own address, and a port on which the cluster asks it: the guard knows which of it are answers.
package client

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/charmarr/charmarr-go/vpnk8slib/agent/route"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// SetUp makes the interface, and the way to it. What is there already and right stays as it is, with its connections. It leads to
// no pod yet: Point does, when one has proven to be the gateway. IPv6 goes the same way if the gateway's tunnel has it (six);
// otherwise it is refused at once.
func SetUp(h route.Handle, c Config, six bool) error {
	if err := c.Check(); err != nil {
		return fmt.Errorf("cannot set up the overlay: %w", err)
	}
	device, err := h.LinkByName(c.Device)
	if err != nil {
		return fmt.Errorf("cannot set up the overlay: cannot find %s: %w", c.Device, err)
	}
	// Closed first: between the rules and the interface nothing leaves.
	if err := rules(h, c, device); err != nil {
		return fmt.Errorf("cannot set up the overlay: %w", err)
	}
	if err := h.Loosen(device); err != nil {
		return fmt.Errorf("cannot set up the overlay: %w", err)
	}
	link, err := h.Make(route.VXLAN{Name: c.Overlay, Device: device, Address: c.Address, VNI: c.VNI, Port: c.Port, MTU: c.MTU, Six: c.Peer.Is6()})
	if err != nil {
		return fmt.Errorf("cannot make %s: %w", c.Overlay, err)
	}
	if err := way(h, c.Client, link); err != nil {
		return fmt.Errorf("cannot lay the way through %s: %w", c.Overlay, err)
	}
	if err := way6(h, c.Client, link, six); err != nil {
		return fmt.Errorf("cannot lay the way of IPv6 through %s: %w", c.Overlay, err)
	}
	return nil
}

// TakeDown takes the interface down, and keeps the pod closed: what is for outside finds the dead end behind it. Connections, and sockets that
// are bound to the interface, stay; SetUp goes on from there.
func TakeDown(h route.Handle, c Config) error {
	device, err := h.LinkByName(c.Device)
	if err == nil {
		err = rules(h, c, device)
	}
	if err != nil {
		return fmt.Errorf("cannot take the overlay down: %w", err)
	}
	var absent netlink.LinkNotFoundError
	link, err := h.LinkByName(c.Overlay)
	if errors.As(err, &absent) { // it is as down as can be
		return nil
	}
	if err == nil {
		err = h.LinkSetDown(link)
	}
	if err != nil {
		return fmt.Errorf("cannot take the overlay down: %w", err)
	}
	return nil
}

// way leads to the gateway, the only neighbour, and through it everywhere.
func way(h route.Handle, c overlay.Client, link netlink.Link) error {
	own := &netlink.Route{LinkIndex: link.Attrs().Index, Dst: route.Host(c.Gateway), Scope: netlink.SCOPE_LINK, Protocol: route.Protocol}
	for _, table := range []int{unix.RT_TABLE_MAIN, tableOverlay} {
		own.Table = table
		if err := h.RouteReplace(own); err != nil {
			return err
		}
	}
	if err := h.Know(link, c.Gateway); err != nil {
		return err
	}
	return h.RouteReplace(&netlink.Route{LinkIndex: link.Attrs().Index, Gw: c.Gateway.AsSlice(), Table: tableOverlay, Protocol: route.Protocol})
}

// way6 is the way of IPv6. Where there is none, what the rules lay is left: a dead end.
func way6(h route.Handle, c overlay.Client, link netlink.Link, six bool) error {
	carried, err := h.Carry6(link, c.VNI, c.Address.Addr())
	if err != nil || !carried {
		return err
	}
	if err := h.Know6(link, c.VNI, c.Gateway); err != nil {
		return err
	}
	out := &netlink.Route{
		LinkIndex: link.Attrs().Index, Gw: overlay.Six(c.VNI, c.Gateway).AsSlice(), Flags: int(netlink.FLAG_ONLINK),
		Src: overlay.Six(c.VNI, c.Address.Addr()).AsSlice(), Dst: route.Everything(netlink.FAMILY_V6), Table: tableOverlay, Protocol: route.Protocol,
	}
	if six {
		return h.RouteReplace(out)
	}
	if err := h.RouteDel(out); err != nil && !route.Absent(err) {
		return err
	}
	return nil
}

// Point leads the overlay to the gateway's pod, wherever it led before. Interface, address and routes stay.
func Point(h route.Handle, c overlay.Client, peer netip.Addr) error {
	link, err := h.LinkByName(c.Overlay)
	if err == nil {
		err = h.Lead(link, c.Gateway, peer)
	}
	if err != nil {
		return fmt.Errorf("cannot lead the overlay to %s: %w", peer, err)
	}
	return nil
}

// Lose leads the overlay nowhere: the pod that it led to has not been heard for long, and its address may be another's by now.
func Lose(h route.Handle, c overlay.Client, peer netip.Addr) error {
	link, err := h.LinkByName(c.Overlay)
	if err == nil {
		err = h.Forget(link, c.Gateway, peer)
	}
	if err != nil {
		return fmt.Errorf("cannot lead the overlay away from %s: %w", peer, err)
	}
	return nil
}
