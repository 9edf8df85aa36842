package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/charmarr/charmarr-go/charms/hook"
	"github.com/charmarr/charmarr-go/vpnk8slib"
)

// Config is what `juju config gluetun` offers. Each value is typed on its own here; what they mean together complete says.
type Config struct {
	Provider        providerName             `json:"vpn-provider"`
	Type            string                   `json:"vpn-type" validate:"oneof=wireguard openvpn"`
	KeySecret       string                   `json:"wireguard-private-key-secret"`
	Addresses       addresses                `json:"wireguard-addresses"`
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
	PortServer      server                   `json:"nat-pmp-server"` // zero: the provider's
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

	secretly bool   // Addresses are from the secret, and in no status
	version  string // of gluetun, where it is not the table's
}

// hide takes the values out of what a status says of options into which somebody may have put a key: `juju status` is read
// by more people than the options are.
func hide(err error) {
	for _, wrong := range hook.Refusals(err) {
		if slices.Contains([]string{"custom-overrides", "wireguard-public-key", "wireguard-addresses"}, wrong.Name) {
			wrong.Value = "(not shown)"
		}
	}
}

// words splits a list as people write it: by commas, with spaces around them.
func words(text string) (out []string) {
	for _, w := range strings.Split(text, ",") {
		if w = strings.TrimSpace(w); w != "" {
			out = append(out, w)
		}
	}
	return out
}

// addresses are those of this end of the tunnel, as the provider's WireGuard file calls them Address.
type addresses []netip.Prefix

// UnmarshalText reads addresses with or without a length.
func (a *addresses) UnmarshalText(text []byte) error {
	*a = nil
	for _, w := range words(string(text)) {
		p, err := netip.ParsePrefix(w)
		if err != nil {
			addr, err := netip.ParseAddr(w)
			if err != nil || addr.Zone() != "" {
				return errors.New("copy the line Address of your provider's WireGuard file, such as 10.64.0.2/32")
			}
			p = netip.PrefixFrom(addr, addr.BitLen())
		}
		*a = append(*a, p)
	}
	return nil
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
	*p = words(string(text))
	if strings.ContainsAny(string(text), "$`\"'\\\n\r=;|&<>") {
		return errors.New("set names separated by commas, such as Switzerland,Sweden")
	}
	return nil
}

// targets are where the tunnel is tried: addresses, because names need a resolver that may be the one that is down.
type targets []netip.AddrPort

// UnmarshalText reads ADDRESS:PORT, ….
func (t *targets) UnmarshalText(text []byte) error {
	*t = nil
	for _, w := range words(string(text)) {
		a, err := netip.ParseAddrPort(w)
		if err != nil || a.Addr().Zone() != "" || a.Port() == 0 {
			return errors.New("set addresses with their ports outside the cluster, such as 1.1.1.1:443,9.9.9.9:443")
		}
		*t = append(*t, a)
	}
	return nil
}

// resolvers are asked for clients' names, through the tunnel.
type resolvers []netip.AddrPort

// UnmarshalText reads ADDRESS or ADDRESS:PORT, ….
func (r *resolvers) UnmarshalText(text []byte) error {
	*r = nil
	for _, w := range words(string(text)) {
		a, err := netip.ParseAddrPort(w)
		if err != nil {
			var addr netip.Addr
			addr, err = netip.ParseAddr(w)
			a = netip.AddrPortFrom(addr, 53)
		}
		if err != nil || a.Addr().Zone() != "" || a.Port() == 0 {
			return errors.New("set addresses of resolvers outside the cluster, such as 1.1.1.1,9.9.9.9")
		}
		*r = append(*r, a)
	}
	return nil
}

// overrides are settings of gluetun's own that no option of the charm covers.
type overrides map[string]string

// override is a setting that may be given, and what it takes.
type override struct {
	value  *regexp.Regexp // nil: any
	such   string
	filter bool // servers are chosen by it: not every provider has data for it
}

var (
	someNames = override{filter: true}
	onOrOff   = override{regexp.MustCompile(`(?i)^(on|yes|true|enabled|off|no|false|disabled)$`), "on or off", false}
	onlySome  = override{onOrOff.value, onOrOff.such, true}
	aNumber   = regexp.MustCompile(`^[0-9]{1,5}$`)
)

// off holds for what gluetun takes for no.
func off(value string) bool {
	return slices.Contains([]string{"", "off", "no", "false", "disabled"}, strings.ToLower(value))
}

