package main

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"slices"
	"strings"
)

// serversFile is where gluetun v3.41.1 writes the servers that it knows, of all providers, before it judges its settings.
const serversFile = "/gluetun/servers.json"

// serversList has servers that there are nowhere, in the form of gluetun's own list (internal/models, AllServers) and of two providers
// only: the real one has thousands.
//
//go:embed servers.json
var serversList []byte

func writeServers() error {
	if err := os.MkdirAll("/gluetun", 0o755); err != nil {
		return err
	}
	return os.WriteFile(serversFile, serversList, 0o644)
}

// listed says what is chosen by that the list has not: as gluetun does, an error where none of a filter's values is known, and a warning of
// those that are unknown beside others. Of providers that this list lacks nothing is said.
func (s settings) listed() error {
	var list map[string]json.RawMessage
	if err := json.Unmarshal(serversList, &list); err != nil {
		return err
	}
	var own struct{ Servers []map[string]any }
	if text, ok := list[s.provider]; !ok || json.Unmarshal(text, &own) != nil {
		return nil
	}
	for filter, field := range map[string]string{"COUNTRIES": "country", "REGIONS": "region", "CITIES": "city", "HOSTNAMES": "hostname"} {
		values := s.filters[filter]
		unknown := slices.DeleteFunc(slices.Clone(values), func(v string) bool {
			return slices.ContainsFunc(own.Servers, func(server map[string]any) bool { return strings.EqualFold(fmt.Sprint(server[field]), v) })
		})
		switch {
		case len(unknown) == 0:
		case len(unknown) == len(values):
			return fmt.Errorf("VPN provider settings: server selection: for VPN service provider %s: the %s specified is not valid: none of %s is one of the choices available", s.provider, field, strings.Join(values, ", "))
		default:
			log.Printf("WARN values %s are not in the choices of %s", strings.Join(unknown, ", "), field)
		}
	}
	return nil
}
