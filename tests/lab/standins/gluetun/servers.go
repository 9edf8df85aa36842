package main

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"log"
	"net/netip"
	"os"
	"slices"
	"strings"
)

// serversFile is where gluetun v3.41.1 writes the servers that it knows, of all providers, before it judges its settings.
const serversFile = "/gluetun/servers.json"

// serversList has servers in the form of gluetun's own list (internal/models, AllServers), and of few providers: the real one has thousands.
// ProtonVPN's is the lab's; the others are nowhere, and have no key.
//
//go:embed servers.json
var serversList []byte

func writeServers() error {
	if err := os.MkdirAll("/gluetun", 0o755); err != nil {
		return err
	}
	return os.WriteFile(serversFile, serversList, 0o644)
}

// knownServer is one of the list's, as far as it is chosen by and connected to.
type knownServer struct {
	VPN       string       `json:"vpn"`
	Country   string       `json:"country"`
	Region    string       `json:"region"`
	City      string       `json:"city"`
	Hostname  string       `json:"hostname"`
	Key       string       `json:"wgpubkey"`
	Addresses []netip.Addr `json:"ips"`
}

// chosenBy are the settings that choose by the list, and what each asks of a server.
var chosenBy = map[string]struct {
	name string
	of   func(knownServer) string
}{
	"COUNTRIES": {"country", func(s knownServer) string { return s.Country }}, "REGIONS": {"region", func(s knownServer) string { return s.Region }},
	"CITIES": {"city", func(s knownServer) string { return s.City }}, "HOSTNAMES": {"hostname", func(s knownServer) string { return s.Hostname }},
}

func isOneOf(values []string, has string) bool {
	return slices.ContainsFunc(values, func(v string) bool { return strings.EqualFold(v, has) })
}

// servers are the list's of the provider; none where the list lacks it.
func (s settings) servers() ([]knownServer, error) {
	var list map[string]json.RawMessage
	if err := json.Unmarshal(serversList, &list); err != nil {
		return nil, err
	}
	text, ok := list[s.provider]
	if !ok {
		return nil, nil
	}
	var own struct{ Servers []knownServer }
	err := json.Unmarshal(text, &own)
	return own.Servers, err
}

// listed says what is chosen by that the list has not: as gluetun does, an error where none of a filter's values is known, and a warning of
// those that are unknown beside others. Of providers that this list lacks nothing is said.
func (s settings) listed() error {
	all, err := s.servers()
	if err != nil || len(all) == 0 {
		return err
	}
	for filter, by := range chosenBy {
		var have []string
		for _, server := range all {
			have = append(have, by.of(server))
		}
		values := s.filters[filter]
		unknown := slices.DeleteFunc(slices.Clone(values), func(v string) bool { return isOneOf(have, v) })
		switch {
		case len(unknown) == 0:
		case len(unknown) == len(values):
			return fmt.Errorf("VPN provider settings: server selection: for VPN service provider %s: the %s specified is not valid: none of %s is one of the choices available", s.provider, by.name, strings.Join(values, ", "))
		default:
			log.Printf("WARN values %s are not in the choices of %s", strings.Join(unknown, ", "), by.name)
		}
	}
	return nil
}

// picked is the server that is connected to over WireGuard, and its key: the one that is named, or of a provider with a list the first that the
// settings leave (gluetun takes any). The key is the list's (internal/provider/utils/pick.go).
func (s settings) picked() (at netip.AddrPort, public string, err error) {
	if s.provider == "custom" {
		return netip.AddrPortFrom(s.endpoint, s.port), s.public, nil
	}
	port := s.port
	if port == 0 {
		port = providers[s.provider].listens
	}
	all, err := s.servers()
	if err != nil {
		return at, "", err
	}
	for _, server := range all {
		left := server.VPN == "wireguard" && server.Key != ""
		for filter, by := range chosenBy {
			left = left && (len(s.filters[filter]) == 0 || isOneOf(s.filters[filter], by.of(server)))
		}
		for _, address := range server.Addresses {
			if left && (!s.endpoint.IsValid() || s.endpoint == address) {
				return netip.AddrPortFrom(address, port), server.Key, nil
			}
		}
	}
	return at, "", fmt.Errorf("no server found: for VPN %s; the stand-in knows few", s.provider)
}
