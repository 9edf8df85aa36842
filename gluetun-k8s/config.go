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
	Provider        providerName             `json:"vpn-provider" example:"<one of them, such as mullvad>"`
	Type            string                   `json:"vpn-type" validate:"oneof=wireguard openvpn"`
	KeySecret       string                   `json:"wireguard-private-key-secret"`
	PublicKey       key                      `json:"wireguard-public-key" example:"<PublicKey of the server, such as xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=>"`
	OpenVPNSecret   string                   `json:"openvpn-secret"`
	Protocol        string                   `json:"openvpn-protocol" validate:"oneof=udp tcp"`
	EndpointIP      server                   `json:"vpn-endpoint-ip" example:"<address of the server, such as 198.51.100.7>"`
	EndpointPort    int                      `json:"vpn-endpoint-port" validate:"min=0,max=65535" example:"51820"` // 0: the provider's
	Countries       places                   `json:"server-countries" example:"<such as Switzerland,Sweden>"`
	Regions         places                   `json:"server-regions" example:"<such as Europe>"`
	Cities          places                   `json:"server-cities" example:"<such as Zurich,Stockholm>"`
	Hostnames       places                   `json:"server-hostnames" example:"<such as se-sto-wg-001>"`
	ProbeTargets    targets                  `json:"probe-targets" validate:"min=1" example:"1.1.1.1:443,9.9.9.9:443"`
	Resolvers       resolvers                `json:"dns-resolvers" validate:"min=1" example:"1.1.1.1,9.9.9.9"`
	PortServer      granter                  `json:"nat-pmp-server" example:"<address in the tunnel, such as 10.2.0.1>"` // zero: the provider's
	DNSOverTLS      bool                     `json:"dns-over-tls" example:"false"`
	Overrides       overrides                `json:"custom-overrides" example:"<the lines, such as LOG_LEVEL=info>"`
	ClusterCIDRs    vpnk8slib.CIDRs          `json:"cluster-cidrs" example:"<pod and service networks of the cluster, such as 10.1.0.0/16,10.152.183.0/24>"` // empty: discovered
	VXLANID         int                      `json:"vxlan-id" validate:"min=0,max=16777215" example:"42"`                                                    // 0: chosen
	VXLANPort       int                      `json:"vxlan-port" validate:"min=1,max=65535" example:"4790"`
	Overlay         vpnk8slib.OverlayNetwork `json:"vxlan-ip-network" example:"<such as 172.16.0>"` // empty: chosen
	TUN             vpnk8slib.TUN            `json:"tun-device" example:"<privileged, or a resource such as squat.ai/tun>"`
	RoutingMethod   string                   `json:"routing-method" validate:"oneof=overlay pod-gateway"`
	PodGatewayImage string                   `json:"pod-gateway-image" validate:"required,image" example:"ghcr.io/angelnu/pod-gateway:v1.13.0"`
	AgentImage      string                   `json:"vpn-agent-image" validate:"required,image" example:"ghcr.io/charmarr/vpn-agent:v0.1.0"`

	own      addresses // of this end of the tunnel: the secret's, and in no status
	image    string    // gluetun's; empty: not known
	wanted   bool      // gluetun is to have ports granted, because a consumer wants one
	portless error     // why it is not, although one does
}

// readConfig reads the options as hook.Config does. Errors say beside which provider an option stands, and repeat no credential.
func readConfig() (Config, error) {
	c, err := hook.Config[Config]()
	hide(err)
	for _, e := range hook.Refusals(err) {
		e.With = c.beside()
	}
	return c, err
}

// beside is what every option has to go with: the provider, once there is one.
func (c Config) beside() string {
	if c.Provider == "" {
		return ""
	}
	return "vpn-provider=" + string(c.Provider)
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
