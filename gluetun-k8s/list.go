package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/charmarr/charmarr-go/charms/hook"
)

// listParams say which servers are listed.
type listParams struct {
	Provider  providerName `json:"provider"` // empty: the one of the options
	Type      string       `json:"type" validate:"omitempty,oneof=wireguard openvpn"`
	Countries places       `json:"countries"`
	Regions   places       `json:"regions"`
	Cities    places       `json:"cities"`
	Limit     int          `json:"limit" validate:"min=1,max=500"`
}

// listServers hands back the provider's servers, by the list that gluetun's image has.
func listServers(ctx context.Context, p hook.Params) (map[string]string, error) {
	params, err := hook.ReadParams[listParams](p)
	if err != nil {
		return nil, err
	}
	var wrong *hook.OptionError
	c, err := hook.Config[Config]()
	if err != nil && !errors.As(err, &wrong) {
		return nil, err
	}
	if params.Provider == "" {
		params.Provider = c.Provider
	}
	if params.Type == "" && params.Provider == c.Provider {
		params.Type = c.Type
	}
	if err := listable(params); err != nil {
		return nil, err
	}
	env := hook.Env{Pebble: hook.ContainerPebble}
	l, asked, err := writtenList(ctx, env, params.Provider)
	if err != nil {
		return nil, err
	}
	if !l.there() {
		return nil, fmt.Errorf("there is no list of servers in gluetun's container (%s, or in %s): %w", serversFile, serversFolder, cmp.Or(asked, errors.New("gluetun's program has written none")))
	}
	all, err := l.servers(env, params.Provider)
	if err != nil {
		return nil, err
	}
	return params.list(all)
}

// listable says why a provider's servers cannot be listed, whatever the list is.
func listable(p listParams) error {
	known, ok := providers[p.Provider]
	switch {
	case p.Provider == "":
		return errors.New("name a provider: vpn-provider is not set either")
	case !ok:
		return fmt.Errorf("gluetun knows no provider %s", p.Provider)
	case known.wireguard.server || known.openvpn.server:
		return fmt.Errorf("vpn-provider=%s has no list: you name its server yourself", p.Provider)
	default:
		return nil
	}
}

// list is what is handed back of a provider's servers.
func (p listParams) list(all []vpnServer) (map[string]string, error) {
	by := Config{Countries: p.Countries, Regions: p.Regions, Cities: p.Cities}.chooses()
	found := slices.DeleteFunc(chosen(all, by), func(s vpnServer) bool { return p.Type != "" && !s.over(p.Type) })
	if len(found) == 0 {
		return map[string]string{"found": "0", "of": fmt.Sprint(len(all))}, fmt.Errorf("of the %d servers of %s there is none like that", len(all), p.Provider)
	}
	shown := found[:min(p.Limit, len(found))]
	text, err := json.Marshal(shown)
	if err != nil {
		return nil, err
	}
	return map[string]string{
		"provider": string(p.Provider), "of": fmt.Sprint(len(all)), "found": fmt.Sprint(len(found)), "shown": fmt.Sprint(len(shown)),
		"table": serverTable(shown), "servers": string(text),
	}, nil
}

// serverTable is servers for people, without the columns that none has anything in.
func serverTable(all []vpnServer) string {
	columns := []struct {
		name string
		of   func(vpnServer) string
	}{
		{"hostname", func(s vpnServer) string { return s.Hostname }}, {"name", func(s vpnServer) string { return s.Name }},
		{"country", func(s vpnServer) string { return s.Country }}, {"region", func(s vpnServer) string { return s.Region }},
		{"city", func(s vpnServer) string { return s.City }}, {"vpn", func(s vpnServer) string { return s.VPN }},
		{"address", func(s vpnServer) string { return joined(s.Addresses, netip.Addr.String) }},
		{"ports", func(s vpnServer) string { return map[bool]string{true: "yes"}[s.Forwards] }},
	}
	lines := make([][]string, 1+len(all))
	for _, c := range columns {
		if !slices.ContainsFunc(all, func(s vpnServer) bool { return c.of(s) != "" }) {
			continue
		}
		lines[0] = append(lines[0], c.name)
		for i, s := range all {
			lines[i+1] = append(lines[i+1], c.of(s))
		}
	}
	return table(lines)
}

// table is lines of columns for people.
func table(lines [][]string) string {
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	for _, l := range lines {
		fmt.Fprintln(w, strings.Join(l, "\t")) // to memory
	}
	_ = w.Flush()
	var tidy []string
	for _, l := range strings.Split(strings.TrimRight(out.String(), "\n"), "\n") {
		tidy = append(tidy, strings.TrimRight(l, " "))
	}
	return strings.Join(tidy, "\n")
}