// mayOverride are those that neither the firewall, nor the routes, nor the keys, nor the way this charm learns how the
// tunnel is, depend on. A list of what is allowed: what a later version adds is refused until somebody has looked at it.
var mayOverride = map[string]override{
	"FREE_ONLY": onlySome, "MULTIHOP_ONLY": onlySome, "OWNED_ONLY": onlySome, "PORT_FORWARD_ONLY": onlySome, "PREMIUM_ONLY": onlySome,
	"SECURE_CORE_ONLY": onlySome, "STREAM_ONLY": onlySome, "TOR_ONLY": onlySome,
	"ISP": someNames, "SERVER_CATEGORIES": someNames, "SERVER_NAMES": someNames,
	"SERVER_NUMBER": {regexp.MustCompile(`^[0-9]{1,5}(,[0-9]{1,5})*$`), "numbers such as 12,345", true},
	"LOG_LEVEL":     {regexp.MustCompile(`(?i)^(debug|info|warn|warning|error)$`), "debug, info, warning or error", false},
	"OPENVPN_AUTH":  {}, "OPENVPN_CIPHERS": {},
	"OPENVPN_MSSFIX":    {aNumber, "a number such as 1400", false},
	"OPENVPN_VERBOSITY": {regexp.MustCompile(`^[0-6]$`), "a number from 0 to 6", false},
	"OPENVPN_VERSION":   {regexp.MustCompile(`^2\.[56]$`), "2.5 or 2.6", false},
	encryption:          {regexp.MustCompile(`^(normal|strong)$`), "normal or strong", false},
	"PUBLICIP_API":      {}, "PUBLICIP_ENABLED": onOrOff, "TZ": {},
	"UPDATER_PERIOD":           {regexp.MustCompile(`^([0-9]+h)?([0-9]+m)?([0-9]+s)?$|^0$`), "a time such as 24h", false},
	forwarding:                 onOrOff,
	"WIREGUARD_IMPLEMENTATION": {regexp.MustCompile(`^(auto|userspace|kernelspace)$`), "auto, userspace or kernelspace", false},
	"WIREGUARD_MTU":            {aNumber, "a number such as 1400", false},
	"WIREGUARD_PERSISTENT_KEEPALIVE_INTERVAL": {regexp.MustCompile(`^([0-9]+m)?([0-9]+s)?$|^0$`), "a time such as 25s", false},
}

// insteadOf is what gluetun's names are that have an option here, or belong into the secret.
var insteadOf = map[string]string{
	"VPN_SERVICE_PROVIDER": "set the option vpn-provider", "VPN_TYPE": "set the option vpn-type",
	"SERVER_COUNTRIES": "set the option server-countries", "SERVER_REGIONS": "set the option server-regions", "SERVER_CITIES": "set the option server-cities",
	"SERVER_HOSTNAMES":      "set the option server-hostnames",
	"WIREGUARD_ENDPOINT_IP": "set the option vpn-endpoint-ip", "WIREGUARD_ENDPOINT_PORT": "set the option vpn-endpoint-port",
	"OPENVPN_ENDPOINT_IP": "set the option vpn-endpoint-ip", "OPENVPN_ENDPOINT_PORT": "set the option vpn-endpoint-port",
	"OPENVPN_PROTOCOL": "set the option openvpn-protocol", "WIREGUARD_PUBLIC_KEY": "set the option wireguard-public-key",
	"WIREGUARD_PRIVATE_KEY":   inSecret("wireguard-private-key-secret", "private-key"),
	"WIREGUARD_PRESHARED_KEY": inSecret("wireguard-private-key-secret", "preshared-key"),
	"WIREGUARD_ADDRESSES":     inSecret("wireguard-private-key-secret", "addresses"),
	"OPENVPN_USER":            inSecret("openvpn-secret", "user"), "OPENVPN_PASSWORD": inSecret("openvpn-secret", "password"),
	"OPENVPN_CERT": inSecret("openvpn-secret", "certificate"), "OPENVPN_KEY": inSecret("openvpn-secret", "key"),
	"OPENVPN_ENCRYPTED_KEY": inSecret("openvpn-secret", "encrypted-key"), "OPENVPN_KEY_PASSPHRASE": inSecret("openvpn-secret", "passphrase"),
	"OPENVPN_CUSTOM_CONFIG": inSecret("openvpn-secret", "config"),
}

// inSecret says how a credential is given.
func inSecret(option, word string) string {
	return fmt.Sprintf("put it into the secret of %s (juju add-secret vpn-key %s)", option, credentials[word].example)
}

// UnmarshalText reads a NAME=VALUE for each line. Errors repeat no name that is none of gluetun's: it might be half of a key.
func (o *overrides) UnmarshalText(text []byte) error {
	*o = nil
	for _, line := range strings.Split(string(text), "\n") {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		may, can := mayOverride[name]
		switch {
		case insteadOf[name] != "":
			return fmt.Errorf("for %s, %s", name, insteadOf[name])
		case !ok || !can:
			return fmt.Errorf("each line is NAME=VALUE, with a NAME among %s", strings.Join(slices.Sorted(maps.Keys(mayOverride)), ", "))
		case strings.Contains(value, "-----BEGIN") || slices.ContainsFunc(words(value), isKey):
			return fmt.Errorf("the value of %s looks like a key: %s", name, inSecret("wireguard-private-key-secret", "private-key"))
		case may.value != nil && !may.value.MatchString(value):
			return fmt.Errorf("the value of %s must be %s", name, may.such)
		}
		if *o == nil {
			*o = overrides{}
		}
		(*o)[name] = value
	}
	return nil
}
