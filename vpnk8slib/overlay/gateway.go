package overlay

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// Gateway is the other end of the overlay: the pod with the tunnel.
type Gateway struct {
	Device  string `json:"device"`  // the pod's own interface: eth0
	Overlay string `json:"overlay"` // the interface that is made: vxlan0
	Tunnel  string `json:"tunnel"`  // the VPN client's: tun0

	Address netip.Prefix `json:"address"` // the gateway's own, with the overlay's network
	VNI     uint32       `json:"vni"`     // the overlay's identifier
	Port    uint16       `json:"port"`    // of the encapsulation, on both ends
	Beats   uint16       `json:"beats"`   // the port of the heartbeats, on both ends
	MTU     int          `json:"mtu"`     // of what fits through the tunnel, in bytes; 0: not known
	// Probes are asked through the tunnel whether they answer, while nothing else comes back through it: a TCP port each.
	Probes []netip.AddrPort `json:"probes"`
	// Names is the port on which clients ask for names, on the gateway's own address; 0: none. They are asked of Resolvers: by the
	// tunnel alone, or of one on the loopback.
	Names     uint16           `json:"names,omitempty"`
	Resolvers []netip.AddrPort `json:"resolvers,omitempty"`
	// Cluster are the networks of pods and Services. No client reaches them through the gateway, nor who is there in the tunnel.
	Cluster []netip.Prefix `json:"cluster"`
	// Blocks are who may be a client. Each of its addresses belongs to one pod at a time, which has proven to know the key.
	Blocks []Block `json:"blocks"`
	// Ports grants ports of the provider's, by NAT-PMP through the tunnel; zero: nobody does.
	Ports netip.Addr `json:"ports,omitzero"`
	// RouterPorts is that the router does which the tunnel's routes name: another one for each server.
	RouterPorts bool `json:"ports_of_router,omitempty"`
	// Told is where the VPN client tells which ports it has had granted by itself, on the loopback: a URL; empty: it has none.
	Told string `json:"ports_told,omitempty"`
	// Pod is the name of the pod that has the tunnel: the agent of another one has no clients. Empty: every one has.
	Pod string `json:"pod,omitempty"`
	// Exit is whom the world sees, as the VPN client has found out; zero: not known. It is told in metrics, and nothing else is made of it.
	Exit netip.Addr `json:"exit,omitzero"`
	// Country is the one that Exit is in, and Listed of when the servers are that the VPN client chooses from; both as it says, and told
	// alike. Zero: not known.
	Country string    `json:"country,omitempty"`
	Listed  time.Time `json:"listed,omitzero"`
	// Refused is that the provider does not take the account, as the VPN client says; told alike.
	Refused bool `json:"refused,omitempty"`
	// Standby is how several units agree on it; nil: there is one. Pod is then the one that begins.
	Standby *Standby `json:"standby,omitempty"`
	// Seen are the pods of clients as an earlier gateway knew them: they are told that there is a new one. Nothing else is
	// made of it.
	Seen map[netip.Addr]netip.Addr `json:"seen,omitempty"`
}

// Block is what one application has of the overlay.
type Block struct {
	Name      string       `json:"name"` // of the application, and of the file that holds its key
	Addresses netip.Prefix `json:"addresses"`
	Port      bool         `json:"port,omitempty"` // it wants a port of the provider's
	App       string       `json:"app,omitempty"`  // what the application calls itself: told in metrics, and made nothing of
}

// Unit is the number of the unit that has an address of the block.
func (b Block) Unit(a netip.Addr) int {
	first, own := b.Addresses.Masked().Addr().As4(), a.As4()
	return int(binary.BigEndian.Uint32(own[:]) - binary.BigEndian.Uint32(first[:]))
}

