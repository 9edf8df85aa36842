package main

import (
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// openvpn are the settings of OpenVPN.
type openvpn struct {
	user, password       string
	protocol             string
	config               string // a path
	cert, key, encrypted string
	passphrase           string
	version              string
	preset               string // of encryption, of one provider
	flags                []string
	verbosity            string
}

// Server data of v3.41.1, as far as filters need it: what its updaters write for each provider (internal/provider/*/updater).
var filters = map[string]string{
	"airvpn": "COUNTRIES REGIONS CITIES NAMES HOSTNAMES", "cyberghost": "COUNTRIES HOSTNAMES", "expressvpn": "COUNTRIES CITIES HOSTNAMES",
	"fastestvpn": "COUNTRIES CITIES HOSTNAMES", "giganews": "REGIONS HOSTNAMES", "hidemyass": "COUNTRIES REGIONS CITIES HOSTNAMES",
	"ipvanish": "COUNTRIES CITIES HOSTNAMES", "ivpn": "COUNTRIES CITIES ISP HOSTNAMES", "mullvad": "COUNTRIES CITIES ISP HOSTNAMES",
	"nordvpn": "COUNTRIES REGIONS CITIES HOSTNAMES CATEGORIES", "perfect privacy": "CITIES", "privado": "COUNTRIES REGIONS CITIES HOSTNAMES",
	"private internet access": "REGIONS NAMES HOSTNAMES", "privatevpn": "COUNTRIES CITIES HOSTNAMES", "protonvpn": "COUNTRIES REGIONS CITIES NAMES HOSTNAMES",
	"purevpn": "COUNTRIES REGIONS CITIES HOSTNAMES", "slickvpn": "COUNTRIES REGIONS CITIES HOSTNAMES", "surfshark": "COUNTRIES REGIONS CITIES HOSTNAMES",
	"torguard": "COUNTRIES CITIES HOSTNAMES", "vpn unlimited": "COUNTRIES CITIES HOSTNAMES", "vpnsecure": "COUNTRIES REGIONS CITIES HOSTNAMES",
	"vyprvpn": "REGIONS HOSTNAMES", "windscribe": "REGIONS CITIES HOSTNAMES", "custom": "",
}

// features are filters that say yes or no, and whose they are (settings/serverselection.go).
var features = map[string][]string{
	"OWNED_ONLY": {"mullvad"}, "FREE_ONLY": {"protonvpn", "vpn unlimited"}, "STREAM_ONLY": {"protonvpn", "vpn unlimited"}, "PREMIUM_ONLY": {"vpnsecure"},
	"MULTIHOP_ONLY": {"surfshark"}, "SECURE_CORE_ONLY": {"protonvpn"}, "TOR_ONLY": {"protonvpn"}, "PORT_FORWARD_ONLY": {"private internet access", "protonvpn"},
}

// openvpnPorts are those that may be chosen (settings/openvpnselection.go): by UDP, by TCP. One that is not here takes any.
var openvpnPorts = map[string][2][]uint16{
	"expressvpn": {}, "fastestvpn": {}, "giganews": {}, "ipvanish": {}, "nordvpn": {}, "privado": {}, "purevpn": {}, "surfshark": {}, "vpnsecure": {}, "vpn unlimited": {}, "vyprvpn": {},
	"airvpn":                  {{53, 80, 443, 1194, 2018, 41185}, {53, 80, 443, 1194, 2018, 41185}},
	"ivpn":                    {{53, 1194, 2049, 2050}, {80, 443, 1143}},
	"mullvad":                 {{53, 1194, 1195, 1196, 1197, 1300, 1301, 1302, 1303, 1400}, {80, 443, 1401}},
	"perfect privacy":         {{44, 443, 4433}, {44, 443, 4433}},
	"private internet access": {{53, 1194, 1197, 1198, 8080, 9201}, {80, 110, 443}},
	"protonvpn":               {{80, 443, 1194, 4569, 5060, 51820}, {443, 5995, 8443}},
	"slickvpn":                {{443, 8080, 8888}, {443, 8080, 8888}},
	"windscribe":              {{53, 80, 123, 443, 1194, 54783}, {21, 22, 80, 123, 143, 443, 587, 1194, 3306, 8080, 54783}},
}

func (r *reader) openvpn(provider string) (o openvpn) {
	o.user, o.password, o.passphrase = r.get("OPENVPN_USER", ""), r.get("OPENVPN_PASSWORD", ""), r.get("OPENVPN_KEY_PASSPHRASE", "")
	if provider == "mullvad" && o.password == "" {
		o.password = "m"
	}
	o.cert, o.key, o.encrypted = r.pem("OPENVPN_CERT"), r.pem("OPENVPN_KEY"), r.pem("OPENVPN_ENCRYPTED_KEY")
	o.config, o.protocol = r.get("OPENVPN_CUSTOM_CONFIG", ""), r.get("OPENVPN_PROTOCOL", "udp")
	o.version, o.verbosity, o.flags = r.get("OPENVPN_VERSION", "2.6"), r.get("OPENVPN_VERBOSITY", "1"), strings.Fields(r.get("OPENVPN_FLAGS", ""))
	o.preset = strings.ToLower(r.get("PRIVATE_INTERNET_ACCESS_OPENVPN_ENCRYPTION_PRESET", "strong"))
	for _, key := range []string{"OPENVPN_MSSFIX", "OPENVPN_VERBOSITY"} {
		if v := r.get(key, "0"); !regexp.MustCompile(`^[0-9]+$`).MatchString(v) {
			r.fail(key, fmt.Errorf("value is not an integer: %q", v))
		}
	}
	return o
}

// pem is the base64 text of a setting that is a PEM file; a file that is none is a warning, and then missing.
func (r *reader) pem(key string) string {
	name := map[string]string{"OPENVPN_CERT": "OPENVPN_CLIENTCRT", "OPENVPN_KEY": "OPENVPN_CLIENTKEY"}[key]
	if name == "" {
		name = key
	}
	path := r.env(name + "_SECRETFILE")
	if path == "" {
		path = "/run/secrets/" + strings.ToLower(name)
	}
	data, err := r.read(path)
	if err != nil {
		return r.get(key, "")
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return ""
	}
	return base64.StdEncoding.EncodeToString(block.Bytes)
}

// chosen says what is wrong with the filters that choose a server.
func (s settings) chosen() error {
	for name, values := range s.filters {
		if s.provider == "custom" && name == "NAMES" && len(values) == 1 { // the server's, for ports by another provider's way
			continue
		}
		if len(values) > 0 && !slices.Contains(strings.Fields(filters[s.provider]), name) {
			return fmt.Errorf("VPN provider settings: server selection: for VPN service provider %s: the %s specified is not valid: no choice", s.provider, strings.ToLower(name))
		}
	}
	for name, on := range s.features {
		if on && !slices.Contains(features[name], s.provider) {
			return fmt.Errorf("VPN provider settings: server selection: for VPN service provider %s: %s filter is not supported", s.provider, strings.ToLower(name))
		}
	}
	if s.features["FREE_ONLY"] && s.features["PORT_FORWARD_ONLY"] {
		return errors.New("VPN provider settings: server selection: port forwarding only filter is not supported: together with free only filter")
	}
	return s.listed()
}

var account = regexp.MustCompile(`^(i|ivpn)-[a-zA-Z0-9]{4}-[a-zA-Z0-9]{4}-[a-zA-Z0-9]{4}$`)

// validateOpenVPN refuses what gluetun refuses of OpenVPN's (settings/openvpnselection.go, openvpn.go).
func (s settings) validateOpenVPN(read func(string) ([]byte, error)) error {
	o := s.openvpn
	of := func(names ...string) bool { return slices.Contains(names, s.provider) }
	user := !of("custom", "airvpn", "vpnsecure")
	allowed, some := openvpnPorts[s.provider]
	switch {
	case filters[s.provider] == "" && s.provider != "custom":
		return fmt.Errorf("VPN provider settings: VPN provider name is not valid: %q", s.provider)
	case o.protocol != "udp" && o.protocol != "tcp":
		return fmt.Errorf("OpenVPN server selection settings: network protocol: %q is not one of udp, tcp", o.protocol)
	case o.protocol == "tcp" && of("giganews", "ipvanish", "perfect privacy", "privado", "vyprvpn"):
		return fmt.Errorf("OpenVPN server selection settings: TCP protocol is not supported: for VPN service provider %s", s.provider)
	case s.port != 0 && some && !slices.Contains(allowed[map[string]int{"udp": 0, "tcp": 1}[o.protocol]], s.port):
		return fmt.Errorf("OpenVPN server selection settings: custom endpoint port is not allowed: for VPN service provider %s", s.provider)
	case of("private internet access") && !slices.Contains([]string{"none", "normal", "strong"}, o.preset):
		return fmt.Errorf("OpenVPN server selection settings: PIA encryption preset is not valid: %s", o.preset)
	case o.version != "2.5" && o.version != "2.6":
		return fmt.Errorf("OpenVPN settings: version is not valid: %s", o.version)
	case user && o.user == "":
		return errors.New("OpenVPN settings: user is empty")
	case user && o.password == "" && !(of("ivpn") && account.MatchString(o.user)):
		return errors.New("OpenVPN settings: password is empty")
	case of("custom") && o.config == "":
		return errors.New("OpenVPN settings: custom configuration file: filepath is missing")
	case of("airvpn", "cyberghost", "vpnsecure", "vpn unlimited") && o.cert == "":
		return errors.New("OpenVPN settings: client certificate: missing value")
	case of("airvpn", "cyberghost", "vpn unlimited") && o.key == "":
		return errors.New("OpenVPN settings: client key: missing value")
	case of("vpnsecure") && o.encrypted == "":
		return errors.New("OpenVPN settings: encrypted key: missing value")
	case o.encrypted != "" && o.passphrase == "":
		return errors.New("OpenVPN settings: key passphrase is empty")
	case of("custom"):
		data, err := read(o.config)
		if err != nil {
			return fmt.Errorf("OpenVPN settings: custom configuration file: %w", err)
		}
		return remote(string(data))
	}
	return nil
}

// remote refuses a file without a server that gluetun can read: an address.
func remote(text string) error {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if !strings.HasPrefix(line, "remote ") {
			continue
		}
		if len(f) < 2 || len(f) > 4 {
			return fmt.Errorf("extracting from remote line: remote line has not 2 fields as expected: %s", line)
		}
		if _, err := netip.ParseAddr(f[1]); err != nil {
			return fmt.Errorf("extracting from remote line: host is not an IP address: %s", f[1])
		}
		if len(f) > 2 {
			if n, err := strconv.Atoi(f[2]); err != nil || n < 1 || n > 65535 {
				return fmt.Errorf("extracting from remote line: port is not valid: %s", f[2])
			}
		}
		return nil
	}
	return errors.New("extracting connection from file: remote line not found")
}
