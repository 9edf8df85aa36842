package main

import (
	"encoding/json"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/charms/hook/hooktest"
)

// environments are read by the lab's stand-in for gluetun as well, which knows gluetun's rules from its source and must take each.
const environments = "testdata/environments.json"

// start is what gluetun gets of a provider: as little as this charm asks for.
type start struct {
	Provider, Type, Protocol string
	Environment              map[string]string // without what is the same for all
	Files                    map[string]string
	Needs                    []string // files of the secret that the charm asks for
	With                     string   `json:"-"` // what it is told besides
}

// given is a text for each word of a secret.
var given = map[string]string{
	"private-key": privateKey, "preshared-key": presharedKey, "addresses": "10.64.0.2/32", "user": "p1234567", "password": "hunter2hunter2", "passphrase": "a phrase",
	"certificate": pemOf("CERTIFICATE"), "key": pemOf("PRIVATE KEY"), "encrypted-key": pemOf("ENCRYPTED PRIVATE KEY"),
	"config": "client\nproto udp\nremote 198.51.100.9 1194\n",
}

// Every provider starts by every protocol with what the table says that it needs; and where it can be, with ports granted and with the
// lesser encryption.
func TestEnvironments(t *testing.T) {
	text, err := json.MarshalIndent(starts(t, "v3.41"), "", " ")
	require.NoError(t, err)
	golden(t, environments, string(text)+"\n")
}

// What other versions of gluetun are given otherwise, in a line each: what all are, and what one is.
func TestEnvironmentsOfOtherVersions(t *testing.T) {
	usual := map[string]start{}
	for _, s := range starts(t, "v3.41") {
		usual[s.name()] = s
	}
	var lines []string
	for _, version := range []string{"v3.40", "latest"} {
		differs, all := map[string][]string{}, starts(t, version)
		both := 0
		for _, s := range all {
			if _, there := usual[s.name()]; !there {
				lines = append(lines, version+" has besides: "+s.name())
				continue
			}
			both++
			for _, line := range s.unlike(usual[s.name()]) {
				differs[line] = append(differs[line], s.name())
			}
		}
		for _, line := range slices.Sorted(maps.Keys(differs)) {
			who := strings.Join(differs[line], ", ")
			if len(differs[line]) == both {
				who = "all"
			}
			lines = append(lines, version+" "+line+": "+who)
		}
		for _, name := range slices.Sorted(maps.Keys(usual)) {
			if !slices.ContainsFunc(all, func(s start) bool { return s.name() == name }) {
				lines = append(lines, version+" has not: "+name)
			}
		}
	}
	golden(t, "testdata/environments-otherwise.txt", strings.Join(lines, "\n")+"\n")
}

func (s start) name() string {
	return strings.TrimRight(s.Provider+" "+s.Type+" "+s.Protocol+" "+s.With, " ")
}

// unlike is what it has otherwise than another one.
func (s start) unlike(o start) (lines []string) {
	for _, key := range slices.Sorted(maps.Keys(s.Environment)) {
		if value := s.Environment[key]; value != o.Environment[key] {
			lines = append(lines, "has "+key+"="+value)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(o.Environment)) {
		if _, has := s.Environment[key]; !has {
			lines = append(lines, "has no "+key)
		}
	}
	return lines
}

func golden(t *testing.T, path, text string) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
		return
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, string(want), text, "make golden")
}

// starts are all of a version of gluetun.
func starts(t *testing.T, version string) (all []start) {
	t.Helper()
	image := versions[version].image
	for _, name := range slices.Sorted(maps.Keys(providers)) {
		for _, by := range [][]string{{"wireguard", "udp"}, {"openvpn", "udp"}, {"openvpn", "tcp"}, {"openvpn", "udp", forwarding + "=on"}, {"openvpn", "udp", encryption + "=normal"},
			{"wireguard", "udp", forwarding + "=on", wayOf + "=private internet access", "SERVER_NAMES=toronto401"}, {"openvpn", "udp", forwarding + "=on", wayOf + "=perfect privacy"}} {
			chosen := Config{Provider: name, Type: by[0], image: image}
			require.NoError(t, chosen.Overrides.UnmarshalText([]byte(strings.Join(by[2:], "\n"))))
			w := chosen.protocol()
			if by[1] == "udp" && w.udp == nil || by[1] == "tcp" && w.tcp == nil {
				continue
			}
			_, lent := chosen.Overrides[wayOf]
			if forwards := len(by) > 2 && strings.HasPrefix(by[2], forwarding); len(by) > 2 && (forwards && (!chosen.knowsWay() || lent != providers[name].borrows) || !forwards && w.normal[0] == 0) {
				continue
			}
			needs, _ := w.held()
			values := []string{"provider=" + string(name), "type=" + by[0], "protocol=" + by[1], "method=overlay", "probe=1.1.1.1:443,9.9.9.9:443", "overrides=" + strings.Join(by[2:], "\n"), "image=" + image}
			secret := map[string]string{}
			for _, word := range needs {
				secret[word] = given[word]
			}
			if w.server && by[0] == "wireguard" {
				values = append(values, "public="+publicKey, "ip=198.51.100.200", "port=51820")
			}
			if secret["config"] != "" {
				secret["config"] = strings.ReplaceAll(secret["config"], "proto udp", "proto "+by[1])
			}
			c, s, errs := judged(t, secret, values...)
			require.Empty(t, errs, "%s %v", name, by)
			one := start{string(name), by[0], by[1], map[string]string{}, map[string]string{}, nil, strings.Join(by[2:], " ")}
			for key, value := range environment(c, s, hooktest.Network(t)) {
				kind, _, _ := strings.Cut(key, "_")
				if value != "" && slices.Contains([]string{"VPN", "OPENVPN", "WIREGUARD", "SERVER", "DOT", "DNS", "PRIVATE", "HEALTH"}, kind) {
					one.Environment[key] = value
				}
			}
			for _, f := range files(c, s, hooktest.Network(t)) {
				if word, secret := strings.CutPrefix(f.Path, secretDir); secret {
					one.Files[f.Path] = f.Content
					if slices.Contains(needs, word) {
						one.Needs = append(one.Needs, f.Path)
					}
				}
			}
			all = append(all, one)
		}
	}
	return all
}

