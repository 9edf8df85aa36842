package overlay

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Client is a pod's end of the overlay.
type Client struct {
	Device  string `json:"device"`  // the pod's own interface: eth0
	Overlay string `json:"overlay"` // the interface that is made: vxlan0

	Address netip.Prefix `json:"address"` // this pod's, with the overlay's network
	// Units is how many addresses from Address on belong to the application: its unit N has the Nth after the first. 0 or 1: this
	// one is the pod's.
	Units   int        `json:"units,omitempty"`
	Gateway netip.Addr `json:"gateway"` // the gateway's, in the same network
	Peer    netip.Addr `json:"peer"`    // the gateway's pod, as it was known last; its heartbeats tell of another
	Name    string     `json:"name"`    // by which its pod is found, where no heartbeat tells; empty: by nothing else
	VNI     uint32     `json:"vni"`     // the overlay's identifier
	Port    uint16     `json:"port"`    // of the encapsulation, on both ends
	Beats   uint16     `json:"beats"`   // the port of the heartbeats, on both ends
	MTU     int        `json:"mtu"`     // of what fits through the gateway's tunnel, in bytes; 0: not known
	// Direct are the networks that are reached by Device as before: pods, Services, and what the pod's agent talks to.
	Direct []netip.Prefix `json:"direct"`
	// Policy is whether the cluster enforces NetworkPolicies, as the charm has measured: the gateway is told, and nothing else is made of it.
	Policy Word `json:"policy,omitzero"`
}

// Check says what is wrong, and names the field.
func (c Client) Check() error {
	if err := devices(c.Device, c.Overlay); err != nil {
		return err
	}
	if err := encapsulation(c.Address, c.VNI, c.Port, c.Beats, c.MTU); err != nil {
		return err
	}
	switch {
	case !c.Address.Contains(c.Gateway) || c.Gateway == c.Address.Addr():
		return fmt.Errorf("gateway must be another address in %s, not %s", c.Address.Masked(), c.Gateway)
	case !plain(c.Peer):
		return fmt.Errorf("peer must be the address of the gateway's pod, not %s", c.Peer)
	case c.Address.Masked().Contains(c.Peer):
		return fmt.Errorf("peer must not be in the overlay itself, as %s is", c.Peer)
	}
	if err := c.units(); err != nil {
		return err
	}
	for _, p := range c.Direct {
		if !network(p) {
			return fmt.Errorf("direct must hold networks, not %s", p)
		}
		if p.Overlaps(c.Address.Masked()) {
			return fmt.Errorf("direct must not hold the overlay's network %s, as %s does", c.Address.Masked(), p)
		}
	}
	if !slices.ContainsFunc(c.Direct, func(p netip.Prefix) bool { return p.Contains(c.Peer) }) {
		return fmt.Errorf("direct must hold the network of peer %s: its own packets would take the overlay", c.Peer)
	}
	return nil
}

// units says what is wrong with the application's addresses.
func (c Client) units() error {
	if c.Units > 256 {
		return fmt.Errorf("units must be at most 256, not %d", c.Units)
	}
	last := c.Address.Addr()
	for n := 1; n < c.Units && last.IsValid(); n++ {
		if last = last.Next(); last == c.Gateway || !c.Address.Contains(last) {
			return fmt.Errorf("units must not reach over what %s has beside the gateway, as %d does", c.Address.Masked(), c.Units)
		}
	}
	return nil
}

// Of is the client's end in the pod of that name, which is the application's and the unit's number: its address is its own.
func (c Client) Of(pod string) (Client, error) {
	if c.Units < 2 {
		return c, nil
	}
	n, err := strconv.ParseUint(pod[strings.LastIndex(pod, "-")+1:], 10, 16)
	if err != nil {
		return Client{}, fmt.Errorf("cannot find the unit's number in the name of the pod, %q", pod)
	}
	if int(n) >= c.Units {
		app := pod[:strings.LastIndex(pod, "-")]
		return Client{}, fmt.Errorf("cannot give unit %d an address: an application has %d: juju scale-application %s %d", n, c.Units, app, c.Units)
	}
	a := c.Address.Addr()
	for range n {
		a = a.Next()
	}
	c.Address, c.Units = netip.PrefixFrom(a, c.Address.Bits()), 0
	return c, nil
}

// MAC is the hardware address of an overlay address: nobody asks for it, and so nobody can answer in another's place.
func MAC(a netip.Addr) net.HardwareAddr {
	b := a.As4()
	return net.HardwareAddr{0x02, 0x76, b[0], b[1], b[2], b[3]} // locally administered
}
