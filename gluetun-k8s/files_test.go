package main

import (
	"encoding/json"
	"maps"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/vpnk8slib"
)

// An OpenVPN file is read as gluetun reads it: the firewall must name the server that gluetun then asks.
func TestReadOpenVPN(t *testing.T) {
	tests := []struct {
		summary, text    string
		server, protocol string
		asks             bool
	}{
		{"as providers give it", "client\r\ndev tun\r\nproto udp\r\nremote 198.51.100.9 1195\r\nauth-user-pass\r\n", "198.51.100.9:1195", "udp", true},
		{"all in one line", "remote 198.51.100.9 443 tcp\n", "198.51.100.9:443", "tcp", false},
		{"nothing but the server", "remote 198.51.100.9\n", "198.51.100.9:1194", "udp", false},
		{"by TCP without a port", "proto tcp-client\nremote 198.51.100.9\n", "198.51.100.9:443", "tcp", false},
		{"the first server counts", "proto udp\nremote 198.51.100.9 53\nremote vpn.example.org 1194\n", "198.51.100.9:53", "udp", false},
		{"a port beside it", "port 2049\nremote 198.51.100.9\n", "198.51.100.9:2049", "udp", false},
		{"what is no line of its own", "# remote 198.51.100.1 1\n remote 198.51.100.2 2\nremote-cert-tls server\nremote 198.51.100.9 1194 # here\n", "198.51.100.9:1194", "udp", false},
		{"over IPv6", "remote 2001:db8::9 1194\n", "[2001:db8::9]:1194", "udp", false},
	}
	for _, test := range tests {
		t.Run(test.summary, func(t *testing.T) {
			f, err := readOpenVPN(test.text)
			require.NoError(t, err)
			assert.Equal(t, ovpn{netip.MustParseAddrPort(test.server), test.protocol, test.asks}, f)
		})
	}
}

// OpenVPN runs as root, and its file is somebody else's.
func TestRefusedLines(t *testing.T) {
	const server = "client\nremote 198.51.100.9 1194\n"
	for _, line := range []string{
		"script-security 2", "  up /etc/openvpn/update-resolv-conf", "--down x", `"up" x`, `u\p x`, "setenv opt up x", "plugin a.so", "config other.conf", "management 0.0.0.0 7505",
		"daemon", "log /tmp/x", "cipher none", "data-ciphers AES-256-GCM:none", "ncp-ciphers NONE", "<connection>\nup x\n</connection>", "<ca>\nx\n</ca>\nup x",
		"setenv opt <ca>\nup x", "<ca> # x\nup x", "engine x",
	} {
		_, err := readOpenVPN(server + line + "\n")
		assert.ErrorContains(t, err, "leave out what it has of ", line)
	}
	_, err := readOpenVPN("\ufeffup x\n" + server)
	assert.ErrorContains(t, err, "leave out what it has of up:")
	_, err = readOpenVPN(server + "script-security 2\nup x\ndown x\nup y\n")
	assert.ErrorContains(t, err, "leave out what it has of script-security, up, down: ")
	for _, line := range []string{"<ca>\nx\n</ca>x\nup x", "<x>\n<ca>\n</x>\nup y\n</ca>", "<connection>\n<ca>\n</connection>\nup x", "<ca>\nxxx</ca>\nup x"} {
		_, err := readOpenVPN(server + line + "\n")
		assert.Error(t, err, line)
	}
	for _, line := range []string{
		"up-delay", "#up x", "; up x", "cipher AES-256-GCM", "data-ciphers AES-256-GCM:?CHACHA20-POLY1305", "<ca>\nup x\n</ca>", "<tls-auth>\nplugin\n</tls-auth>\nnobind", "setenv UV_ID up",
		"<connection>\nremote 198.51.100.9 1195\n</connection>", "remote-cert-tls server", "auth-nocache", "verb 3",
	} {
		_, err := readOpenVPN(server + line + "\n")
		assert.NoError(t, err, line)
	}
}

