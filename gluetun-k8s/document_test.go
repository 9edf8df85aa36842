package main

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"
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

// Whom a gateway asks by itself, or when it is told to verify, users read in docs/prove-it.md.
func TestWhoIsAskedIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../docs/prove-it.md")
	require.NoError(t, err)
	file, err := os.ReadFile("charmcraft.yaml")
	require.NoError(t, err)
	var read struct {
		Config struct {
			Options map[string]struct{ Default any }
		}
		Actions map[string]struct {
			Params map[string]struct{ Default any }
		}
	}
	require.NoError(t, yaml.Unmarshal(file, &read))
	defaults := []string{fmt.Sprint(read.Config.Options["probe-targets"].Default), fmt.Sprint(read.Config.Options["dns-resolvers"].Default)}
	for _, action := range read.Actions {
		for name, p := range action.Params {
			if strings.HasSuffix(name, "-url") || name == "resolver-name" || name == "stun-server" {
				defaults = append(defaults, fmt.Sprint(p.Default))
			}
		}
	}
	require.Len(t, defaults, 2+6)
	for _, d := range defaults {
		for _, one := range strings.Split(d, ",") {
			host := regexp.MustCompile(`^(?:https?://)?([^:/]+)`).FindStringSubmatch(one)
			require.NotNil(t, host, one)
			assert.Contains(t, string(page), host[1])
		}
	}
}

// rows are the tables of providers, one of each protocol.
func rows() string {
	var b strings.Builder
	for _, kind := range []string{"wireguard", "openvpn"} {
		fmt.Fprintf(&b, "## With `vpn-type=%s`\n\n| `vpn-provider` | in the secret | options | servers are chosen by | `vpn-endpoint-port` | ports for peers |\n|---|---|---|---|---|---|\n", kind)
		for _, name := range slices.Sorted(maps.Keys(providers)) {
			p := providers[name]
			if w := p.over(kind); w.served() {
				fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | %s |\n", name, inTheSecret(w), asOptions(w), listed(choices(p)...), listens(w), granted(p, w))
			}
		}
		b.WriteString("\n")
		for _, name := range slices.Sorted(maps.Keys(providers)) {
			if doubt := providers[name].over(kind).doubt; doubt != "" {
				fmt.Fprintf(&b, "Of `%s` gluetun itself warns: %s.\n\n", name, doubt)
			}
		}
	}
	b.WriteString("## In other versions of gluetun\n\n| gluetun | `vpn-provider` | `vpn-type` | what is otherwise |\n|---|---|---|---|\n")
	for _, version := range []string{"v3.40", "latest"} {
		if versions[version].oneTarget != versions[shipped].oneTarget {
			fmt.Fprintf(&b, "| `%s` | all | both | `probe-targets`: gluetun itself tries the first IPv4 one alone |\n", version)
		}
		if versions[version].wantsTUN != versions[shipped].wantsTUN {
			fmt.Fprintf(&b, "| `%s` | all | `wireguard` | `tun-device`: not needed where the kernel has WireGuard |\n", version)
		}
		for _, name := range slices.Sorted(maps.Keys(providers)) {
			for _, kind := range []string{"wireguard", "openvpn"} {
				w, differs := providers[name].over(kind).in[version]
				switch {
				case !differs:
				case w.served() && !providers[name].over(kind).served():
					fmt.Fprintf(&b, "| `%s` | `%s` | `%s` | there, and in no other; in the secret: %s; servers are chosen by %s; `vpn-endpoint-port`: %s |\n",
						version, name, kind, inTheSecret(w), listed(choices(providers[name])...), listens(w))
				case w.served():
					fmt.Fprintf(&b, "| `%s` | `%s` | `%s` | `vpn-endpoint-port`: %s |\n", version, name, kind, listens(w))
				default:
					fmt.Fprintf(&b, "| `%s` | `%s` | `%s` | not there |\n", version, name, kind)
				}
			}
		}
	}
	fmt.Fprintf(&b, "\nThe version is told by the image's tag, which may stand before a digest: `%s@sha256:...`. One that is newer than %s is taken for `latest`,\n"+
		"and so is an image without tag and digest; of any other whose name tells no version %[2]s is assumed. In both cases the status says so.\n", versions[shipped].image, shipped)
	fmt.Fprintf(&b, "With WireGuard a gluetun before v3.40.%d passes over `vpn-endpoint-ip`, but with `custom`: it is refused there.\n", versions["v3.40"].takesServer)
	return b.String()
}

