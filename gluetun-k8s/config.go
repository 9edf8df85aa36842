package main

import (
	"encoding/base64"
	"errors"
	"net/netip"
	"strings"

	"github.com/charmarr/charmarr-go/charms/hook"
	"github.com/charmarr/charmarr-go/vpnk8slib"
)

// Config is what `juju config gluetun` offers. Each value is typed on its own here; what they mean together complete says.
type Config struct {
	Provider        providerName             `json:"vpn-provider"`
	Type            string                   `json:"vpn-type" validate:"oneof=wireguard openvpn"`
	KeySecret       string                   `json:"wireguard-private-key-secret"`
	PublicKey       key                      `json:"wireguard-public-key"`
	OpenVPNSecret   string                   `json:"openvpn-secret"`
	Protocol        string                   `json:"openvpn-protocol" validate:"oneof=udp tcp"`
	EndpointIP      server                   `json:"vpn-endpoint-ip"`
	EndpointPort    int                      `json:"vpn-endpoint-port" validate:"min=0,max=65535"` // 0: the provider's
	Countries       places                   `json:"server-countries"`
	Regions         places                   `json:"server-regions"`
	Cities          places                   `json:"server-cities"`
	Hostnames       places                   `json:"server-hostnames"`
	ProbeTargets    targets                  `json:"probe-targets" validate:"min=1"`
	Resolvers       resolvers                `json:"dns-resolvers" validate:"min=1"`
	PortServer      granter                  `json:"nat-pmp-server"` // zero: the provider's
	DNSOverTLS      bool                     `json:"dns-over-tls"`
	Overrides       overrides                `json:"custom-overrides"`
	ClusterCIDRs    vpnk8slib.CIDRs          `json:"cluster-cidrs"`                          // empty: discovered
	VXLANID         int                      `json:"vxlan-id" validate:"min=0,max=16777215"` // 0: chosen
	VXLANPort       int                      `json:"vxlan-port" validate:"min=1,max=65535"`
	Overlay         vpnk8slib.OverlayNetwork `json:"vxlan-ip-network"` // empty: chosen
	TUN             vpnk8slib.TUN            `json:"tun-device"`
	RoutingMethod   string                   `json:"routing-method" validate:"oneof=pod-gateway overlay"`
	PodGatewayImage string                   `json:"pod-gateway-image" validate:"required,image"`
	AgentImage      string                   `json:"vpn-agent-image" validate:"required,image"`

	own        addresses // of this end of the tunnel: the secret's, and in no status
	version    string    // of gluetun; empty: the table's
	passesOver bool      // that gluetun passes over a server's address over WireGuard, where it knows the provider's servers
}

// addresses are those of this end of the tunnel, as the provider's WireGuard file calls them Address.
type addresses []netip.Prefix

// UnmarshalText reads addresses with or without a length.
func (a *addresses) UnmarshalText(text []byte) (err error) {
	if *a, err = hook.Addresses(string(text)); err != nil { // which repeats it
		err = errors.New("copy the line Address of your provider's WireGuard file, such as 10.64.0.2/32")
	}
	return err
}

func (a addresses) String() string {
	out := make([]string, len(a))
	for i, p := range a {
		out[i] = p.String()
	}
	return strings.Join(out, ",")
}

// server is an address: gluetun takes no name, which it could ask nobody for before the tunnel is up.
type server struct{ netip.Addr }

// UnmarshalText reads an address; an empty text is none.
func (s *server) UnmarshalText(text []byte) error {
	if err := s.Addr.UnmarshalText(text); err != nil || s.Zone() != "" {
		*s = server{}
		return errors.New("set the server's address, such as 198.51.100.7, not its name")
	}
	return nil
}

// key is a WireGuard key: 32 bytes in base64.
type key string

// UnmarshalText refuses what is no key, without repeating it: it might be the wrong one of the two.
func (k *key) UnmarshalText(text []byte) error {
	*k = key(strings.TrimSpace(string(text)))
	if *k != "" && !isKey(string(*k)) {
		return errors.New("set the server's public key: 44 characters that end with =")
	}
	return nil
}

func isKey(s string) bool {
	raw, err := base64.StdEncoding.DecodeString(s)
	return err == nil && len(raw) == 32
}

// places are names of countries, cities, or servers.
type places []string

// UnmarshalText reads names; the program's own list decides whether there are such servers.
func (p *places) UnmarshalText(text []byte) error {
	*p = hook.Words(string(text))
	return notNames(string(text))
}

// notNames says why a text is no list of names, if so.
func notNames(text string) error {
	if strings.ContainsAny(text, "$`\"\\\n\r=;|&<>") || keyLike.MatchString(text) {
		return errors.New("set names separated by commas, such as Switzerland,Sweden")
	}
	return nil
}

// targets are where the tunnel is tried: addresses, because names need a resolver that may be the one that is down.
type targets []netip.AddrPort

var errNoTargets = errors.New("set addresses with their ports outside the cluster, such as 1.1.1.1:443,9.9.9.9:443")

// UnmarshalText reads ADDRESS:PORT, ….
func (t *targets) UnmarshalText(text []byte) error {
	*t = nil
	for _, w := range hook.Words(string(text)) {
		a, err := netip.ParseAddrPort(w)
		if err != nil || a.Addr().Zone() != "" || a.Port() == 0 {
			return errNoTargets
		}
		*t = append(*t, a)
	}
	if *t == nil {
		return errNoTargets
	}
	return nil
}

// resolvers are asked for clients' names, through the tunnel.
type resolvers []netip.AddrPort

var errNoResolvers = errors.New("set addresses of resolvers outside the cluster, such as 1.1.1.1,9.9.9.9")

// UnmarshalText reads ADDRESS or ADDRESS:PORT, ….
func (r *resolvers) UnmarshalText(text []byte) error {
	*r = nil
	for _, w := range hook.Words(string(text)) {
		a, err := netip.ParseAddrPort(w)
		if err != nil {
			var addr netip.Addr
			addr, err = netip.ParseAddr(w)
			a = netip.AddrPortFrom(addr, 53)
		}
		if err != nil || a.Addr().Zone() != "" || a.Port() == 0 {
			return errNoResolvers
		}
		*r = append(*r, a)
	}
	if *r == nil {
		return errNoResolvers
	}
	return nil
}
