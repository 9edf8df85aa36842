package vpnk8slib

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// Overlay is the name of the routing method of our own agent.
const Overlay = "overlay"

// overlayBits is the length of the overlay's network: room for 255 applications of sixteen units each.
const (
	overlayBits = 20
	blockBits   = 28
)

// OverlayData is what the method overlay adds to what a gateway publishes: how one application is a client of it.
type OverlayData struct {
	Network netip.Prefix `json:"network" validate:"required"`           // of the overlay
	Gateway netip.Addr   `json:"gateway" validate:"required,ip"`        // the gateway's address in it
	Block   netip.Prefix `json:"block" validate:"required"`             // the application's addresses; a unit's number picks its own
	Pod     netip.Addr   `json:"gateway_pod" validate:"required,ip"`    // where the gateway's pod is now
	Beats   uint16       `json:"heartbeat_port" validate:"min=1"`       // UDP, on both ends
	Names   uint16       `json:"dns_port,omitempty"`                    // of the resolver on Gateway; 0: there is none
	MTU     int          `json:"mtu,omitempty" validate:"min=0"`        // of what fits through the tunnel, in bytes; 0: not known
	Key     string       `json:"key_secret" validate:"required,secret"` // the Juju secret with the application's key
}

// byOverlay routes by the agent of ours: fixed addresses, a guard in every pod, heartbeats both ways.
type byOverlay struct{}

func (byOverlay) name() string { return Overlay }

func (byOverlay) heard() string { return overlay.HeardPath }

func (byOverlay) check(d ProviderData) error {
	if d.Overlay == nil {
		return errors.New("overlay is required with routing_method overlay")
	}
	o := *d.Overlay
	if !private(o.Network) {
		return fmt.Errorf("overlay: network must be a private IPv4 network, such as 172.16.0.0/20, not %s", o.Network)
	}
	if o.Block.Bits() < 24 || o.Block.Bits() < o.Network.Bits() || !o.Network.Contains(o.Block.Addr()) {
		return fmt.Errorf("overlay: block must be in the overlay's network %s and no wider than /24, not %s", o.Network, o.Block)
	}
	c := byOverlay{}.end(d, Network{Pods: CIDRs{host(o.Pod)}})
	if err := c.Check(); err != nil {
		return fmt.Errorf("overlay: %w", err)
	}
	return nil
}

// end is the client's end, as the gateway's data and the cluster have it.
func (byOverlay) end(d ProviderData, n Network) overlay.Client {
	o := *d.Overlay
	return overlay.Client{
		Device: podInterface, Overlay: overlayInterface, Address: netip.PrefixFrom(o.Block.Addr(), o.Network.Bits()), Units: units(o.Block),
		Gateway: o.Gateway, Peer: o.Pod, Name: d.GatewayDNSName, VNI: uint32(d.VXLANID), Port: uint16(d.VXLANPort), Beats: o.Beats, MTU: o.MTU,
		Direct: n.Direct(),
	}
}

// units is how many addresses a block has.
func units(block netip.Prefix) int { return 1 << (block.Addr().BitLen() - block.Bits()) }

func (m byOverlay) client(c Client, d ProviderData) (fragment, error) {
	if len(c.Network.DNS) == 0 || len(c.Network.Cluster()) == 0 {
		return fragment{}, errors.New("cannot lay the route: the cluster's networks and DNS are not known")
	}
	if err := apart(d.Overlay.Network, c.Network, d.inModel()); err != nil {
		return fragment{}, fmt.Errorf("cannot lay the route: %w", err)
	}
	if err := d.named(c.Network); err != nil {
		return fragment{}, fmt.Errorf("cannot lay the route: %w", err)
	}
	end := m.end(d, c.Network)
	end.Policy = c.Probe.verdict().word()
	guard := c.Network.rules(overlayInterface, end.Port, len(c.Workloads), c.Ports)
	guard.Beats, guard.Names = end.Beats, namesPort
	var resolvers []netip.AddrPort
	if d.Overlay.Names != 0 {
		resolvers = append(resolvers, netip.AddrPortFrom(d.Overlay.Gateway, d.Overlay.Names))
	}
	config := overlay.Config{Guard: guard, Client: &end, Names: c.Network.split(c.App, resolvers...)}
	keys := map[string]string{}
	if c.Key != "" {
		keys[KeyField] = c.Key
	}
	return fragment{keysName: c.App.keys(), workload: unprivileged()}.withAgent(c.Network, c.AgentImage, "client", config, keys)
}

func (byOverlay) offer(g Gateway, c Consumer, secret string) (ProviderData, error) {
	if c.Err != nil {
		return ProviderData{}, c.Err
	}
	d := g.Data
	if !slices.Contains(c.Data.RoutingMethods, Overlay) { // told what it understands, and that there is no way for it
		d.RoutingMethod, d.VPNConnected, d.ExternalIP = podGatewayName, false, netip.Addr{}
		return d, nil
	}
	network := d.VXLANIPNetwork.Wide().prefix
	block, ok := g.Leases.of(LeaseName(c.Relation))
	switch {
	case !ok:
		return ProviderData{}, fmt.Errorf("cannot give %s addresses: all of %s are taken: remove the relation of another consumer, or relate it to another gateway", c.Data.InstanceName, network)
	case secret == "" || !g.Pod.IsValid():
		return ProviderData{}, ErrNotReady
	}
	d.Overlay = &OverlayData{Network: network, Gateway: first(network), Block: block.Addresses, Pod: g.Pod, Beats: uint16(HeartbeatPort(d.VXLANPort)), MTU: g.MTU, Key: secret}
	if len(g.Resolvers) > 0 {
		d.Overlay.Names = GatewayNames
	}
	return d, nil
}

