package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
)

// settings are gluetun's, as far as the stand-in acts on them.
type settings struct {
	provider, kind     string
	key, preshared     string
	public             string
	addresses          []netip.Prefix
	endpoint           netip.Addr
	port               uint16
	filters            map[string][]string // by COUNTRIES, CITIES and so on
	features           map[string]bool
	openvpn            openvpn
	forwarding         forwarding
	outbound           []netip.Prefix
	inputPorts         []string
	controlAddress     string
	authFile           string
	healthAddress      string
	healthTargets      []string
	dns                netip.Addr
	dot                bool
	publicIP           bool
	publicIPAPI        string
	publicIPFile       string
	mtu                int
	wireguardInterface string
	firewallPostRules  string
}

// Providers that gluetun v3.41.1 serves over WireGuard; needs says what it refuses to start without.
var providers = map[string]struct {
	addresses, preshared bool
	ports                []uint16 // custom endpoint ports allowed; nil: any; empty: none
	listens              uint16   // where its servers do, of those whose server the list has
	defaults             string
}{
	"airvpn":     {addresses: true, preshared: true, ports: []uint16{1637, 47107}},
	"custom":     {addresses: true},
	"fastestvpn": {addresses: true, ports: []uint16{}},
	"ivpn":       {addresses: true, ports: []uint16{2049, 2050, 53, 30587, 41893, 48574, 58237}},
	"mullvad":    {addresses: true},
	"nordvpn":    {defaults: "10.5.0.2/32", ports: []uint16{}},
	"protonvpn":  {defaults: "10.2.0.2/32", ports: []uint16{}, listens: 51820},
	"surfshark":  {addresses: true, ports: []uint16{}},
	"windscribe": {addresses: true, ports: []uint16{53, 80, 123, 443, 1194, 65142}},
}

// retired are old names that gluetun still reads, and before the new ones.
var retired = map[string][]string{
	"VPN_SERVICE_PROVIDER":      {"VPNSP"},
	"WIREGUARD_ENDPOINT_IP":     {"VPN_ENDPOINT_IP"},
	"WIREGUARD_ENDPOINT_PORT":   {"VPN_ENDPOINT_PORT"},
	"WIREGUARD_ADDRESSES":       {"WIREGUARD_ADDRESS"},
	"VPN_INTERFACE":             {"WIREGUARD_INTERFACE", "OPENVPN_INTERFACE"},
	"SERVER_COUNTRIES":          {"COUNTRY"},
	"SERVER_CITIES":             {"CITY"},
	"SERVER_REGIONS":            {"REGION"},
	"SERVER_HOSTNAMES":          {"SERVER_HOSTNAME"},
	"SERVER_NAMES":              {"SERVER_NAME"},
	"OWNED_ONLY":                {"OWNED"},
	"OPENVPN_USER":              {"USER"},
	"OPENVPN_PASSWORD":          {"PASSWORD"},
	"OPENVPN_PROTOCOL":          {"PROTOCOL"},
	"OPENVPN_ENDPOINT_IP":       {"OPENVPN_TARGET_IP", "VPN_ENDPOINT_IP"},
	"OPENVPN_ENDPOINT_PORT":     {"PORT", "OPENVPN_PORT", "VPN_ENDPOINT_PORT"},
	"FIREWALL_OUTBOUND_SUBNETS": {"EXTRA_SUBNETS"},
	"PUBLICIP_FILE":             {"IP_STATUS_FILE"},
	"HEALTH_TARGET_ADDRESSES":   {"HEALTH_ADDRESS_TO_PING", "HEALTH_TARGET_ADDRESS"},

	"VPN_PORT_FORWARDING":                               {"PORT_FORWARDING", "PRIVATE_INTERNET_ACCESS_VPN_PORT_FORWARDING"},
	"VPN_PORT_FORWARDING_STATUS_FILE":                   {"PORT_FORWARDING_STATUS_FILE", "PRIVATE_INTERNET_ACCESS_VPN_PORT_FORWARDING_STATUS_FILE"},
	"PRIVATE_INTERNET_ACCESS_OPENVPN_ENCRYPTION_PRESET": {"ENCRYPTION", "PIA_ENCRYPTION"},
}