func listed(words ...string) string {
	if len(words) == 0 {
		return "–"
	}
	return "`" + strings.Join(words, "`, `") + "`"
}

func inTheSecret(w protocol) string {
	needs, all := w.held()
	var out []string
	for _, word := range all {
		text := "`" + word + "`"
		if !slices.Contains(needs, word) {
			text = "[" + text + "]"
		}
		if word == "password" && w.alone != nil {
			text += " (not with an account's number)"
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}

func asOptions(w protocol) string {
	var out []string
	if w.server && w.tcp == nil {
		out = append(out, "vpn-endpoint-ip", "vpn-endpoint-port", "wireguard-public-key")
	}
	return listed(out...)
}

// choices are the options that choose a server, and the names that custom-overrides may have.
func choices(p provider) (out []string) {
	for _, o := range (Config{}).given() {
		if slices.Contains(p.chosenBy(), o.filter) {
			out = append(out, o.name)
		}
	}
	for _, name := range p.chosenBy() {
		if mayOverride[name].filter {
			out = append(out, name)
		}
	}
	return out
}

func listens(w protocol) string {
	if w.server {
		return "any"
	}
	var out []string
	for i, by := range []struct {
		name string
		*listening
	}{{"UDP", w.udp}, {"TCP", w.tcp}} {
		switch l := by.listening; {
		case l == nil:
		case l.choices == nil:
			out = append(out, fmt.Sprintf("%s: any; %d where it is not set", by.name, l.port))
		case len(l.choices) == 0:
			out = append(out, fmt.Sprintf("%s: cannot be set: %d", by.name, l.port))
		default:
			text := fmt.Sprintf("%s: %s; %d where it is not set", by.name, strings.ReplaceAll(strings.Trim(fmt.Sprint(l.choices), "[]"), " ", ", "), l.port)
			if normal := w.normal[i]; normal != 0 {
				text += fmt.Sprintf(", %d with the preset `normal`", normal)
			}
			out = append(out, text)
		}
	}
	return strings.Join(out, "<br>")
}

func granted(p provider, w protocol) string {
	switch {
	case w.grants.known():
		if w.grants == theRouter {
			return "by NAT-PMP of the tunnel's router"
		}
		return fmt.Sprintf("by NAT-PMP of %s", w.grants)
	case w.server:
		return "by NAT-PMP of `nat-pmp-server`, if it has one, or by gluetun: see below"
	case p.told:
		return p.forwards + ", by gluetun"
	case p.forwards != "":
		return p.forwards + ", not led to consumers yet"
	}
	return "–"
}

// What gluetun is told to choose servers by has an option, or is among what may be overridden.
func TestFiltersCanBeSet(t *testing.T) {
	options := map[string]bool{}
	for _, o := range (Config{}).given() {
		options[o.filter] = true
	}
	used := map[string]bool{}
	for name, p := range providers {
		for _, f := range p.chosenBy() {
			used[f] = true
			assert.True(t, options[f] || mayOverride[f].filter, "%s: %s", name, f)
		}
	}
	for f, o := range mayOverride {
		assert.True(t, !o.filter || used[f], "%s: no provider has it", f)
	}
}

// What the table says of secrets has a way to be given; ports and the ways that gluetun has are there.
func TestTable(t *testing.T) {
	count := map[string]int{}
	for name, p := range providers {
		for _, kind := range []string{"wireguard", "openvpn"} {
			w := p.over(kind)
			_, all := w.held()
			assert.Equal(t, w.served(), len(all) > 0, "%s %s", name, kind)
			for version, other := range w.in {
				assert.Contains(t, []string{"v3.40", "latest"}, version)
				if w.served() && other.served() {
					assert.Equal(t, []string{w.needs, w.takes}, []string{other.needs, other.takes}, "%s %s %s: the page tells of ports only", name, kind, version)
				}
			}
			if !w.served() {
				continue
			}
			count[kind]++
			for _, word := range all {
				assert.NotEmpty(t, credentials[word].env, "%s %s", name, kind)
			}
			for _, l := range []*listening{w.udp, w.tcp} {
				if l != nil {
					assert.Equal(t, w.server, l.port == 0, "%s %s: the port of its servers", name, kind)
				}
			}
			assert.Equal(t, kind == "openvpn" && w.tcp != nil, w.tcp != nil, "%s: WireGuard goes by UDP", name)
		}
	}
	assert.Equal(t, map[string]int{"wireguard": 9, "openvpn": 24}, count, "as many as gluetun v3.41.1 has")
}