// What is in a secret goes into files that root alone reads, and nowhere else: no environment, command, status, relation or
// object of Kubernetes, whoever the provider is and by whatever way its clients come.
func TestCredentialsAreInFilesOnly(t *testing.T) {
	overlaid := several(t)
	overlaid.Leases.Blocks[0].Addresses = netip.MustParsePrefix("192.168.77.16/28")
	for _, o := range []Observed{ready(t), overlaid} {
		credentialsAreInFilesOnly(t, o)
	}
}

func credentialsAreInFilesOnly(t *testing.T, o Observed) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(providers)) {
		for _, kind := range []string{"wireguard", "openvpn"} {
			w := providers[name].over(kind)
			_, all := w.held()
			if !w.served() {
				continue
			}
			values := []string{"provider=" + string(name), "type=" + kind, "overlay=192.168.77"}
			if w.server && kind == "wireguard" {
				values = append(values, "public="+publicKey, "ip=198.51.100.200", "port=51820")
			}
			secret := map[string]string{}
			for _, word := range all {
				secret[word] = given[word]
			}
			c, s, errs := judged(t, secret, values...)
			require.Empty(t, errs, "%s %s", name, kind)
			c.VXLANID, c.VXLANPort, c.PodGatewayImage, c.AgentImage, c.RoutingMethod, c.Resolvers =
				o.Config.VXLANID, o.Config.VXLANPort, o.Config.PodGatewayImage, o.Config.AgentImage, o.Config.RoutingMethod, o.Config.Resolvers
			o.Config, o.Secret = c, s
			d := Reconcile(o)
			require.Equal(t, "active", d.Status.Kind, "%s %s: %s", name, kind, d.Status.Message)
			require.NotEmpty(t, d.Protect)
			require.NotEmpty(t, d.Publish)
			found := map[string]int{}
			for i, f := range d.Workloads[0].Files {
				for _, word := range all {
					if strings.Contains(f.Content, strings.TrimSpace(given[word])) {
						assert.Equal(t, "-rw-------", f.Mode.String(), f.Path)
						found[word]++
					}
				}
				d.Workloads[0].Files[i].Content = ""
			}
			text, err := json.Marshal(d)
			require.NoError(t, err)
			require.Contains(t, string(text), "_SECRETFILE", "the environment is among it")
			for _, word := range all {
				assert.Equal(t, 1, found[word], "%s %s: %s", name, kind, word)
				quoted, err := json.Marshal(strings.TrimSpace(given[word]))
				require.NoError(t, err)
				assert.NotContains(t, string(text), strings.Trim(string(quoted), `"`), "%s %s: %s", name, kind, word)
			}
			assert.NotContains(t, string(text), apiKey(s), "%s %s", name, kind)
		}
	}
}

// A name under which gluetun reads a setting of today before today's is empty, whatever else the container's environment has,
// unless this charm sets it because every version reads it; and nobody can bring one in.
func TestRetiredNamesAreClosed(t *testing.T) {
	c, s, errs := judged(t, nil, "provider=nordvpn")
	require.Empty(t, errs)
	env := environment(c, s, hooktest.Network(t))
	for _, name := range retired {
		value, set := env[name]
		assert.True(t, set, name)
		assert.Empty(t, value, name)
		_, may := mayOverride[name]
		assert.False(t, may, name)
		var o overrides
		assert.Error(t, o.UnmarshalText([]byte(name+"=on")), name)
	}
}