// secretFiles are the keys that a file may hold; the file comes before the environment.
var secretFiles = map[string]string{
	"WIREGUARD_PRIVATE_KEY":   "/run/secrets/wireguard_private_key",
	"WIREGUARD_PRESHARED_KEY": "/run/secrets/wireguard_preshared_key",
	"WIREGUARD_ADDRESSES":     "/run/secrets/wireguard_addresses",
	"OPENVPN_USER":            "/run/secrets/openvpn_user",
	"OPENVPN_PASSWORD":        "/run/secrets/openvpn_password",
	"OPENVPN_KEY_PASSPHRASE":  "/run/secrets/openvpn_key_passphrase",
	// Every other key has one as well; these two are used.
	"VPN_PORT_FORWARDING_USERNAME": "/run/secrets/vpn_port_forwarding_username",
	"VPN_PORT_FORWARDING_PASSWORD": "/run/secrets/vpn_port_forwarding_password",
}

type reader struct {
	env  func(string) string
	read func(string) ([]byte, error)
	errs []error
}

// get reads a key: secret file, then each retired name, then the name itself. An empty value is none.
func (r *reader) get(key, otherwise string) string {
	if path, ok := secretFiles[key]; ok {
		if p := r.env(key + "_SECRETFILE"); p != "" {
			path = p
		}
		if data, err := r.read(path); err == nil && strings.TrimSpace(string(data)) != "" {
			return strings.TrimSpace(string(data))
		}
	}
	for _, name := range append(slices.Clone(retired[key]), key) {
		if v := strings.Trim(strings.TrimSpace(r.env(name)), `"'`); v != "" {
			return v
		}
	}
	return otherwise
}

func (r *reader) fail(key string, err error) {
	r.errs = append(r.errs, fmt.Errorf("environment variable %s: %w", key, err))
}

func (r *reader) boolean(key string, otherwise bool) bool {
	v := strings.ToLower(r.get(key, ""))
	switch v {
	case "":
		return otherwise
	case "on", "yes", "true", "enabled":
		return true
	case "off", "no", "false", "disabled":
		return false
	}
	r.fail(key, fmt.Errorf("value is not a boolean: %q", v))
	return otherwise
}

