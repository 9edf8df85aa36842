// Package gateway is the end of the overlay that has the tunnel. It forwards from the overlay into the tunnel and back what
// answers, for pods that have proven who they are, and nothing else.
//
// What it lays is its own: a table of rules, two tables of routes and the two rules that ask them. The VPN client beside it
// may do to its own what it likes.
package gateway

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"

	"github.com/charmarr/charmarr-go/vpnk8slib/agent/nft"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/route"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// Gateway is one, in the network namespace of its handle. It is not safe for use by several at once.
type Gateway struct {
	config overlay.Gateway
	handle route.Handle
	own    netip.Addr // the pod's, in the cluster

	pins      map[netip.Addr]netip.Addr // the pod of each client's address
	forwarded []Forwarded

	laid    string        // what the rules look like in the kernel
	at      uint32        // the firewall's generation when they were seen so; 0: not seen
	pinned  *nftables.Set // the set of the pins
	link    netlink.Link  // the interface of the clients
	carried bool          // it has IPv6
	six     error         // why their IPv6 is not led into the tunnel; nil: it is
}

var errNotSetUp = errors.New("the overlay's interface is not there yet")

// New is a gateway of which nothing is laid yet.
func New(h route.Handle, o overlay.Gateway) (*Gateway, error) {
	if err := o.Check(); err != nil {
		return nil, fmt.Errorf("cannot be a gateway: %w", err)
	}
	own, err := h.AddressOf(o.Device, false)
	if err != nil {
		return nil, fmt.Errorf("cannot be a gateway: %w", err)
	}
	return &Gateway{config: o, handle: h, own: own, pins: map[netip.Addr]netip.Addr{}, six: errNoTunnel6}, nil
}

// SetUp makes the gateway's end, and makes it again where somebody has changed it. What is there already and right stays as it
// is. Clients that are pinned stay pinned; for others nothing is forwarded. A tunnel that is not there yet is the next call's.
func (g *Gateway) SetUp() error {
	if err := g.setUp(); err != nil {
		return fmt.Errorf("cannot set up the gateway's end of the overlay: %w", err)
	}
	return nil
}

func (g *Gateway) setUp() error {
	device, err := g.handle.LinkByName(g.config.Device)
	if err != nil {
		return fmt.Errorf("cannot find %s: %w", g.config.Device, err)
	}
	// What holds comes before what lets through.
	if !g.standing() {
		if err := g.lay(); err != nil {
			return err
		}
	}
	if err := g.routes(); err != nil {
		return err
	}
	link, err := g.overlay(device)
	if err != nil {
		return fmt.Errorf("cannot make %s: %w", g.config.Overlay, err)
	}
	g.link = link
	// Each time: one that was down for a moment is the same, and knows nobody any more. What it knows already tells nobody of a change.
	for client, pod := range g.pins {
		if err := g.lead(client, pod); err != nil {
			return err
		}
	}
	return g.tunnel()
}

// Pin, after SetUp, says in which pod a client's address is. Packets that bear it from any other are dropped from now on.
func (g *Gateway) Pin(client, pod netip.Addr) error {
	if g.pins[client] == pod {
		return nil
	}
	if _, ok := g.config.Of(client); !ok {
		return fmt.Errorf("cannot pin %s to the pod %s: it is in nobody's block", client, pod)
	}
	err := errNotSetUp
	if g.link != nil {
		err = g.lead(client, pod)
	}
	if err == nil {
		err = g.admit(client, pod)
	}
	if err != nil {
		return fmt.Errorf("cannot pin %s to the pod %s: %w", client, pod, err)
	}
	g.pins[client] = pod
	return nil
}

// Unpin forgets the pod of a client that has not been heard for long: its address in the cluster may be another pod's by now.
func (g *Gateway) Unpin(client netip.Addr) error {
	pod, ok := g.pins[client]
	if !ok {
		return nil
	}
	err := g.admit(client, netip.Addr{})
	if g.link != nil { // what is answered goes nowhere too
		err = errors.Join(err, g.handle.Forget(g.link, client, pod))
	}
	if err != nil {
		return fmt.Errorf("cannot unpin %s: %w", client, err)
	}
	delete(g.pins, client)
	return nil
}

// Forwarded is what comes out of the tunnel at any of some ports, by TCP or UDP over IPv4, and goes to a client.
type Forwarded struct {
	Ports []uint16
	To    netip.AddrPort
}

// Forward says what is forwarded from now on, and nothing else is. Connections that were forwarded before go on. The client sees who
// has connected: nothing but its own address is translated.
func (g *Gateway) Forward(all []Forwarded) error {
	if reflect.DeepEqual(all, g.forwarded) {
		return nil
	}
	before := g.forwarded
	if g.forwarded = all; g.pinned == nil { // laid with it then
		return nil
	}
	if err := g.lay(); err != nil {
		g.forwarded = before
		return fmt.Errorf("cannot forward ports: %w", err)
	}
	return nil
}

// lead leads to a client's pod.
func (g *Gateway) lead(client, pod netip.Addr) error {
	err := errors.Join(g.handle.Know(g.link, client), g.handle.Lead(g.link, client, pod))
	if g.carried {
		err = errors.Join(err, g.handle.Know6(g.link, g.config.VNI, client))
	}
	return err
}

// Remove takes away the interface and the rules, and nothing of anybody else's. The routes that are left lead nowhere.
func (g *Gateway) Remove() error {
	var absent netlink.LinkNotFoundError
	link, err := g.handle.LinkByName(g.config.Overlay)
	if err == nil {
		err = g.handle.LinkDel(link) // first: without it nothing comes that the rest would have to hold
	}
	if errors.As(err, &absent) {
		err = nil
	}
	if err = errors.Join(err, nft.Remove(Table)); err != nil {
		return fmt.Errorf("cannot remove the gateway's end of the overlay: %w", err)
	}
	return nil
}

// Dropped counts the packets that were dropped, by counter; none where no gateway is set up.
func Dropped() (map[string]uint64, error) {
	counted, err := nft.Counters(Table)
	if err != nil {
		return nil, fmt.Errorf("cannot read the gateway's counters: %w", err)
	}
	return counted, nil
}
