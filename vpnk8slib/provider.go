package vpnk8slib

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

const (
	// DefaultVXLANID is the network identifier where a gateway's data say none; ours say theirs.
	DefaultVXLANID = 42
	// VXLANPort is the UDP port that our gateways publish: neither the kernel's 8472 nor the 4789 that CNIs use.
	VXLANPort = 4790
	// KernelVXLANPort is meant where a gateway says none: charmarr-lib-vpn 0.5 leaves the port to the kernel.
	KernelVXLANPort = 8472
)

// ProviderData is what a gateway publishes on the vpn-gateway relation. The JSON names are the wire format, compatible
// both ways with charmarr-lib-vpn 0.5; it may only grow. ClusterCIDRs and ClusterDNSIP are for Python consumers: a
// consumer of ours uses its own discovery, and nothing that a provider says widens it.
type ProviderData struct {
	RoutingMethod  string         `json:"routing_method" validate:"required"`
	GatewayDNSName string         `json:"gateway_dns_name" validate:"required,max=253,fqdn"` // of the active unit: two addresses behind one name break pod-gateway
	VXLANID        int            `json:"vxlan_id" validate:"min=1,max=16777215"`
	VXLANIPNetwork OverlayNetwork `json:"vxlan_ip_network" validate:"required"`
	VXLANPort      int            `json:"vxlan_port" validate:"min=1,max=65535,ne=53"` // absent in what is read: 8472
	ClusterCIDRs   CIDRs          `json:"cluster_cidrs" validate:"min=1"`
	ClusterDNSIP   netip.Addr     `json:"cluster_dns_ip" validate:"required,ip"`
	VPNConnected   bool           `json:"vpn_connected"`
	ExternalIP     netip.Addr     `json:"external_ip,omitzero" validate:"omitempty,ip"` // what the world sees, while connected
	InstanceName   string         `json:"instance_name" validate:"required,label"`
	// Namespace and Application name the gateway's pods: across models the remote application has another name. Where they
	// are absent they follow from GatewayDNSName.
	Namespace   string `json:"namespace,omitempty" validate:"omitempty,label"`
	Application string `json:"application,omitempty" validate:"omitempty,label"`
	// DNSResolvers are asked for names outside of the cluster, through the tunnel.
	DNSResolvers []netip.AddrPort `json:"dns_resolvers,omitempty" validate:"dive,ip"`
	// Port is the provider's that leads to this consumer; nil: none does now.
	Port *Port `json:"forwarded_port,omitempty"`
	// Overlay is what the method overlay needs beside these.
	Overlay *OverlayData `json:"overlay,omitempty"`
}

// DecodeProviderData reads a gateway's application databag. The error is ErrNotReady or an *InvalidError.
func DecodeProviderData(from string, databag map[string]string) (ProviderData, error) {
	d := ProviderData{RoutingMethod: podGatewayName, VXLANID: DefaultVXLANID, VXLANIPNetwork: DefaultOverlay(), VXLANPort: KernelVXLANPort}
	if err := decode(from, databag, &d); err != nil {
		return ProviderData{}, err
	}
	if !slices.Contains(RoutingMethods(), d.RoutingMethod) {
		return ProviderData{}, &InvalidError{from, fmt.Errorf("routing_method %q is not among %s; refresh this charm if the gateway is newer: juju refresh %s --path=<the newer charm>", d.RoutingMethod, strings.Join(RoutingMethods(), ", "), application)}
	}
	d.fillNames()
	if err := check(d); err != nil { // a DNS name may hold what no application can be called
		return ProviderData{}, &InvalidError{from, fmt.Errorf("gateway_dns_name names no application: %w", err)}
	}
	if err := d.valid(); err != nil {
		return ProviderData{}, &InvalidError{from, err}
	}
	return d, nil
}

// valid says what is wrong with the data, field by field, and for its routing method.
func (d ProviderData) valid() error {
	if err := check(d); err != nil {
		return err
	}
	m, err := methodOf(d.RoutingMethod)
	if err != nil {
		return err
	}
	return m.check(d)
}

// UnmarshalJSON reads what others published or an earlier hook kept.
func (d *ProviderData) UnmarshalJSON(b []byte) error {
	type plain ProviderData
	foreign := struct {
		*plain
		ClusterCIDRs *foreignCIDRs `json:"cluster_cidrs"`
	}{(*plain)(d), (*foreignCIDRs)(&d.ClusterCIDRs)}
	return json.Unmarshal(b, &foreign)
}

// numbered refuses an overlay without a port or an identifier: the image takes 0 for whatever the kernel likes, and no policy
// and no firewall could name it.
func (d ProviderData) numbered() error {
	switch {
	case d.VXLANPort < 1:
		return fmt.Errorf("vxlan_port is %d, and must be at least 1; %d is this library's own", d.VXLANPort, VXLANPort)
	case d.VXLANID < 1:
		return fmt.Errorf("vxlan_id is %d, and must be at least 1", d.VXLANID)
	default:
		return nil
	}
}

// named refuses a gateway whose name is none of this cluster's: it would be asked for outside of it, and whoever answers would
// choose to where packets go.
func (d ProviderData) named(n Network) error {
	if name := strings.ToLower(strings.TrimSuffix(d.GatewayDNSName, ".")); !strings.HasSuffix(name, ".svc."+n.Domain) {
		return fmt.Errorf("gateway_dns_name %s is not a name of this cluster (.svc.%s)", d.GatewayDNSName, n.Domain)
	}
	return nil
}

// fillNames takes what 0.5 does not say from the name that it says: APP[-endpoints].NAMESPACE.svc… or
// POD.APP-endpoints.NAMESPACE.svc….
func (d *ProviderData) fillNames() {
	before, _, ok := strings.Cut(d.GatewayDNSName, ".svc.")
	if !ok {
		return
	}
	parts := strings.Split(before, ".")
	if len(parts) < 2 {
		return
	}
	if d.Namespace == "" {
		d.Namespace = parts[len(parts)-1]
	}
	if d.Application == "" {
		d.Application = strings.TrimSuffix(parts[len(parts)-2], "-endpoints")
	}
}

// Encode returns the databag, or an error that names the fields that are wrong. It writes no networks that Python consumers
// had better not have.
func (d ProviderData) Encode() (map[string]string, error) {
	if err := d.ClusterCIDRs.check(); err != nil {
		return nil, fmt.Errorf("cluster_cidrs: %w", err)
	}
	return encode(d)
}