func (r *reader) number(key string, otherwise int) int {
	v := r.get(key, "")
	if v == "" {
		return otherwise
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 0 || n > 65535 {
		r.fail(key, fmt.Errorf("value is not a valid port: %q", v))
	}
	return n
}

func (r *reader) address(key string) (a netip.Addr) {
	v := r.get(key, "")
	if v == "" {
		return a
	}
	a, err := netip.ParseAddr(v)
	if err != nil {
		r.fail(key, err)
	}
	return a
}

func (r *reader) list(key string) []string {
	return strings.FieldsFunc(r.get(key, ""), func(c rune) bool { return c == ',' })
}

func (r *reader) prefixes(key, otherwise string) (out []netip.Prefix) {
	v := r.get(key, otherwise)
	for _, s := range strings.FieldsFunc(v, func(c rune) bool { return c == ',' }) {
		s = strings.TrimSpace(s)
		if !strings.Contains(s, "/") && key == "WIREGUARD_ADDRESSES" {
			s += "/32"
		}
		p, err := netip.ParsePrefix(s)
		if err != nil {
			r.fail(key, err)
			continue
		}
		out = append(out, p)
	}
	return out
}

func readSettings(env func(string) string, read func(string) ([]byte, error)) (s settings, err error) {
	r := &reader{env: env, read: read}
	s.provider = strings.ToLower(r.get("VPN_SERVICE_PROVIDER", "private internet access"))
	s.kind = strings.ToLower(r.get("VPN_TYPE", "openvpn"))
	s.key, s.preshared, s.public = r.get("WIREGUARD_PRIVATE_KEY", ""), r.get("WIREGUARD_PRESHARED_KEY", ""), r.get("WIREGUARD_PUBLIC_KEY", "")
	s.addresses = r.prefixes("WIREGUARD_ADDRESSES", providers[s.provider].defaults)
	if kind := strings.ToUpper(s.kind); kind == "WIREGUARD" || kind == "OPENVPN" {
		s.endpoint, s.port = r.address(kind+"_ENDPOINT_IP"), uint16(r.number(kind+"_ENDPOINT_PORT", 0))
	}
	s.openvpn = r.openvpn(s.provider)
	s.forwarding = r.forwarding()
	s.filters, s.features = map[string][]string{"ISP": r.list("ISP")}, map[string]bool{}
	for _, name := range []string{"COUNTRIES", "REGIONS", "CITIES", "NAMES", "HOSTNAMES", "CATEGORIES"} {
		s.filters[name] = r.list("SERVER_" + name)
	}
	for name := range features {
		s.features[name] = r.boolean(name, false)
	}
	s.outbound = r.prefixes("FIREWALL_OUTBOUND_SUBNETS", "")
	s.inputPorts = r.list("FIREWALL_INPUT_PORTS")
	s.controlAddress = r.get("HTTP_CONTROL_SERVER_ADDRESS", ":8000")
	s.authFile = r.get("HTTP_CONTROL_SERVER_AUTH_CONFIG_FILEPATH", "/gluetun/auth/config.toml")
	s.healthAddress = r.get("HEALTH_SERVER_ADDRESS", "127.0.0.1:9999")
	s.healthTargets = r.list("HEALTH_TARGET_ADDRESSES")
	if len(s.healthTargets) == 0 {
		s.healthTargets = []string{"cloudflare.com:443", "github.com:443"}
	}
	s.dns = r.address("DNS_ADDRESS")
	s.dot = r.boolean("DOT", true) && r.boolean("DNS_SERVER", true)
	s.publicIP = r.boolean("PUBLICIP_ENABLED", true)
	s.publicIPAPI = r.get("PUBLICIP_API", "")
	s.publicIPFile = r.get("PUBLICIP_FILE", "/tmp/gluetun/ip")
	s.mtu = r.number("WIREGUARD_MTU", 1320)
	s.wireguardInterface = r.get("VPN_INTERFACE", "wg0")
	s.firewallPostRules = "/iptables/post-rules.txt"
	for _, key := range []string{"HTTP_CONTROL_SERVER_LOG", "VERSION_INFORMATION", "BLOCK_MALICIOUS", "BLOCK_SURVEILLANCE", "BLOCK_ADS", "HEALTH_RESTART_VPN"} {
		r.boolean(key, true)
	}
	return s, errors.Join(r.errs...)
}

// validate refuses what gluetun refuses, after its firewall is up.
func (s settings) validate(read func(string) ([]byte, error)) error {
	if err := s.chosen(); err != nil {
		return err
	}
	if err := s.forwarding.validate(s.provider); err != nil {
		return err
	}
	if s.kind == "openvpn" {
		if err := s.validateOpenVPN(read); err != nil {
			return err
		}
	} else if err := s.validateWireGuard(); err != nil {
		return err
	}
	switch {
	case s.dot:
		return errors.New("the stand-in has no DNS server: set DOT=off")
	case !s.dns.IsValid():
		return errors.New("the stand-in needs DNS_ADDRESS")
	}
	for _, o := range s.outbound {
		if o.Bits() == 0 {
			return fmt.Errorf("firewall settings: outbound subnet has an unspecified address: %s", o)
		}
	}
	return nil
}

func (s settings) validateWireGuard() error {
	p, ok := providers[s.provider]
	switch {
	case s.kind != "wireguard":
		return fmt.Errorf("VPN type is not valid: %s", s.kind)
	case !ok:
		return fmt.Errorf("VPN provider settings: VPN provider name is not valid: %q", s.provider)
	case s.key == "":
		return errors.New("cannot use the WireGuard settings: private key is not set")
	case !isKey(s.key):
		return errors.New("cannot use the WireGuard settings: private key is not valid")
	case p.preshared && s.preshared == "":
		return errors.New("cannot use the WireGuard settings: pre-shared key is not set")
	case s.preshared != "" && !isKey(s.preshared):
		return errors.New("cannot use the WireGuard settings: pre-shared key is not valid")
	case len(s.addresses) == 0:
		return errors.New("cannot use the WireGuard settings: interface address is not set")
	case s.provider == "custom" && s.public == "":
		return errors.New("cannot use the WireGuard server selection settings: public key is not set")
	case s.provider == "custom" && !s.endpoint.IsValid():
		return errors.New("cannot use the WireGuard server selection settings: endpoint IP is not set")
	case s.provider == "custom" && s.port == 0:
		return errors.New("cannot use the WireGuard server selection settings: endpoint port is not set")
	case s.port != 0 && p.ports != nil && !slices.Contains(p.ports, s.port):
		return fmt.Errorf("cannot use the WireGuard server selection settings: endpoint port %d is not allowed for provider %s", s.port, s.provider)
	}
	return nil
}

func isKey(s string) bool {
	raw, err := base64.StdEncoding.DecodeString(s)
	return err == nil && len(raw) == 32
}

// searchLines are kept when resolv.conf is rewritten.
func searchLines() (out string) {
	data, err := os.ReadFile("/etc/resolv.conf")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(data)) {
		if !strings.HasPrefix(line, "nameserver") {
			out += line
		}
	}
	return out
}