// Check says what is wrong, and names the field.
func (g Gateway) Check() error {
	if err := devices(g.Device, g.Overlay); err != nil {
		return err
	}
	if !device(g.Tunnel) || g.Tunnel == g.Device || g.Tunnel == g.Overlay {
		return fmt.Errorf("tunnel must be the name of a third interface, not %q", g.Tunnel)
	}
	if err := encapsulation(g.Address, g.VNI, g.Port, g.Beats, g.MTU); err != nil {
		return err
	}
	if err := cluster(g.Cluster); err != nil {
		return err
	}
	if err := errors.Join(ports("probes", g.Probes), ports("resolvers", g.Resolvers)); err != nil {
		return err
	}
	if g.Ports.IsValid() && (!plain(g.Ports) || !g.Ports.Is4()) {
		return fmt.Errorf("ports must be an IPv4 address, not %s", g.Ports)
	}
	if g.Told != "" && !onLoopback(g.Told) {
		return fmt.Errorf("ports_told must be a URL on the loopback, such as http://127.0.0.1:8000/v1/portforward, not %q", g.Told)
	}
	if g.Ports.IsValid() && g.RouterPorts || g.Told != "" && (g.Ports.IsValid() || g.RouterPorts) {
		return errors.New("ports, ports_of_router and ports_told must not be there together: one of them grants ports")
	}
	for _, p := range g.Cluster {
		if p.Overlaps(g.Address.Masked()) {
			return fmt.Errorf("cluster must not hold the overlay's network %s, as %s does", g.Address.Masked(), p)
		}
	}
	if g.Standby != nil {
		if err := g.Standby.Check(); err != nil {
			return err
		}
	}
	for i, b := range g.Blocks {
		switch {
		case !fileName(b.Name):
			return fmt.Errorf("blocks must have names of small letters, digits and hyphens, not %q", b.Name)
		case !network(b.Addresses) || !b.Addresses.Addr().Is4() || b.Addresses.Bits() < g.Address.Bits() || !g.Address.Contains(b.Addresses.Addr()):
			return fmt.Errorf("blocks must hold networks in %s, not %s", g.Address.Masked(), b.Addresses)
		case b.App != "" && !fileName(b.App):
			return fmt.Errorf("blocks must be of applications with names of small letters, digits and hyphens, not %q", b.App)
		case b.Addresses.Contains(g.Address.Addr()):
			return fmt.Errorf("blocks must not hold the gateway's own address %s, as %s does", g.Address.Addr(), b.Addresses)
		}
		for _, o := range g.Blocks[:i] {
			if b.Addresses.Overlaps(o.Addresses) || b.Name == o.Name {
				return fmt.Errorf("blocks must not share a name or an address, as %s %s and %s %s do", o.Name, o.Addresses, b.Name, b.Addresses)
			}
		}
	}
	for client, pod := range g.Seen {
		if !g.Place(client, pod) {
			return fmt.Errorf("seen must hold clients' addresses and their pods', not %s at %s", client, pod)
		}
	}
	return nil
}

// Place says whether a client of this gateway may be in that pod.
func (g Gateway) Place(client, pod netip.Addr) bool {
	_, ours := g.Of(client)
	return ours && plain(pod)
}

// Of is the block that holds an address.
func (g Gateway) Of(a netip.Addr) (Block, bool) {
	for _, b := range g.Blocks {
		if b.Addresses.Contains(a) {
			return b, true
		}
	}
	return Block{}, false
}

// encapsulation says what is wrong with an end's address, or with what both ends must agree on.
func encapsulation(own netip.Prefix, vni uint32, port, beats uint16, mtu int) error {
	switch {
	case !own.IsValid() || !own.Addr().Is4() || own.Bits() < 8 || own.Bits() > 30:
		return fmt.Errorf("address must be an IPv4 address with its network, such as 172.16.0.18/20, not %s", own)
	case vni == 0 || vni >= 1<<24:
		return fmt.Errorf("vni must be from 1 to %d, not %d", 1<<24-1, vni)
	case port == 0:
		return errors.New("port must be the port of the encapsulation, not 0")
	case beats == 0 || beats == port:
		return fmt.Errorf("beats must be another port than the encapsulation's, not %d", beats)
	case mtu != 0 && (mtu < 576 || mtu > 65535):
		return fmt.Errorf("mtu must be from 576 to 65535, or 0, not %d", mtu)
	}
	return nil
}

// fileName holds for the name of an application, which is a file's as well.
func fileName(name string) bool {
	if name == "" || len(name) > 63 {
		return false
	}
	for _, c := range []byte(name) {
		if c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}
