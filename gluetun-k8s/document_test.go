package main

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite the table of docs/providers.md")

const (
	document     = "../docs/providers.md"
	begin, finis = "<!-- from gluetun-k8s/providers.go, by make golden -->\n", "<!-- to here -->\n"
)

// What users read of providers is what is checked.
func TestProvidersAreDocumented(t *testing.T) {
	text, err := os.ReadFile(document)
	require.NoError(t, err)
	head, rest, ok := strings.Cut(string(text), begin)
	require.True(t, ok)
	table, tail, ok := strings.Cut(rest, finis)
	require.True(t, ok)
	if *update {
		require.NoError(t, os.WriteFile(document, []byte(head+begin+rows()+finis+tail), 0o644))
		return
	}
	assert.Equal(t, rows(), table, "make golden")
}

// rows is the table of providers.
func rows() string {
	var b strings.Builder
	b.WriteString("| `vpn-provider` | needed beside `private-key` | servers are chosen by | `vpn-endpoint-port` | ports for peers |\n|---|---|---|---|---|\n")
	for _, name := range slices.Sorted(maps.Keys(providers)) {
		p := providers[name]
		list := func(words map[string]bool) string {
			var all []string
			for _, w := range slices.Sorted(maps.Keys(words)) {
				if words[w] {
					all = append(all, "`"+w+"`")
				}
			}
			if len(all) == 0 {
				return "–"
			}
			return strings.Join(all, ", ")
		}
		ports := "any"
		switch {
		case p.server: // the user's own
		case p.ports == nil:
			ports = fmt.Sprintf("any; %d where it is not set", p.port)
		case len(p.ports) == 0:
			ports = fmt.Sprintf("cannot be set: %d", p.port)
		default:
			ports = strings.ReplaceAll(strings.Trim(fmt.Sprint(p.ports), "[]"), " ", ", ") + fmt.Sprintf("; %d where it is not set", p.port)
		}
		granted := "–"
		if p.grants.IsValid() {
			granted = fmt.Sprintf("by NAT-PMP of %s", p.grants)
		} else if p.server {
			granted = "by NAT-PMP of `nat-pmp-server`, if it has one"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", name,
			list(map[string]bool{"wireguard-addresses": p.addresses, "preshared-key": p.preshared, "vpn-endpoint-ip": p.server, "vpn-endpoint-port": p.server, "wireguard-public-key": p.server}),
			list(map[string]bool{"server-countries": p.places, "server-cities": p.cities}), ports, granted)
	}
	return b.String()
}

// What the option takes is what the table has.
func TestProvidersAreThoseOfTheOption(t *testing.T) {
	f, ok := reflect.TypeFor[Config]().FieldByName("Provider")
	require.True(t, ok)
	assert.Equal(t, "omitempty,oneof="+strings.Join(slices.Sorted(maps.Keys(providers)), " "), f.Tag.Get("validate"))
}
