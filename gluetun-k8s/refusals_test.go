package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/charms/hook"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// family is a good input, and what makes it bad: OPTION=VALUE or secret:WORD=VALUE each, an empty value for none, or image=IMAGE, or
// kernel=FAMILY, which the node's knows.
type family struct {
	good []string
	bad  []refusal
}

type refusal struct {
	summary string
	change  []string
	says    string // all of the status
}

// seen is what a hook decides in a pod whose gateway stands, of options as `juju config` has them and a secret that is granted.
func seen(t *testing.T, input ...string) hook.Status {
	t.Helper()
	options, secret, image, kernel := map[string]any{}, map[string]string{}, "", ""
	for _, one := range input {
		name, value, _ := strings.Cut(one, "=")
		word, isSecret := strings.CutPrefix(name, "secret:")
		number, err := strconv.Atoi(value)
		switch {
		case name == "image":
			image = value
		case name == "kernel":
			kernel = value
		case isSecret && value == "":
			delete(secret, word)
		case isSecret:
			secret[word] = value
		case value == "" && !slices.Contains([]string{"probe-targets", "dns-resolvers", "tun-device"}, name):
			delete(options, name)
		case err == nil && (strings.HasPrefix(name, "vxlan-") || name == "vpn-endpoint-port"):
			options[name] = number
		case name == "dns-over-tls":
			options[name] = value == "true"
		default:
			options[name] = value
		}
	}
	c, see := inPod(t, "nameserver 10.43.0.10\n", options)
	c.objects["Pod gluetun-0"] = fmt.Sprintf(`{"spec": {"containers": [{"name": "charm", "image": "example.org/charm:latest"}, {"name": "gluetun", "image": %q}]}}`, image)
	dir := t.TempDir()
	content, err := json.Marshal(secret)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "content"), content, 0o600))
	script := "exec cat '" + dir + "/content'"
	if len(secret) == 0 {
		script = "echo ERROR permission denied >&2; exit 1"
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "secret-get"), fmt.Appendf(nil, "#!/bin/sh\n%s\n", script), 0o700))
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	o := see()
	o.Pod.Overlay, o.Container, o.Tunnel = true, hook.Seen{Up: true, Running: true}, Tunnel{Up: true}
	o.NoWireGuard = byKernel(o.Config) && kernel != "wireguard"
	o.Pod.Agent = &overlay.Report{Guard: overlay.GuardState{Standing: true}}       // of routing-method=overlay
	o.View.Trials.Images = []string{o.Config.PodGatewayImage, o.Config.AgentImage} // the template has them
	return Reconcile(o).Status
}

// Whatever cannot work is told in the status, with what mends it, and repeats no credential; what is good beside it is not.
func TestRefusals(t *testing.T) {
	n := 0
	for _, f := range refusals {
		summary := strings.Join(f.good[:2], " ")
		t.Run(summary, func(t *testing.T) {
			assert.Equal(t, hook.Active("connected"), seen(t, f.good...), "the good one")
		})
		for _, r := range f.bad {
			n++
			t.Run(summary+": "+r.summary, func(t *testing.T) {
				input := slices.Concat(f.good, r.change)
				status := seen(t, input...)
				assert.Equal(t, hook.Blocked(r.says), status)
				for _, one := range input {
					if _, value, _ := strings.Cut(one, "="); strings.HasPrefix(one, "secret:") && value != "" {
						assert.NotContains(t, status.Message, value)
					}
				}
				assert.NotContains(t, status.Message, privateKey[:43])
			})
		}
	}
	assert.GreaterOrEqual(t, n, 60)
}

// Every provider refuses by every protocol, by its name, what the table says it needs and what it cannot use.
func TestRefusalsOfTheTable(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(providers)) {
		for _, kind := range []string{"wireguard", "openvpn"} {
			start := []string{"provider=" + string(name), "type=" + kind, "image=" + cmp.Or(providers[name].wireguard.elsewhere(), providers[name].openvpn.elsewhere())}
			c, _ := options(t, start...)
			w := c.protocol()
			if !w.served() {
				assert.ErrorContains(t, complete(c, "gluetun"), "vpn-type="+kind+" cannot be used with vpn-provider="+string(name)+": juju config gluetun vpn-type=")
				continue
			}
			refused := func(says string, secret map[string]string, values ...string) {
				t.Helper()
				_, _, errs := judged(t, secret, slices.Concat(start, values)...)
				require.NotEmpty(t, errs, "%s %s: %s", name, kind, says)
				assert.ErrorContains(t, errs[0], says)
				assert.ErrorContains(t, errs[0], string(name))
				assert.ErrorContains(t, errs[0], "juju ")
			}
			needs, _ := w.held()
			for _, missing := range needs {
				secret := map[string]string{}
				for _, word := range needs {
					if word != missing {
						secret[word] = given[word]
					}
				}
				switch missing {
				case "private-key": // judged gives it
				case "addresses":
					refused("set wireguard-addresses", secret)
				default:
					refused("the secret has no "+missing, secret)
				}
			}
			for _, o := range (Config{}).given() {
				if place, ok := strings.CutPrefix(o.name, "server-"); ok && !slices.Contains(providers[name].chosenBy(), o.filter) {
					refused(o.name+" cannot be used", nil, place+"=Somewhere")
				}
			}
			for override, o := range mayOverride {
				value := "1"
				if strings.HasSuffix(override, "_ONLY") {
					value = "on"
				}
				if o.filter && !slices.Contains(providers[name].chosenBy(), override) {
					refused("custom-overrides has "+override, nil, "overrides="+override+"="+value)
				}
			}
			for by, l := range map[string]*listening{"udp": w.udp, "tcp": w.tcp} {
				switch {
				case l == nil && kind == "openvpn":
					refused("openvpn-protocol=tcp cannot be used", nil, "protocol="+by)
				case l != nil && l.choices != nil:
					refused("vpn-endpoint-port", nil, "protocol="+by, "port=9")
				}
			}
		}
	}
}
