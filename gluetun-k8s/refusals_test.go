package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/charms/hook"
	"github.com/charmarr/charmarr-go/charms/hook/hooktest"
	"github.com/charmarr/charmarr-go/vpnk8slib"
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
	readable(t, secret)
	o := see()
	o.Pod.Overlay, o.Container, o.Tunnel = true, hook.Seen{Up: true, Running: true}, Tunnel{Up: true}
	o.NoWireGuard = byKernel(o.Config) && kernel != "wireguard"
	o.Pod.Agent = &overlay.Report{Guard: overlay.GuardState{Standing: true, Raw: true}} // of routing-method=overlay
	o.View.Trials.Images = []string{o.Config.PodGatewayImage, o.Config.AgentImage}      // the template has them
	return Reconcile(o).Status
}

// readable makes a secret what secret-get answers; one without words is not granted.
func readable(t *testing.T, secret map[string]string) {
	t.Helper()
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
}

// providersOwn are refusals of the option that names the provider: there is none to name beside it.
var providersOwn = regexp.MustCompile(`^(cannot use option vpn-provider=|choose a provider: )`)

// chosenProvider is the last one among inputs, as it is told.
func chosenProvider(t *testing.T, input []string) (name string) {
	t.Helper()
	for _, one := range input {
		if value, is := strings.CutPrefix(one, "vpn-provider="); is {
			var p providerName
			require.NoError(t, p.UnmarshalText([]byte(value)))
			name = string(p)
		}
	}
	return name
}

// test shows that the good one is good, and of each bad one what is said.
func (f family) test(t *testing.T) {
	assert.Equal(t, hook.Active("connected"), seen(t, f.good...), "the good one")
	for _, r := range f.bad {
		t.Run(r.summary, func(t *testing.T) {
			input := slices.Concat(f.good, r.change)
			status := seen(t, input...)
			assert.Equal(t, hook.Blocked(r.says), status)
			for _, one := range input {
				if _, value, _ := strings.Cut(one, "="); strings.HasPrefix(one, "secret:") && value != "" {
					assert.NotContains(t, status.Message, value)
				}
			}
			assert.NotContains(t, status.Message, privateKey[:43])
			assert.Contains(t, status.Message, "juju ")
			assert.NotContains(t, status.Message, "=...")
			if !providersOwn.MatchString(r.says) {
				assert.Contains(t, status.Message, chosenProvider(t, input))
			}
		})
	}
}

// By either routing method whatever cannot work is told in the status, with what mends it, and repeats no credential; what is good beside it is not.
func TestRefusals(t *testing.T) {
	n := 0
	for _, f := range refusals {
		n += len(f.bad)
		for _, method := range vpnk8slib.RoutingMethods() {
			by := family{append([]string{"routing-method=" + method}, f.good...), f.bad}
			t.Run(strings.Join(by.good[:3], " "), by.test)
		}
	}
	assert.GreaterOrEqual(t, n, 60)
}

// Every provider refuses by every protocol what the table says it needs and what it cannot use: by the option, by its own name, and with what
// mends it, of which the value is one that could be typed, or its place in the provider's file.
func TestRefusalsOfTheTable(t *testing.T) {
	v4 := hooktest.Network(t)
	v4.Pods = v4.Pods.Only(false)
	for _, name := range slices.Sorted(maps.Keys(providers)) {
		for _, kind := range []string{"wireguard", "openvpn"} {
			start := []string{"provider=" + string(name), "type=" + kind, "image=" + cmp.Or(providers[name].wireguard.elsewhere(), providers[name].openvpn.elsewhere())}
			c, _ := options(t, start...)
			w := c.protocol()
			needs, _ := w.held()
			whole := map[string]string{} // what the secret has to hold
			for _, word := range needs {
				whole[word] = given[word]
			}
			// refused looks for an option, or a word of the secret, and for the command that sets it.
			refused := func(option, example string, secret map[string]string, values ...string) {
				t.Helper()
				c, s, errs := judged(t, secret, slices.Concat(start, values)...)
				if len(errs) == 0 {
					if err := cmp.Or(withSecret(c, s, "gluetun"), fits(c, v4, nil, "gluetun")); err != nil {
						errs = append(errs, err)
					}
				}
				require.NotEmpty(t, errs, "%s %s: %s", name, kind, option)
				assert.ErrorContains(t, errs[0], option)
				assert.ErrorContains(t, errs[0], string(name))
				_, command, _ := strings.Cut(errs[0].Error(), ": juju ")
				assert.Contains(t, command, example, "%s %s: %s", name, kind, errs[0])
			}
			if !w.served() {
				refused("vpn-type="+kind, "config gluetun vpn-type=", nil)
				continue
			}
			other := map[string]string{"wireguard": "openvpn", "openvpn": "wireguard"}[kind]
			refused(map[string]string{"wireguard": "wireguard-private-key-secret", "openvpn": "openvpn-secret"}[kind], w.words(), whole, "secret=", "account=")
			refused(map[string]string{"wireguard": "wireguard-private-key-secret", "openvpn": "openvpn-secret"}[other], "config gluetun --reset ", whole,
				map[string]string{"wireguard": "secret", "openvpn": "account"}[other]+"=secret:9")
			refused("/dev/net/tun", "config gluetun tun-device=<resource of your cluster's device plugin, such as squat.ai/tun>", whole, "tun=")
			refused("nat-pmp-server", "config gluetun routing-method=overlay", whole, "nat-pmp=10.2.0.1", "method=pod-gateway")
			for _, missing := range needs {
				secret := maps.Clone(whole)
				secret[missing] = " " // none
				refused("the secret has no "+missing, credentials[missing].example, secret)
			}
			if kind == "wireguard" {
				server := []string{"public=" + publicKey, "ip=198.51.100.200", "port=51820"}
				if !w.server {
					server = nil
				}
				refused("the secret has IPv6 addresses only", "addresses=<with the IPv4 address of your provider's file, such as 10.64.0.2/32>",
					map[string]string{"preshared-key": presharedKey, "addresses": "fc00:bbbb::2/128"}, server...)
				for i, option := range []string{"wireguard-public-key", "vpn-endpoint-ip", "vpn-endpoint-port"} {
					if w.server {
						refused(option, "config gluetun "+option+"=<", whole, slices.Delete(slices.Clone(server), i, i+1)...)
					}
				}
			}
			for _, o := range (Config{}).given() {
				if place, ok := strings.CutPrefix(o.name, "server-"); ok && !slices.Contains(providers[name].chosenBy(), o.filter) {
					refused(o.name+" cannot be used", "config gluetun --reset "+o.name, whole, place+"=Somewhere")
				}
			}
			for override, o := range mayOverride {
				value := "1"
				if strings.HasSuffix(override, "_ONLY") {
					value = "on"
				}
				if o.filter && !slices.Contains(providers[name].chosenBy(), override) {
					refused("custom-overrides has "+override, "config gluetun custom-overrides=<without "+override+">", whole, "overrides="+override+"="+value)
				}
			}
			for by, l := range map[string]*listening{"udp": w.udp, "tcp": w.tcp} {
				switch {
				case l == nil && kind == "openvpn":
					refused("openvpn-protocol=tcp", "config gluetun openvpn-protocol=udp", whole, "protocol="+by)
				case l != nil && l.choices != nil:
					example := "config gluetun --reset vpn-endpoint-port"
					if len(l.choices) > 0 {
						example = fmt.Sprintf("config gluetun vpn-endpoint-port=<%d", l.choices[0])
					}
					refused("vpn-endpoint-port", example, whole, "protocol="+by, "port=9")
				}
			}
		}
	}
}
