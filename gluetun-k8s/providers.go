package main

import (
	"errors"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// provider is what gluetun v3.41.1 wants to know of one before it starts (settings/provider.go, serverselection.go, openvpn.go,
// openvpnselection.go, wireguard.go and wireguardselection.go there, and each provider's connection.go for its ports).
type provider struct {
	// What its servers are chosen by: SERVER_COUNTRIES for countries, and what is written in capitals under that name. gluetun
	// refuses all others, for which it has no data.
	filters            string
	wireguard, openvpn protocol
	forwards           string // how it leads ports to its clients, where that is not by NAT-PMP
	told               bool   // gluetun has them granted by itself (settings/portforward.go), and tells which
	borrows            bool   // or the way of another provider, whom the operator names
}

// protocol is what it takes to use a provider in one of the two ways; without UDP it cannot be used so.
type protocol struct {
	needs, takes string         // what the secret has to hold, and what it may hold besides
	alone        *regexp.Regexp // a user of this form has no password
	server       bool           // knows no servers: the user names one
	udp, tcp     *listening
	// The network behind the tunnel in which its gateway and resolver have the first addresses, where it is the same for all.
	inside netip.Prefix
	doubt  string              // what gluetun itself warns of when it starts (settings/settings.go, Warnings)
	grants granter             // who grants ports, by NAT-PMP through the tunnel
	normal [2]uint16           // where its servers listen with the lesser of two presets of encryption: by UDP, by TCP; zero: it has one only
	in     map[string]protocol // where another version of gluetun has it otherwise: all of it
}

// encryption is gluetun's name of the preset. One more there was, up to v3.41, which encrypts nothing: nobody can choose it here.
const encryption = "PRIVATE_INTERNET_ACCESS_OPENVPN_ENCRYPTION_PRESET"

// listening are the ports on which a provider's servers listen.
type listening struct {
	port    uint16   // where none is chosen; 0: the user's
	choices []uint16 // that can be chosen; nil: any, empty: none
}

func anyPort(port uint16) *listening { return &listening{port, nil} }
func only(port uint16) *listening    { return &listening{port, []uint16{}} }

func ports(port uint16, choices ...uint16) *listening { return &listening{port, choices} }

const (
	account = "user password"
	keys    = "private-key addresses"
)

var providers = map[providerName]provider{
	"airvpn": {filters: "countries regions cities names hostnames", forwards: "fixed ones",
		wireguard: protocol{needs: "private-key preshared-key addresses", udp: ports(1637, 1637, 47107)},
		openvpn: protocol{needs: "certificate key", takes: account,
			udp: ports(1194, 53, 80, 443, 1194, 2018, 41185), tcp: ports(443, 53, 80, 443, 1194, 2018, 41185)}},
	"custom": {borrows: true,
		wireguard: protocol{needs: keys, takes: "preshared-key", server: true, udp: anyPort(0)},
		openvpn:   protocol{needs: "config", takes: account, server: true, udp: anyPort(0), tcp: anyPort(0)}},
	"cyberghost": {filters: "countries hostnames",
		openvpn: protocol{needs: account + " certificate key", udp: anyPort(443), tcp: anyPort(443)}},
	"expressvpn": {filters: "countries cities hostnames",
		openvpn: protocol{needs: account, udp: only(1195)}}, // it accepts TCP, and has neither servers nor a port for it
	"fastestvpn": {filters: "countries cities hostnames",
		wireguard: protocol{needs: keys, takes: "preshared-key", udp: only(51820)},
		openvpn:   protocol{needs: account, udp: only(4443), tcp: only(4443)}},
	"giganews": {filters: "regions hostnames",
		openvpn: protocol{needs: account, udp: only(443)}},
	"hidemyass": {filters: "countries regions cities hostnames",
		openvpn: protocol{needs: account, udp: anyPort(553), tcp: anyPort(8080), doubt: "it has given up OpenVPN on Linux, which hardly works any more"}},
	"ipvanish": {filters: "countries cities hostnames",
		openvpn: protocol{needs: account, udp: only(443)}},
	"ivpn": {filters: "countries cities hostnames ISP",
		wireguard: protocol{needs: keys, takes: "preshared-key", udp: ports(58237, 53, 2049, 2050, 30587, 41893, 48574, 58237)},
		openvpn: protocol{needs: account, alone: regexp.MustCompile(`^(i|ivpn)-[a-zA-Z0-9]{4}-[a-zA-Z0-9]{4}-[a-zA-Z0-9]{4}$`),
			udp: ports(1194, 53, 1194, 2049, 2050), tcp: ports(443, 80, 443, 1143)}},
	"mullvad": {filters: "countries cities hostnames ISP OWNED_ONLY",
		wireguard: protocol{needs: keys, takes: "preshared-key", udp: anyPort(51820), inside: netip.MustParsePrefix("10.64.0.0/10")},
		openvpn: protocol{needs: "user", takes: "password",
			udp: ports(1194, 53, 1194, 1195, 1196, 1197, 1300, 1301, 1302, 1303, 1400), tcp: ports(443, 80, 443, 1401),
			in: map[string]protocol{"latest": {}}}},
	// Its regions gluetun drops before it chooses, whatever they are: it compares them as they are written with what it has made small
	// (settings/nordvpn_retro.go, seen with v3.40.4, v3.41.1 and master).
	"nordvpn": {filters: "countries cities hostnames categories SERVER_NUMBER",
		wireguard: protocol{needs: "private-key", takes: "preshared-key addresses", udp: only(51820), inside: netip.MustParsePrefix("10.5.0.0/16")},
		openvpn:   protocol{needs: account, udp: only(1194), tcp: only(443)}},
	"perfect privacy": {filters: "cities", forwards: "three computed from the address in the tunnel", told: true,
		openvpn: protocol{needs: account, udp: ports(443, 44, 443, 4433)}},
	"privado": {filters: "countries regions cities hostnames",
		openvpn: protocol{needs: account, udp: only(1194), in: map[string]protocol{
			"latest": {needs: account, udp: ports(1194, 443, 1194, 8080, 8443), tcp: ports(1194, 443, 1194, 8080, 8443)}}}},
	"private internet access": {filters: "regions names hostnames PORT_FORWARD_ONLY", forwards: "one by its own API", told: true,
		openvpn: protocol{needs: account, udp: ports(1197, 53, 1194, 1197, 1198, 8080, 9201), tcp: ports(501, 80, 110, 443), normal: [2]uint16{1198, 502}, in: map[string]protocol{
			"latest": {needs: account, udp: ports(8080, 53, 1194, 1197, 1198, 8080, 9201), tcp: ports(8443, 80, 110, 443, 501, 502, 8443), normal: [2]uint16{1198, 502}}}}},
	"privatevpn": {filters: "countries cities hostnames", forwards: "one by its own API", told: true,
		openvpn: protocol{needs: account, udp: anyPort(1194), tcp: anyPort(443)}},
	"protonvpn": {filters: "countries regions cities names hostnames FREE_ONLY STREAM_ONLY SECURE_CORE_ONLY TOR_ONLY PORT_FORWARD_ONLY",
		wireguard: protocol{needs: "private-key", takes: "preshared-key addresses", udp: only(51820), inside: netip.MustParsePrefix("10.2.0.0/16"), grants: by("10.2.0.1")},
		openvpn: protocol{needs: account, udp: ports(1194, 80, 443, 1194, 4569, 5060, 51820), tcp: ports(443, 443, 5995, 8443), grants: theRouter, in: map[string]protocol{
			"v3.40": {needs: account, udp: ports(1194, 80, 443, 1194, 4569, 5060), tcp: ports(443, 443, 5995, 8443), grants: theRouter}}}},
	"purevpn": {filters: "countries regions cities hostnames",
		openvpn: protocol{needs: account, udp: only(53), tcp: only(80)}},
	"slickvpn": {filters: "countries regions cities hostnames",
		openvpn: protocol{needs: account, udp: ports(443, 443, 8080, 8888), tcp: ports(443, 443, 8080, 8888), doubt: "its certificates are too weak for today's OpenSSL"}},
	"surfshark": {filters: "countries regions cities hostnames MULTIHOP_ONLY",
		wireguard: protocol{needs: keys, takes: "preshared-key", udp: only(51820)},
		openvpn:   protocol{needs: account, udp: only(1194), tcp: only(1443)}},
	"torguard": {filters: "countries cities hostnames",
		openvpn: protocol{needs: account, udp: anyPort(1912), tcp: anyPort(1912)}},
	"vpn unlimited": {filters: "countries cities hostnames FREE_ONLY STREAM_ONLY",
		openvpn: protocol{needs: account + " certificate key", udp: only(1197), tcp: only(1197)}},
	"vpnsecure": {filters: "countries regions cities hostnames PREMIUM_ONLY",
		openvpn: protocol{needs: "certificate encrypted-key passphrase", udp: only(1282), tcp: only(110)}},
	"vyprvpn": {filters: "regions hostnames", forwards: "fixed ones",
		openvpn: protocol{needs: account, udp: only(443)}},
	"wevpn": {filters: "cities hostnames", openvpn: protocol{in: map[string]protocol{ // it accepts TCP as well, and has no servers for it
		"v3.40": {needs: account + " key", takes: "certificate", udp: ports(1194, 80, 1194, 1198)}}}},
	"windscribe": {filters: "regions cities hostnames", forwards: "fixed ones",
		// gluetun starts without the preshared key, and no server of theirs answers then: each of their files has one.
		wireguard: protocol{needs: keys + " preshared-key", udp: ports(1194, 53, 80, 123, 443, 1194, 65142)},
		openvpn: protocol{needs: account,
			udp: ports(1194, 53, 80, 123, 443, 1194, 54783), tcp: ports(443, 21, 22, 80, 123, 143, 443, 587, 1194, 3306, 8080, 54783)}},
}

// providerName is one of the table's, as gluetun writes it.
type providerName string

// UnmarshalText reads a name as people write it: in capitals, with hyphens for spaces, and gluetun's own short one.
func (p *providerName) UnmarshalText(text []byte) error {
	*p = providerName(strings.ReplaceAll(strings.ToLower(strings.TrimSpace(string(text))), "-", " "))
	if *p == "pia" {
		*p = "private internet access"
	}
	if _, known := providers[*p]; !known && *p != "" {
		return errors.New("set one of " + strings.Join(providerNames(), ", "))
	}
	return nil
}

func providerNames() (out []string) {
	for _, name := range slices.Sorted(maps.Keys(providers)) {
		out = append(out, string(name))
	}
	return out
}

// chosenBy are gluetun's names of what servers are chosen by.
func (p provider) chosenBy() (out []string) {
	for _, f := range strings.Fields(p.filters) {
		if strings.ToUpper(f) != f {
			f = "SERVER_" + strings.ToUpper(f)
		}
		out = append(out, f)
	}
	return out
}

// over is a provider used in one of the two ways.
func (p provider) over(kind string) protocol {
	if kind == "openvpn" {
		return p.openvpn
	}
	return p.wireguard
}

// of is a protocol as a version of gluetun has it.
func (p protocol) of(version string) protocol {
	if other, differs := p.in[version]; differs {
		return other
	}
	return p
}

// elsewhere is the image that has a protocol which another one may not have; empty: none has it.
func (p protocol) elsewhere() string {
	for _, version := range []string{"v3.41", "v3.40"} {
		if p.of(version).served() {
			return versions[version].image
		}
	}
	return ""
}

// served holds for a protocol that the provider has.
func (p protocol) served() bool { return p.udp != nil }

// held are what the secret has to hold, and all that it may.
func (p protocol) held() (needs, all []string) {
	needs = strings.Fields(p.needs)
	return needs, slices.Concat(needs, strings.Fields(p.takes))
}