func (byOverlay) gateway(g Gateway) (fragment, error) {
	if len(g.Endpoint.Ports) == 0 {
		return fragment{}, errors.New("cannot set up the gateway: the VPN endpoint's port is not known")
	}
	network := g.Data.VXLANIPNetwork.Wide().prefix
	if err := apart(network, g.Network, g.App.Name); err != nil {
		return fragment{}, fmt.Errorf("cannot set up the gateway: %w", err)
	}
	if err := g.Data.numbered(); err != nil {
		return fragment{}, fmt.Errorf("cannot set up the gateway: %w", err)
	}
	guard := g.Network.rules(tunnelInterface, uint16(g.Data.VXLANPort), 1, []int{overlay.MetricsPort})
	guard.Router, guard.Beats = overlayInterface, uint16(HeartbeatPort(g.Data.VXLANPort))
	if g.Endpoint.Addr.IsValid() {
		protocol := &guard.Datagrams
		if g.Endpoint.TCP {
			protocol = &guard.Streams
		}
		for _, p := range g.Endpoint.Ports {
			server := netip.AddrPortFrom(g.Endpoint.Addr, p)
			guard.Outside, *protocol = append(guard.Outside, server), append(*protocol, server)
		}
	} else {
		guard.Endpoint = &overlay.Endpoint{Mark: g.Endpoint.Mark, Ports: g.Endpoint.Ports, TCP: g.Endpoint.TCP}
	}
	config := overlay.Config{Guard: guard, Gateway: &overlay.Gateway{
		Device: podInterface, Overlay: overlayInterface, Tunnel: tunnelInterface, Address: netip.PrefixFrom(first(network), network.Bits()),
		Pod: g.begins(), VNI: uint32(g.Data.VXLANID), Port: uint16(g.Data.VXLANPort), Beats: guard.Beats, MTU: g.MTU, Probes: g.Probes,
		Ports: g.Ports, RouterPorts: g.RouterPorts, Told: g.Told, Resolvers: g.Resolvers, Cluster: g.Network.Cluster(), Blocks: g.Leases.Blocks, Seen: g.Leases.Seen, Exit: g.Exit,
		Country: g.Country, Listed: g.Listed, Refused: g.Refused,
	}}
	if len(g.Resolvers) > 0 {
		config.Gateway.Names = GatewayNames
	}
	f := fragment{
		keysName: g.App.keys(),
		// Read by nobody: what the VPN client may is its pod's, and who tells of a server that was chosen is not to tell of one that somebody names.
		settings: map[string]string{"client": fmt.Sprintf("%s %t %t", g.TUN, g.Drops, g.Endpoint.Addr.IsValid())},
		workload: g.TUN.rights(g.Drops),
		limits:   g.TUN.limits(),
		unlinked: true, // a VPN client reads its settings there: by a Service named openvpn it would hear of an OPENVPN_PORT
		labels:   outsideTheMesh(),
	}
	if g.TUN != "" { // else it can have the kernel's WireGuard alone
		f.volumes = append(f.volumes, volume{Name: ownWireGuard, EmptyDir: &struct{}{}})
		f.shared = append(f.shared, volumeMount{ownWireGuard, overlay.WireGuardDir, false})
	}
	config.Gateway.Standby = g.agreement()
	f, err := f.withAgent(g.Network, g.AgentImage, "gateway", config, g.Leases.Keys)
	return f.withToken(g.App), err
}

func (byOverlay) claims(files map[string]string) (vxlanID int, network netip.Prefix) {
	var kept overlay.Config
	if json.Unmarshal([]byte(files[agentFile]), &kept) != nil || kept.Gateway == nil {
		return 0, netip.Prefix{}
	}
	return int(kept.Gateway.VNI), kept.Gateway.Address
}

// GatewayNames is the port on which a gateway answers its clients for names, on its address in the overlay.
const GatewayNames = 4792

// HeartbeatPort is the port of an overlay's heartbeats, UDP: the one beside the encapsulation's.
func HeartbeatPort(vxlan int) int {
	if vxlan == 65535 {
		return vxlan - 1
	}
	return vxlan + 1
}

// PortTaken says whether something else listens at a port of UDP in the pods of an overlay, which both methods' encapsulation would have on
// every address, or at the one beside it: resolvers, and DHCP's two ends of pod-gateway's.
func PortTaken(vxlan int) bool {
	taken := []int{53, 67, 68, GatewayNames, namesPort}
	return slices.Contains(taken, vxlan) || slices.Contains(taken, HeartbeatPort(vxlan))
}

// first is a network's first address for a host: the gateway's.
func first(p netip.Prefix) netip.Addr { return p.Masked().Addr().Next() }

// inModel is how `juju config` finds a gateway from here: across models it has another name here; its own model's is in its data.
func (d ProviderData) inModel() string {
	name := cmp.Or(d.Application, d.InstanceName)
	if d.Namespace != "" {
		return "-m " + d.Namespace + " " + name
	}
	return name
}