// A file with another server makes the pod of pod-gateway anew, because its drop rules name the server; by the overlay the agent is told. One
// with other keys alone, and another user, do not.
func TestWhichFilesRollThePod(t *testing.T) {
	rotated := strings.NewReplacer(privateKey, presharedKey, presharedKey, privateKey)
	openvpn := map[string]string{"config": "client\nproto udp\nremote 198.51.100.9 1194\nauth-user-pass\n", "user": "somebody", "password": "hunter2hunter2"}
	with := func(word, value string) map[string]string {
		out := maps.Clone(openvpn)
		out[word] = value
		return out
	}
	tests := []struct {
		summary, kind string
		first, second map[string]string
		server        bool // is another one
	}{
		{"the same", "wireguard", map[string]string{"config": wg0}, map[string]string{"config": wg0}, false},
		{"other keys", "wireguard", map[string]string{"config": wg0}, map[string]string{"config": rotated.Replace(wg0)}, false},
		{"another server", "wireguard", map[string]string{"config": wg0}, map[string]string{"config": strings.ReplaceAll(wg0, "198.51.100.7:", "198.51.100.8:")}, true},
		{"another port", "wireguard", map[string]string{"config": wg0}, map[string]string{"config": strings.ReplaceAll(wg0, ":51820", ":51821")}, true},
		{"another password", "openvpn", openvpn, with("password", "hunter3hunter3"), false},
		{"another certificate in it", "openvpn", openvpn, with("config", openvpn["config"]+"<cert>\nother\n</cert>\n"), false},
		{"another server", "openvpn", openvpn, with("config", strings.ReplaceAll(openvpn["config"], "198.51.100.9", "198.51.100.10")), true},
		{"TCP", "openvpn", openvpn, with("config", strings.ReplaceAll(openvpn["config"], "udp", "tcp")), true},
	}
	for _, method := range vpnk8slib.RoutingMethods() {
		for _, test := range tests {
			t.Run(method+" "+test.kind+" "+test.summary, func(t *testing.T) {
				laid := func(secret map[string]string) (template, file string) {
					o := ready(t)
					c, s, errs := judged(t, secret, "provider=custom", "type="+test.kind, "overlay=192.168.77", "method="+method)
					require.Empty(t, errs)
					c.VXLANID, c.VXLANPort, c.PodGatewayImage, c.AgentImage, c.Resolvers = o.Config.VXLANID, o.Config.VXLANPort, o.Config.PodGatewayImage, o.Config.AgentImage, o.Config.Resolvers
					o.Config, o.Secret = c, s
					d := Reconcile(o)
					for _, step := range d.Protect {
						if step.Apply == nil {
							continue
						}
						switch step.Apply.Kind {
						case "StatefulSet":
							text, err := json.Marshal(step.Apply)
							require.NoError(t, err)
							template = string(text)
						case "ConfigMap":
							file = step.Apply.Data["agent.json"]
						}
					}
					assert.Contains(t, template, "config-hash", d.Status.Message)
					return template, file
				}
				first, told := laid(test.first)
				second, toldThen := laid(test.second)
				assert.Equal(t, test.server && method != vpnk8slib.Overlay, first != second)
				assert.Equal(t, test.server && method == vpnk8slib.Overlay, told != toldThen)
			})
		}
	}
}

// Whatever an operator takes for a file: a server that is found has a port, and an address.
func FuzzReadOpenVPN(f *testing.F) {
	f.Add("client\nproto tcp\nremote 198.51.100.9 443\nauth-user-pass\n")
	f.Add("<ca>\nup\n</ca>\n<connection>\n\\\n--\nsetenv opt\n")
	f.Add("port 0\nremote 198.51.100.9 65536 udp6 #\n")
	f.Fuzz(func(t *testing.T, text string) {
		if got, err := readOpenVPN(text); err == nil {
			assert.True(t, got.server.IsValid() && got.server.Port() != 0)
			assert.Contains(t, []string{"udp", "tcp"}, got.protocol)
		}
	})
}

func FuzzReadWireGuard(f *testing.F) {
	f.Add(wg0)
	f.Add("[Peer]\n[interface]\nPRIVATEKEY==\n=\n")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := readWireGuard(text)
		assert.Equal(t, err == nil, got["private-key"] != "")
		for word := range got {
			assert.Contains(t, credentials, word)
		}
	})
}
