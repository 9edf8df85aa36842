package overlay

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Guard is what may pass a pod's own interface. All else is dropped, whatever it is marked with.
type Guard struct {
	Device  string `json:"device"`  // the pod's own interface: eth0
	Overlay string `json:"overlay"` // the interface of the way out: vxlan0

	// Own is the pod's address in the overlay: nothing else is asked there. Zero: it is not known.
	Own netip.Addr `json:"own,omitzero"`
	// Own6 is its IPv6 twin.
	Own6 netip.Addr `json:"own6,omitzero"`
	// Router is the interface of a gateway's clients: packets are forwarded between it and Overlay, as another table decides.
	// Empty: a pod is no router.
	Router string `json:"router,omitempty"`

	// Cluster are the networks of pods and Services, which no two of overlap. Everything in them may be reached.
	Cluster []netip.Prefix `json:"cluster"`
	// Outside may be reached as well: the API server, the Juju controller, a resolver on the node.
	// Each is one port of one address, of TCP and UDP where the next two do not say otherwise.
	Outside []netip.AddrPort `json:"outside,omitempty"`
	// Streams are those of Outside that may be reached by TCP alone, and Datagrams those by UDP alone.
	Streams   []netip.AddrPort `json:"streams,omitempty"`
	Datagrams []netip.AddrPort `json:"datagrams,omitempty"`
	// Gateways are the addresses of the gateway's pod, and Port the one of the encapsulation, on both ends.
	Gateways []netip.Addr `json:"gateways,omitempty"`
	Port     uint16       `json:"port"`
	// Gateway is the name of the gateway's pod where no heartbeat tells its address: it is looked up, again and again. Empty: it is not.
	Gateway string `json:"gateway,omitempty"`
	// Beats is the port of the heartbeats; 0: there are none. They may come from anywhere in the cluster, because a gateway that
	// was replaced calls from an address that nobody knows yet; what is not signed is not heard.
	Beats uint16 `json:"beats,omitempty"`
	// Names is the port of the agent's resolver on the pod's loopback: what anybody asks of any resolver is asked there.
	// 0: there is none.
	Names uint16 `json:"names,omitempty"`
	// RootAsks: the agent does not stay, and root, which is who prepares the pod, asks its own resolver meanwhile.
	RootAsks bool `json:"-"`
	// Endpoint is where a VPN client's own packets go, where nobody but itself knows the server; nil: nowhere.
	Endpoint *Endpoint `json:"endpoint,omitempty"`
	// Inbound are the TCP ports on which the pod may be asked over Device: of the workload, of Pebble's health, of a mesh.
	// The workload's peers come by the overlay, and their port is not among these.
	Inbound []uint16 `json:"inbound,omitempty"`
}

// Endpoint is any server on one of some ports, UDP or TCP, for packets that bear the VPN client's own mark: both are asked for.
type Endpoint struct {
	Mark  uint32   `json:"mark"`
	Ports []uint16 `json:"ports"`
	TCP   bool     `json:"tcp,omitempty"`
}

// Check says what is wrong, and names the field.
func (g Guard) Check() error {
	if err := devices(g.Device, g.Overlay); err != nil {
		return err
	}
	if g.Router != "" && (!device(g.Router) || g.Router == g.Device || g.Router == g.Overlay) {
		return fmt.Errorf("router must be the name of a third interface, not %q", g.Router)
	}
	if g.Own.IsValid() && !plain(g.Own) {
		return fmt.Errorf("own must be an address, not %s", g.Own)
	}
	if g.Own6.IsValid() && !plain(g.Own6) {
		return fmt.Errorf("own6 must be an address, not %s", g.Own6)
	}
	if g.Port == 0 || g.Port == 53 || g.Port == g.Names { // those of questions for names are judged by other rules
		return fmt.Errorf("port must be the port of the encapsulation, not %d", g.Port)
	}
	if err := cluster(g.Cluster); err != nil {
		return err
	}
	for _, l := range []struct {
		field string
		all   []netip.AddrPort
	}{{"outside", g.Outside}, {"streams", g.Streams}, {"datagrams", g.Datagrams}} {
		if err := ports(l.field, l.all); err != nil {
			return err
		}
	}
	if e := g.Endpoint; e != nil && (e.Mark == 0 || len(e.Ports) == 0 || slices.Contains(e.Ports, 0)) {
		return errors.New("endpoint must have a mark, and ports")
	}
	if g.Gateway != "" && !domain(strings.ToLower(strings.TrimSuffix(g.Gateway, "."))) {
		return fmt.Errorf("gateway must be a DNS name, not %q", g.Gateway)
	}
	for _, a := range g.Gateways {
		if !plain(a) {
			return fmt.Errorf("gateways must hold addresses, not %s", a)
		}
	}
	return nil
}

// devices says what is wrong with a pod's own interface and the overlay's.
func devices(own, overlay string) error {
	switch {
	case !device(own):
		return fmt.Errorf("device must be the name of an interface, not %q", own)
	case !device(overlay) || overlay == own:
		return fmt.Errorf("overlay must be the name of an interface other than device, not %q", overlay)
	}
	return nil
}

// cluster says what is wrong with the cluster's networks.
func cluster(networks []netip.Prefix) error {
	for i, p := range networks {
		if !network(p) {
			return fmt.Errorf("cluster must hold networks, not %s", p)
		}
		for _, q := range networks[:i] {
			if p.Overlaps(q) {
				return fmt.Errorf("cluster must hold networks that do not overlap, as %s and %s do", q, p)
			}
		}
	}
	return nil
}

// network holds for a network that is less than the world.
func network(p netip.Prefix) bool {
	return p.IsValid() && p.Bits() > 0 && p == p.Masked() && !p.Addr().Is4In6()
}

// plain holds for an address that a packet can bear.
func plain(a netip.Addr) bool {
	return a.IsValid() && !a.IsUnspecified() && !a.Is4In6() && a.Zone() == ""
}

// device says whether the kernel takes a name for an interface (net/core/dev.c, dev_valid_name).
func device(name string) bool {
	if name == "" || len(name) > 15 || name == "." || name == ".." {
		return false
	}
	for _, c := range []byte(name) {
		if c <= ' ' || c == '/' || c == ':' || c > '~' {
			return false
		}
	}
	return true
}
