package main

import (
	"encoding/pem"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/charms/hook"
	"github.com/charmarr/charmarr-go/charms/hook/hooktest"
	"github.com/charmarr/charmarr-go/vpnk8slib"
)

const (
	privateKey   = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk="
	publicKey    = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg="
	presharedKey = "FpCyhws9cxwWoV4xELtfJvjJN+zQVRPISllRWgeopVE="
)

// accounted is what most providers want over OpenVPN.
var accounted = map[string]string{"user": "p1234567", "password": "hunter2hunter2"}

// pemOf is a file with one block of a kind.
func pemOf(kind string) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: []byte("what is in it is OpenVPN's to judge")}))
}

// options sets options on a configuration as Juju would, from text.
func options(t *testing.T, values ...string) (c Config, errs []error) {
	t.Helper()
	c = Config{Type: "wireguard", Protocol: "udp", TUN: vpnk8slib.Privileged, KeySecret: "secret:1", ProbeTargets: targets{netip.MustParseAddrPort("1.1.1.1:443")}, Overlay: vpnk8slib.DefaultOverlay()}
	set := func(what interface{ UnmarshalText([]byte) error }, value string) {
		if err := what.UnmarshalText([]byte(value)); err != nil {
			errs = append(errs, err)
		}
	}
	for _, v := range values {
		name, value, _ := strings.Cut(v, "=")
		switch name {
		case "provider":
			set(&c.Provider, value)
		case "type":
			c.Type = value
			if value == "openvpn" && c.KeySecret == "secret:1" {
				c.KeySecret, c.OpenVPNSecret = "", "secret:1"
			}
		case "secret":
			c.KeySecret = value
		case "account":
			c.OpenVPNSecret = value
		case "protocol":
			c.Protocol = value
		case "regions":
			set(&c.Regions, value)
		case "addresses":
			set(&c.own, value)
		case "public":
			set(&c.PublicKey, value)
		case "ip":
			set(&c.EndpointIP, value)
		case "port":
			c.EndpointPort = int(netip.MustParseAddrPort("0.0.0.0:" + value).Port())
		case "countries":
			set(&c.Countries, value)
		case "cities":
			set(&c.Cities, value)
		case "hostnames":
			set(&c.Hostnames, value)
		case "probe":
			set(&c.ProbeTargets, value)
		case "overrides":
			set(&c.Overrides, value)
		case "overlay":
			set(&c.Overlay, value)
		case "cluster":
			set(&c.ClusterCIDRs, value)
		case "method":
			c.RoutingMethod = value
		case "nat-pmp":
			set(&c.PortServer, value)
		case "image":
			c = c.in(value)
		case "tun":
			set(&c.TUN, value)
		case "dot":
			c.DNSOverTLS = value == "true"
		default:
			t.Fatalf("no option %q", name)
		}
	}
	return c, errs
}

// judged are options and a secret as a hook takes them.
func judged(t *testing.T, secret map[string]string, values ...string) (c Config, s Secret, errs []error) {
	t.Helper()
	held := map[string]string{}
	maps.Copy(held, secret)
	values = slices.DeleteFunc(slices.Clone(values), func(v string) bool {
		own, is := strings.CutPrefix(v, "addresses=")
		if is {
			held["addresses"] = own
		}
		return is
	})
	c, errs = options(t, values...)
	if err := complete(c, "gluetun"); err != nil {
		return c, nil, append(errs, err)
	}
	if c.Type == "wireguard" && held["private-key"] == "" && held["config"] == "" {
		held["private-key"] = privateKey
	}
	s, err := readSecret(c, "gluetun", held)
	if err == nil {
		c = c.with(s)
		err = withSecret(c, s, "gluetun")
	}
	if err != nil {
		errs = append(errs, err)
	}
	return c, s, errs
}

// Every provider is refused before gluetun starts, with the option that is missing, or accepted as gluetun accepts it.
func TestSettings(t *testing.T) {
	const address, own = "addresses=10.64.0.2/32", "public=" + publicKey
	tests := []struct {
		summary string
		options []string
		secret  Secret
		wrong   string   // part of the error; empty: accepted
		env     []string // NAME=VALUE that gluetun gets; -NAME: it does not
	}{
		{summary: "nothing set", wrong: "choose a provider: juju config gluetun vpn-provider=<airvpn|custom|cyberghost|"},
		{summary: "a provider that is not served over WireGuard", options: []string{"provider=private internet access"}, wrong: "vpn-type=wireguard cannot be used with vpn-provider=private internet access: juju config gluetun vpn-type=openvpn"},
		{summary: "OpenVPN with an option of WireGuard's", options: []string{"provider=mullvad", "type=openvpn", address}, wrong: "the secret's addresses cannot be used with vpn-type=openvpn, for vpn-provider=mullvad: juju update-secret secret:1 "},
		{summary: "names over TLS", options: []string{"provider=mullvad", "dot=true", address}, wrong: "dns-over-tls=true cannot be used with vpn-provider=mullvad by routing-method="},
		{summary: "no key", options: []string{"provider=mullvad", "secret=", address}, wrong: "juju add-secret vpn-key private-key=<key>"},

		{summary: "mullvad", options: []string{"provider=mullvad", address}, env: []string{"VPN_SERVICE_PROVIDER=mullvad", "WIREGUARD_ADDRESSES_SECRETFILE=/run/vpn-secrets/addresses", "WIREGUARD_IMPLEMENTATION=auto", "-WIREGUARD_ENDPOINT_IP", "-WIREGUARD_ENDPOINT_PORT"}},
		{summary: "mullvad without addresses", options: []string{"provider=mullvad"}, wrong: "the secret has no addresses, for vpn-provider=mullvad: juju update-secret secret:1 private-key=<key> addresses=<such as 10.64.0.2/32>"},
		{summary: "mullvad, a place", options: []string{"provider=mullvad", address, "countries=Sweden, Switzerland", "cities=Malmö"}, env: []string{"SERVER_COUNTRIES=Sweden,Switzerland", "SERVER_CITIES=Malmö"}},
		{summary: "mullvad, any port", options: []string{"provider=mullvad", address, "port=53"}, env: []string{"WIREGUARD_ENDPOINT_PORT=53"}},
		{summary: "mullvad, both families", options: []string{"provider=mullvad", "addresses=10.64.0.2/32,fc00:bbbb::2/128"}, env: []string{"WIREGUARD_ADDRESSES_SECRETFILE=/run/vpn-secrets/addresses"}},
		{summary: "mullvad, an address without length", options: []string{"provider=mullvad", "addresses=10.64.0.2"}, env: []string{"WIREGUARD_ADDRESSES_SECRETFILE=/run/vpn-secrets/addresses"}},
		{summary: "mullvad, one server by address", options: []string{"provider=mullvad", address, "ip=198.51.100.7"}, env: []string{"WIREGUARD_ENDPOINT_IP=198.51.100.7"}},

		{summary: "nordvpn", options: []string{"provider=nordvpn"}, env: []string{"VPN_SERVICE_PROVIDER=nordvpn", "-WIREGUARD_ADDRESSES_SECRETFILE"}},
		{summary: "nordvpn, a port", options: []string{"provider=nordvpn", "port=51820"}, wrong: "vpn-endpoint-port cannot be used with vpn-provider=nordvpn: juju config gluetun --reset vpn-endpoint-port"},
		{summary: "nordvpn, a city", options: []string{"provider=nordvpn", "cities=Oslo"}, env: []string{"SERVER_CITIES=Oslo"}},
		{summary: "protonvpn", options: []string{"provider=protonvpn"}, env: []string{"VPN_SERVICE_PROVIDER=protonvpn", "-WIREGUARD_ADDRESSES_SECRETFILE"}},
		{summary: "protonvpn, its own address", options: []string{"provider=protonvpn", "addresses=10.2.0.2/32"}, env: []string{"WIREGUARD_ADDRESSES_SECRETFILE=/run/vpn-secrets/addresses"}},
		{summary: "protonvpn, a port", options: []string{"provider=protonvpn", "port=1234"}, wrong: "vpn-endpoint-port cannot be used"},
		{summary: "surfshark", options: []string{"provider=surfshark", "addresses=10.14.0.2/16"}, env: []string{"WIREGUARD_ADDRESSES_SECRETFILE=/run/vpn-secrets/addresses"}},
		{summary: "surfshark without addresses", options: []string{"provider=surfshark"}, wrong: "the secret has no addresses"},
		{summary: "surfshark, a port", options: []string{"provider=surfshark", address, "port=51820"}, wrong: "vpn-endpoint-port cannot be used"},
		{summary: "ivpn", options: []string{"provider=ivpn", address}, env: []string{"VPN_SERVICE_PROVIDER=ivpn"}},
		{summary: "ivpn without addresses", options: []string{"provider=ivpn"}, wrong: "the secret has no addresses"},
		{summary: "ivpn, a port of its own", options: []string{"provider=ivpn", address, "port=2049"}, env: []string{"WIREGUARD_ENDPOINT_PORT=2049"}},
		{summary: "ivpn, another port", options: []string{"provider=ivpn", address, "port=51820"}, wrong: "vpn-endpoint-port 51820 is none of ivpn's: juju config gluetun vpn-endpoint-port=<53|2049|2050|30587|41893|48574|58237>"},
		{summary: "windscribe", options: []string{"provider=windscribe", address}, secret: Secret{"preshared-key": presharedKey}, env: []string{"WIREGUARD_PRESHARED_KEY_SECRETFILE=/run/vpn-secrets/preshared-key"}},
		{summary: "windscribe, a country", options: []string{"provider=windscribe", address, "countries=Norway"}, wrong: "server-countries cannot be used with vpn-provider=windscribe"},
		{summary: "windscribe, a port of its own", options: []string{"provider=windscribe", address, "port=443"}, secret: Secret{"preshared-key": presharedKey}, env: []string{"WIREGUARD_ENDPOINT_PORT=443"}},
		{summary: "windscribe, another port", options: []string{"provider=windscribe", address, "port=444"}, wrong: "is none of windscribe's"},
		{summary: "airvpn", options: []string{"provider=airvpn", address}, secret: Secret{"preshared-key": presharedKey}, env: []string{"WIREGUARD_PRESHARED_KEY_SECRETFILE=/run/vpn-secrets/preshared-key"}},
		{summary: "airvpn without its preshared key", options: []string{"provider=airvpn", address}, wrong: "the secret has no preshared-key, for vpn-provider=airvpn: juju update-secret secret:1 private-key=<key> preshared-key=<key>"},
		{summary: "airvpn, another port", options: []string{"provider=airvpn", address, "port=53"}, secret: Secret{"preshared-key": presharedKey}, wrong: "is none of airvpn's: juju config gluetun vpn-endpoint-port=<1637|47107>"},
		{summary: "custom", options: []string{"provider=custom", address, own, "ip=198.51.100.200", "port=51820"}, env: []string{"WIREGUARD_PUBLIC_KEY=" + publicKey, "WIREGUARD_ENDPOINT_IP=198.51.100.200", "WIREGUARD_ENDPOINT_PORT=51820"}},
		{summary: "custom over IPv6", options: []string{"provider=custom", address, own, "ip=2001:db8::1", "port=51820"}, env: []string{"WIREGUARD_ENDPOINT_IP=2001:db8::1"}},
		{summary: "custom without addresses", options: []string{"provider=custom", own, "ip=198.51.100.200", "port=51820"}, wrong: "the secret has no addresses"},
		{summary: "custom without server", options: []string{"provider=custom", address, own, "port=51820"}, wrong: "set vpn-endpoint-ip for vpn-provider=custom, such as 198.51.100.7: juju config gluetun vpn-endpoint-ip=<address of the server>"},
		{summary: "custom without port", options: []string{"provider=custom", address, own, "ip=198.51.100.200"}, wrong: "set vpn-endpoint-port"},
		{summary: "custom without public key", options: []string{"provider=custom", address, "ip=198.51.100.200", "port=51820"}, wrong: "set wireguard-public-key"},
		{summary: "custom, a country", options: []string{"provider=custom", address, own, "ip=198.51.100.200", "port=51820", "countries=Norway"}, wrong: "server-countries cannot be used with vpn-provider=custom"},
		{summary: "custom, a city", options: []string{"provider=custom", address, own, "ip=198.51.100.200", "port=51820", "cities=Oslo"}, wrong: "server-cities cannot be used"},

		{summary: "fastestvpn", options: []string{"provider=fastestvpn", address}, env: []string{"VPN_SERVICE_PROVIDER=fastestvpn"}},

		{summary: "a user and a password", options: []string{"provider=private-internet-access", "type=openvpn", "regions=Switzerland"}, secret: accounted,
			env: []string{"VPN_SERVICE_PROVIDER=private internet access", "VPN_TYPE=openvpn", "OPENVPN_PROTOCOL=udp", "OPENVPN_FLAGS=--mark 51820", "SERVER_REGIONS=Switzerland",
				"OPENVPN_USER_SECRETFILE=/run/vpn-secrets/user", "OPENVPN_PASSWORD_SECRETFILE=/run/vpn-secrets/password", "-WIREGUARD_MTU", "-WIREGUARD_IMPLEMENTATION", "-OPENVPN_ENDPOINT_PORT", "OPENVPN_PORT=", "USER="}},
		{summary: "by TCP, on a port of its own", options: []string{"provider=protonvpn", "type=openvpn", "protocol=tcp", "port=5995"}, secret: accounted,
			env: []string{"OPENVPN_PROTOCOL=tcp", "OPENVPN_ENDPOINT_PORT=5995", "-WIREGUARD_ENDPOINT_PORT"}},
		{summary: "a certificate and a key", options: []string{"provider=airvpn", "type=openvpn"}, secret: map[string]string{"certificate": pemOf("CERTIFICATE"), "key": pemOf("PRIVATE KEY")},
			env: []string{"OPENVPN_CLIENTCRT_SECRETFILE=/run/vpn-secrets/certificate", "OPENVPN_CLIENTKEY_SECRETFILE=/run/vpn-secrets/key"}},
		{summary: "an encrypted key", options: []string{"provider=vpnsecure", "type=openvpn"},
			secret: map[string]string{"certificate": pemOf("CERTIFICATE"), "encrypted-key": pemOf("ENCRYPTED PRIVATE KEY"), "passphrase": "a phrase"},
			env:    []string{"OPENVPN_ENCRYPTED_KEY_SECRETFILE=/run/vpn-secrets/encrypted-key", "OPENVPN_KEY_PASSPHRASE_SECRETFILE=/run/vpn-secrets/passphrase"}},
		{summary: "an account without a password", options: []string{"provider=ivpn", "type=openvpn"}, secret: map[string]string{"user": "i-AAAA-bbbb-1234"}, env: []string{"-OPENVPN_PASSWORD_SECRETFILE"}},
		{summary: "a user whose password is always the same", options: []string{"provider=mullvad", "type=openvpn"}, secret: map[string]string{"user": "1234567890123456"}, env: []string{"-OPENVPN_PASSWORD_SECRETFILE"}},
		{summary: "a whole file", options: []string{"provider=custom", "type=openvpn"}, secret: map[string]string{"config": "client\nproto tcp\nremote 198.51.100.9 8443\n"},
			env: []string{"OPENVPN_CUSTOM_CONFIG=/run/vpn-secrets/config", "OPENVPN_PROTOCOL=tcp", "OPENVPN_ENDPOINT_PORT=8443"}},

		{summary: "a whole file of WireGuard's", options: []string{"provider=custom"}, secret: map[string]string{"config": wg0},
			env: []string{"WIREGUARD_PUBLIC_KEY=" + publicKey, "WIREGUARD_ENDPOINT_IP=198.51.100.7", "WIREGUARD_ENDPOINT_PORT=51820", "-WIREGUARD_ADDRESSES", "-OPENVPN_CUSTOM_CONFIG",
				"WIREGUARD_ADDRESSES_SECRETFILE=/run/vpn-secrets/addresses", "WIREGUARD_PRIVATE_KEY_SECRETFILE=/run/vpn-secrets/private-key", "WIREGUARD_PRESHARED_KEY_SECRETFILE=/run/vpn-secrets/preshared-key"}},
		{summary: "a whole file, of a provider whose servers are known", options: []string{"provider=nordvpn"}, secret: map[string]string{"config": wg0},
			env: []string{"WIREGUARD_PRIVATE_KEY_SECRETFILE=/run/vpn-secrets/private-key", "-WIREGUARD_PUBLIC_KEY", "-WIREGUARD_ENDPOINT_IP", "-WIREGUARD_ENDPOINT_PORT"}},
		{summary: "addresses are in no environment", options: []string{"provider=mullvad", "addresses=10.64.0.2"}, env: []string{"-WIREGUARD_ADDRESSES"}},

		{summary: "an address that is none", options: []string{"provider=mullvad", "addresses=ten"}, wrong: "the secret's addresses is no line Address of a WireGuard file"},
		{summary: "a public key that is none", options: []string{"provider=custom", "public=abc"}, wrong: "set the server's public key: 44 characters"},
		{summary: "a server by name", options: []string{"provider=custom", "ip=vpn.example.org"}, wrong: "set the server's address"},
		{summary: "a country with a shell in it", options: []string{"provider=mullvad", "countries=$(reboot)"}, wrong: "set names separated by commas"},
		{summary: "a target without port", options: []string{"provider=nordvpn", "probe=1.1.1.1"}, wrong: "set addresses with their ports"},
		{summary: "a target by name", options: []string{"provider=nordvpn", "probe=example.org:443"}, wrong: "set addresses with their ports"},
		{summary: "a target with a zone", options: []string{"provider=nordvpn", "probe=[fe80::1%x]:443"}, wrong: "set addresses with their ports"},
		{summary: "two targets", options: []string{"provider=nordvpn", "probe=203.0.113.2:80, 203.0.113.3:443"},
			env: []string{"HEALTH_TARGET_ADDRESS=", "HEALTH_TARGET_ADDRESSES=203.0.113.2:80,203.0.113.3:443", "HEALTH_ICMP_TARGET_IPS=203.0.113.2,203.0.113.3", "-HEALTH_VPN_DURATION_INITIAL"}},
		{summary: "two targets and one that gluetun cannot use, for master", options: []string{"provider=nordvpn", "image=gluetun:latest", "probe=[2620:fe::fe]:443,203.0.113.2:80,203.0.113.3:443"},
			env: []string{"HEALTH_TARGET_ADDRESS=", "HEALTH_TARGET_ADDRESSES=203.0.113.2:80,203.0.113.3:443", "HEALTH_ICMP_TARGET_IPS=203.0.113.2,203.0.113.3"}},
		{summary: "two targets, for a gluetun that knows one", options: []string{"provider=nordvpn", "image=qmcgaw/gluetun:v3.40.4", "probe=[2620:fe::fe]:443,203.0.113.2:80,203.0.113.3:443"},
			env: []string{"HEALTH_TARGET_ADDRESS=203.0.113.2:80", "HEALTH_VPN_DURATION_INITIAL=2m", "-HEALTH_TARGET_ADDRESSES"}},
		{summary: "an image of gluetun's program without its environment", options: []string{"provider=nordvpn"}, env: []string{"PPROF_ENABLED=off", "PPROF_BLOCK_PROFILE_RATE=0", "PPROF_MUTEX_PROFILE_RATE=0"}},

		{summary: "servers by their names", options: []string{"provider=nordvpn", "hostnames=se1.nordvpn.com, se2.nordvpn.com"}, env: []string{"SERVER_HOSTNAMES=se1.nordvpn.com,se2.nordvpn.com"}},
		{summary: "overrides as a template writes them", options: []string{"provider=nordvpn", "overrides=SERVER_NAMES=\nTZ=\"Europe/Berlin\"\nWIREGUARD_MTU='1400'"}, env: []string{"-SERVER_NAMES", "TZ=Europe/Berlin", "WIREGUARD_MTU=1400"}},
		{summary: "an override", options: []string{"provider=nordvpn", "overrides=SERVER_CATEGORIES=p2p\n WIREGUARD_MTU=1400 \n"}, env: []string{"SERVER_CATEGORIES=p2p", "WIREGUARD_MTU=1400"}},
		{summary: "a WireGuard that is not the kernel's", options: []string{"provider=nordvpn", "overrides=WIREGUARD_IMPLEMENTATION=userspace"}, env: []string{"WIREGUARD_IMPLEMENTATION=userspace"}},
		{summary: "the firewall by an override", options: []string{"provider=nordvpn", "overrides=FIREWALL_ENABLED_DISABLING_IT_SHOOTS_YOU_IN_YOUR_FOOT=off"}, wrong: "with a NAME among"},
		{summary: "the key by an override", options: []string{"provider=nordvpn", "overrides=WIREGUARD_PRIVATE_KEY=" + privateKey}, wrong: "for WIREGUARD_PRIVATE_KEY, put it into the secret of wireguard-private-key-secret (juju add-secret vpn-key private-key=<key>)"},
		{summary: "a retired name by an override", options: []string{"provider=nordvpn", "overrides=EXTRA_SUBNETS=0.0.0.0/1"}, wrong: "with a NAME among"},
		{summary: "the control API by an override", options: []string{"provider=nordvpn", "overrides=HTTP_CONTROL_SERVER_ADDRESS=:8000"}, wrong: "with a NAME among"},
		{summary: "an override without a value's sign", options: []string{"provider=nordvpn", "overrides=TZ"}, wrong: "each line is NAME=VALUE"},
	}
	for _, test := range tests {
		t.Run(test.summary, func(t *testing.T) {
			c, s, errs := judged(t, test.secret, test.options...)
			if test.wrong != "" {
				require.NotEmpty(t, errs)
				assert.ErrorContains(t, errs[0], test.wrong)
				assert.NotContains(t, errs[0].Error(), privateKey)
				return
			}
			require.Empty(t, errs)
			env := environment(c, s, hooktest.Network(t))
			for _, want := range test.env {
				if name, absent := strings.CutPrefix(want, "-"); absent {
					assert.NotContains(t, env, name)
					continue
				}
				name, value, _ := strings.Cut(want, "=")
				require.Contains(t, env, name)
				assert.Equal(t, value, env[name], name)
			}
		})
	}
}

// What gluetun's firewall and this charm rely on, whatever the provider.
func TestEnvironmentIsClosed(t *testing.T) {
	c, _ := options(t, "provider=nordvpn")
	c.VXLANPort = 4790
	env := environment(c, Secret{"private-key": privateKey}, hooktest.Network(t))
	assert.Equal(t, "127.0.0.1:8000", env["HTTP_CONTROL_SERVER_ADDRESS"])
	assert.Equal(t, "4790,4791,38812,38813", env["FIREWALL_INPUT_PORTS"])
	assert.Equal(t, "10.42.0.0/16,10.43.0.0/16,10.44.0.1/32,fd42::/48,fd43::/112", env["FIREWALL_OUTBOUND_SUBNETS"])
	assert.Equal(t, "off", env["DOT"])
	assert.Equal(t, "10.43.0.10", env["DNS_ADDRESS"])
	for name, value := range env {
		assert.NotContains(t, value, privateKey, name)
		assert.NotContains(t, value, apiKey(Secret{"private-key": privateKey}), name)
	}
}

// Keys lie in files that only root reads, and nowhere else: a Pebble plan is read by whoever reaches the socket.
func TestSecretsStayInFiles(t *testing.T) {
	c, _ := options(t, "provider=airvpn", "addresses=10.64.0.2/32")
	s := Secret{"private-key": privateKey, "preshared-key": presharedKey, "addresses": "10.64.0.2/32"}
	w := workload(c, s, hooktest.Network(t))
	secrets := []string{privateKey, presharedKey, "10.64.0.2", apiKey(s)}
	found := map[string]string{}
	for _, f := range w.Files {
		for _, secret := range secrets {
			if strings.Contains(f.Content, secret) {
				found[secret] = f.Path
				assert.Equal(t, "-rw-------", f.Mode.String(), f.Path)
			}
		}
	}
	assert.Equal(t, map[string]string{privateKey: secretDir + "private-key", presharedKey: secretDir + "preshared-key", "10.64.0.2": secretDir + "addresses", apiKey(s): authFile}, found)
	for _, service := range w.Layer.Services {
		for _, secret := range secrets {
			assert.NotContains(t, service.Command, secret)
			for name, value := range service.Environment {
				assert.NotContains(t, value, secret, name)
			}
		}
		assert.Nil(t, service.UserID, "Pebble would set USER, which gluetun takes for OpenVPN's")
	}
}

func TestReadSecret(t *testing.T) {
	tests := []struct {
		summary string
		content map[string]string
		wrong   string
	}{
		{"all of it", map[string]string{"private-key": privateKey + "\n", "preshared-key": presharedKey, "addresses": "10.64.0.2/32"}, ""},
		{"another name", map[string]string{"secret": privateKey},
			"the secret has words that nobody reads, for vpn-provider=mullvad: juju update-secret secret:1 private-key=<key> addresses=<such as 10.64.0.2/32> [preshared-key=<key>]"},
		{"no key", map[string]string{"private-key": "hunter2hunter2"},
			"the secret's private-key is no WireGuard key (44 characters that end with =), for vpn-provider=mullvad: juju update-secret secret:1 private-key=<key> addresses=<such as 10.64.0.2/32> [preshared-key=<key>]"},
		{"a preshared key that is none", map[string]string{"private-key": privateKey, "preshared-key": "hunter2hunter2"},
			"the secret's preshared-key is no WireGuard key (44 characters that end with =), for vpn-provider=mullvad: juju update-secret secret:1 private-key=<key> addresses=<such as 10.64.0.2/32> [preshared-key=<key>]"},
	}
	for _, test := range tests {
		t.Run(test.summary, func(t *testing.T) {
			c, _ := options(t, "provider=mullvad")
			s, err := readSecret(c, "gluetun", test.content)
			if test.wrong == "" {
				require.NoError(t, err)
				assert.Equal(t, Secret{"private-key": privateKey, "preshared-key": presharedKey, "addresses": "10.64.0.2/32"}, s)
				return
			}
			assert.EqualError(t, err, test.wrong)
			assert.NotContains(t, err.Error(), "hunter2hunter2")
		})
	}
}

// The drop rules name where gluetun's own packets go: a known server by its address, any other by gluetun's mark.
func TestEndpoint(t *testing.T) {
	c, _ := options(t, "provider=ivpn", "port=2050")
	assert.Equal(t, []uint16{2050}, endpoint(c).Ports)
	assert.Equal(t, uint32(0xca6c), endpoint(c).Mark)
	c, _ = options(t, "provider=custom", "ip=198.51.100.200", "port=51821")
	assert.Equal(t, netip.MustParseAddr("198.51.100.200"), endpoint(c).Addr)
}

// The firewall lets out what the gluetun in the pod sends: its ports are its version's.
func TestEndpointOfAVersion(t *testing.T) {
	for image, port := range map[string]uint16{"gluetun:v3.41.1": 1197, "gluetun:v3.40.4": 1197, "gluetun:latest": 8080, "": 1197} {
		c, _ := options(t, "provider=pia", "type=openvpn")
		c = c.in(image)
		assert.Equal(t, vpnk8slib.Endpoint{Ports: []uint16{port}, Mark: tunnelMark}, endpoint(c), image)
	}
	c, _ := options(t, "provider=pia", "type=openvpn", "protocol=tcp")
	assert.Equal(t, vpnk8slib.Endpoint{Ports: []uint16{501}, Mark: tunnelMark, TCP: true}, endpoint(c))
}

func TestVersions(t *testing.T) {
	for image, version := range map[string]string{
		"ghcr.io/qdm12/gluetun:v3.41.1": "v3.41", "ghcr.io/qdm12/gluetun:v3.41": "v3.41", "qmcgaw/gluetun:v3.40.0": "v3.40", "qmcgaw/gluetun:v3.39.1": "v3.40",
		"qmcgaw/gluetun:latest": "latest", "qmcgaw/gluetun:pr-3123": "latest", "qmcgaw/gluetun:v3.42.0": "latest", "qmcgaw/gluetun:v3": "v3.41",
		"qmcgaw/gluetun:v4.0.0": "latest", "qmcgaw/gluetun:v4": "latest", "qmcgaw/gluetun:v10.1": "latest", "qmcgaw/gluetun:v3.41.9": "v3.41", "qmcgaw/gluetun:v2.0": "v3.40", "qmcgaw/gluetun:dev": "v3.41",
		"qmcgaw/gluetun:3.40.4": "v3.40", "qmcgaw/gluetun:3f2c": "v3.41", "qmcgaw/gluetun:20261129": "v3.41", "qmcgaw/gluetun:2026-11-29": "v3.41", "qmcgaw/gluetun:117": "v3.41", "qmcgaw/gluetun:42": "v3.41", "example.org/gluetun:24.04": "v3.41", "example.org/gluetun:26.11.29": "v3.41", "example.org/gluetun:1.4": "v3.41", "qmcgaw/gluetun:v3.40.4-mirrored": "v3.40", "localhost:32000/gluetun": "latest", "qmcgaw/gluetun": "latest", "localhost:32000/gluetun:v3.40.4@sha256:" + digest: "v3.40", "qmcgaw/gluetun@sha256:" + digest: "v3.41", "": "v3.41",
	} {
		assert.Equal(t, version, releaseIn(image).name, image)
		assert.Equal(t, versions[version], releaseIn(image).version, image)
	}
	for image, takes := range map[string]bool{"gluetun:v3.39.1": false, "gluetun:v3.39.9": false, "gluetun:v3.40.0": false, "gluetun:v3.40.3": false, "gluetun:v3.40.4": true, "gluetun:v3.40": true,
		"gluetun:v3": true, "gluetun:v3.41.0": true, "gluetun:v4": true, "gluetun:latest": true, "gluetun": true} {
		assert.Equal(t, takes, releaseIn(image).takesServer(), image)
	}
	note := "gluetun's image tells no version and is taken for v3.41: juju attach-resource gluetun gluetun-image=<with its tag, such as ghcr.io/qdm12/gluetun:v3.41.1@sha256:...>"
	for image, want := range map[string]string{"qmcgaw/gluetun@sha256:" + digest: note, "example.org/gluetun:dev": note, "example.org/gluetun:24.04": note, "qmcgaw/gluetun:v3.40.4@sha256:" + digest: "",
		"qmcgaw/gluetun:latest": "", "localhost:32000/gluetun": strings.Replace(note, "for v3.41", "for latest", 1), "registry.jujucharms.com/charm/abc/gluetun-image@sha256:" + digest: "", "": ""} {
		o := ready(t)
		o.Config = o.Config.in(image)
		assert.Equal(t, want, versionNote(o), image)
		if want != "" {
			assert.Contains(t, Reconcile(o).Status.Message, want, "it is told")
		}
	}
}

// What a provider's file holds is taken as it is, on clusters with IPv6 and without.
func TestFits(t *testing.T) {
	dual := hooktest.Network(t)
	v4 := dual
	v4.Pods, v4.Services = dual.Pods.Only(false), dual.Services.Only(false)
	const both, six = "addresses=10.64.0.2/32,fc00:bbbb::2/128", "addresses=fc00:bbbb::2/128"
	tests := []struct {
		summary string
		option  string
		network vpnk8slib.Network
		wrong   string
		file    string // of addresses, that gluetun reads
	}{
		{"both families, a cluster with both", both, dual, "", "10.64.0.2/32,fc00:bbbb::2/128"},
		{"both families, a cluster without IPv6", both, v4, "", "10.64.0.2/32"},
		{"IPv6 only, a cluster with both", six, dual, "", "fc00:bbbb::2/128"},
		{"IPv6 only, a cluster without", six, v4, "has IPv6 addresses only", ""},
		{"none given: the provider's own", "addresses=", v4, "", ""},
		{"a target outside", "probe=9.9.9.9:443", v4, "", ""},
		{"a target inside the tunnel", "probe=10.2.0.1:53", v4, "", ""},
		{"a second target over IPv6", "probe=9.9.9.9:443,[2620:fe::fe]:443", dual, "", ""},
		{"a first target over IPv6", "probe=[2620:fe::fe]:443,9.9.9.9:443", dual, "", ""},
		{"targets over IPv6 only", "probe=[2620:fe::fe]:443,[2620:fe::9]:443", dual,
			"probe-targets, for vpn-provider=nordvpn, has no IPv4 address, and gluetun tries no others: juju config gluetun probe-targets=1.1.1.1:443,[2620:fe::fe]:443,[2620:fe::9]:443", ""},
		{"as many targets as gluetun tries", "probe=9.9.9.9:443,1.1.1.1:443,8.8.8.8:443,[2620:fe::fe]:443", dual, "", ""},
		{"a target that is a Service", "probe=9.9.9.9:443,10.43.0.10:53", v4, "probe-targets has 10.43.0.10:53, which is reached beside the tunnel", ""},
		{"a target that is the API server", "probe=10.44.0.1:6443", v4, "which is reached beside the tunnel", ""},
		{"a target in the overlay", "probe=172.16.0.1:53", v4, "probe-targets has 172.16.0.1:53, which is reached beside the tunnel", ""},
		{"a target in this very pod", "probe=127.0.0.1:8000", v4, "which is reached beside the tunnel", ""},
	}
	for _, test := range tests {
		t.Run(test.summary, func(t *testing.T) {
			c, errs := options(t, "provider=nordvpn", test.option)
			require.Empty(t, errs)
			err := fits(c, test.network, nil, "gluetun")
			o := ready(t)
			o.Config.Provider, o.Config.own, o.Config.ProbeTargets, o.View.Network = c.Provider, c.own, c.ProbeTargets, test.network
			if test.wrong != "" {
				assert.ErrorContains(t, err, test.wrong)
				assert.Equal(t, hook.Blocked(err.Error()), Reconcile(o).Status)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, "active", Reconcile(o).Status.Kind)
			assert.Equal(t, test.file, usable(c.own, test.network).String())
		})
	}
}

// An interface whose packets are smaller than IPv6's least has no IPv6: gluetun would end on the address.
func TestAnMTUForIPv6(t *testing.T) {
	dual := hooktest.Network(t)
	c, errs := options(t, "provider=nordvpn", "addresses=10.64.0.2/32,fc00:bbbb::2/128", "overrides=WIREGUARD_MTU=1279")
	require.Empty(t, errs)
	require.EqualError(t, fits(c, dual, nil, "gluetun"), "custom-overrides has WIREGUARD_MTU=1279, and IPv6 of the addresses of vpn-provider=nordvpn needs 1280: juju config gluetun custom-overrides=<with WIREGUARD_MTU=1280>")
	c.Overrides["WIREGUARD_MTU"] = "1280"
	require.NoError(t, fits(c, dual, nil, "gluetun"))
	c.Overrides["WIREGUARD_MTU"] = "576"
	c.own = c.own[:1]
	require.NoError(t, fits(c, dual, nil, "gluetun"))
}

// The overlay, the cluster and the other side of the tunnel each keep their own addresses. What does not go together is
// refused before any pod is changed or any consumer told.
func TestApart(t *testing.T) {
	tests := []struct {
		summary string
		options []string
		wrong   string
	}{
		{"nothing in common", []string{"provider=custom"}, ""},
		{"another overlay", []string{"provider=custom", "overlay=192.168.77"}, ""},
		{"an overlay among the pods", []string{"provider=custom", "overlay=10.42.9"}, "vxlan-ip-network 10.42.9 overlaps 10.42.0.0/16, which the cluster or the tunnel of vpn-provider=custom has: juju config gluetun vxlan-ip-network=172.16.0"},
		{"an overlay with the API server in it", []string{"provider=custom", "overlay=10.44.0"}, "vxlan-ip-network 10.44.0 overlaps 10.44.0.1/32"},
		{"an overlay with this end of the tunnel in it", []string{"provider=custom", "addresses=172.16.0.2/32"}, "vxlan-ip-network 172.16.0 overlaps the address in the secret, which the cluster or the tunnel of vpn-provider=custom has: juju config gluetun vxlan-ip-network=172.16.16"},
		{"an overlay in the network of this end's address", []string{"provider=custom", "addresses=10.14.0.2/16", "overlay=10.14.9"}, "vxlan-ip-network 10.14.9 overlaps the address in the secret"},
		{"an overlay with the server in it", []string{"provider=custom", "overlay=192.168.1", "ip=192.168.1.1"}, "vxlan-ip-network 192.168.1 overlaps 192.168.1.1/32"},
		{"an overlay in the provider's network", []string{"provider=mullvad", "overlay=10.99.1"}, "vxlan-ip-network 10.99.1 overlaps 10.64.0.0/10"},
		{"the cluster's networks", []string{"provider=mullvad", "cluster=10.244.0.0/16,10.96.0.0/12"}, ""},
		{"half of the world, with Mullvad's network in it", []string{"provider=mullvad", "cluster=10.0.0.0/8"}, "cluster-cidrs has 10.0.0.0/8, in which the tunnel of vpn-provider=mullvad would lose 10.64.0.0/10: juju config gluetun cluster-cidrs=<"},
		{"the half of it that has Mullvad's resolver", []string{"provider=mullvad", "cluster=10.64.0.0/11"}, "cluster-cidrs has 10.64.0.0/11"},
		{"with Proton's", []string{"provider=protonvpn", "cluster=10.0.0.0/8"}, "in which the tunnel of vpn-provider=protonvpn would lose 10.2.0.0/16"},
		{"with Nord's", []string{"provider=nordvpn", "cluster=10.0.0.0/12"}, "in which the tunnel of vpn-provider=nordvpn would lose 10.5.0.0/16"},
		{"with this end of the tunnel", []string{"provider=mullvad", "addresses=10.99.1.2/32", "cluster=10.244.0.0/16,10.96.0.0/12"}, "cluster-cidrs has 10.96.0.0/12, in which the tunnel of vpn-provider=mullvad would lose the address in the secret"},
	}
	for _, test := range tests {
		t.Run(test.summary, func(t *testing.T) {
			c, errs := options(t, test.options...)
			require.Empty(t, errs)
			o := ready(t)
			o.Config.Provider, o.Config.Overlay, o.Config.ClusterCIDRs = c.Provider, c.Overlay, c.ClusterCIDRs
			if c.EndpointIP.IsValid() {
				o.Config.EndpointIP = c.EndpointIP
			}
			if c.own != nil {
				o.Config.own = c.own
			}
			if c.Provider == "mullvad" && c.own == nil {
				o.Config.own = addresses{netip.MustParsePrefix("10.127.1.2/32")}
			}
			if c.ClusterCIDRs != nil {
				o.View.Network.Pods, o.View.Network.Services = c.ClusterCIDRs, c.ClusterCIDRs
			}
			d := Reconcile(o)
			if test.wrong == "" {
				assert.Equal(t, "active", d.Status.Kind, d.Status.Message)
				assert.NotEmpty(t, d.Protect)
				assert.Contains(t, d.Publish[consumer]["config"], `"vxlan_ip_network":"`+c.Overlay.String()+`"`)
				return
			}
			assert.Equal(t, "blocked", d.Status.Kind)
			assert.Contains(t, d.Status.Message, test.wrong)
			assert.Empty(t, d.Protect)
			assert.Empty(t, d.Publish)
		})
	}
	t.Run("what is proposed instead is no other gateway's", func(t *testing.T) {
		c, errs := options(t, "provider=custom", "overlay=10.42.9")
		require.Empty(t, errs)
		o := ready(t)
		o.Config.Overlay = c.Overlay
		o.View.Others = vpnk8slib.Claims{{Gateway: "vpn/gluetun", VXLANID: 7, Network: netip.MustParsePrefix("172.16.0.0/20")}}
		assert.Contains(t, Reconcile(o).Status.Message, "vxlan-ip-network=172.16.16")
	})
	t.Run("discovered networks are the cluster's own", func(t *testing.T) {
		o := ready(t)
		o.Config.Provider, o.Config.own = "mullvad", addresses{netip.MustParsePrefix("10.99.1.2/32")}
		services, err := vpnk8slib.ParseCIDRs("10.96.0.0/12")
		require.NoError(t, err)
		o.View.Network.Services = services
		assert.Equal(t, "active", Reconcile(o).Status.Kind)
	})
}

// What gluetun's own parser reads when it deletes a rule: more in INPUT, and it ends with the next change of the tunnel.
func TestPostRules(t *testing.T) {
	var input []string
	for line := range strings.Lines(postRules) {
		assert.Regexp(t, `^iptables (-t (mangle|nat) )?(--flush|-A) [A-Z]+`, line)
		if rule, ok := strings.CutPrefix(line, "iptables -A INPUT "); ok {
			input = append(input, strings.TrimSpace(rule))
		}
	}
	assert.Equal(t, []string{"-i vxlan0 -p udp --dport 67 -j ACCEPT", "-i vxlan0 -p udp --dport 4792 -j ACCEPT", "-i vxlan0 -p tcp --dport 4792 -j ACCEPT",
		"-i eth0 -p icmp -j ACCEPT"}, input)
	assert.NotContains(t, postRules, "FORWARD -j ACCEPT")
	assert.Equal(t, 2, strings.Count(postRules, fmt.Sprintf("--dport %d -j ACCEPT", vpnk8slib.GatewayNames)), "clients ask for names, by UDP and TCP")
}

// IPv6 is let through where the overlay carries it, and nowhere else.
func TestPostRules6(t *testing.T) {
	dual := hooktest.Network(t)
	v4 := dual
	v4.Pods = dual.Pods.Only(false)
	both, four := addresses{netip.MustParsePrefix("10.64.0.2/32"), netip.MustParsePrefix("fc00:bbbb::2/128")}, addresses{netip.MustParsePrefix("10.64.0.2/32")}
	for _, test := range []struct {
		what   string
		method string
		own    addresses
		in     vpnk8slib.Network
		six    bool
	}{
		{"a tunnel with IPv6", vpnk8slib.Overlay, both, dual, true},
		{"a tunnel without", vpnk8slib.Overlay, four, dual, false},
		{"a cluster without: gluetun is told of no such address", vpnk8slib.Overlay, both, v4, false},
		{"a method that knows IPv4 only", "pod-gateway", both, dual, false},
	} {
		rules := firewallRules(Config{RoutingMethod: test.method, own: test.own}, test.in)
		assert.Equal(t, test.six, strings.Contains(rules, "ip6tables"), test.what)
		assert.NotContains(t, rules, "ip6tables -A INPUT", test.what)
		assert.NotContains(t, rules, "FORWARD -j ACCEPT", test.what)
	}
}

// Of three API servers one is rebooted: gluetun, whose session and port a start would cost, hears of one that comes and of none that goes.
func TestAnAPIServerComesAndGoes(t *testing.T) {
	o := ready(t)
	lets := func() string { return Reconcile(o).Workloads[0].Layer.Services[service].Environment[outbound] }
	at := func(all ...string) {
		o.View.Network.APIServers = nil
		for _, a := range all {
			o.View.Network.APIServers = append(o.View.Network.APIServers, netip.MustParseAddrPort(a+":6443"))
		}
	}
	at("10.44.0.1", "10.44.0.2", "10.44.0.3")
	three := lets()
	assert.Contains(t, three, "10.44.0.3/32")
	o.LetOut = three
	at("10.44.0.1", "10.44.0.2")
	assert.Equal(t, three, lets(), "one is away")
	at("10.44.0.1", "10.44.0.2", "10.44.0.4")
	four := lets()
	assert.Contains(t, four, "10.44.0.4/32", "one is new")
	o.LetOut = "" // in a new pod
	assert.NotContains(t, lets(), "10.44.0.3/32")

	o.LetOut = four + ",192.168.0.0/16"
	assert.Contains(t, lets(), "192.168.0.0/16", "a node's network may be back as well")
	cidrs, err := vpnk8slib.ParseCIDRs("10.42.0.0/16,10.43.0.0/16")
	require.NoError(t, err)
	o.Config.ClusterCIDRs = cidrs
	assert.NotContains(t, lets(), "192.168.0.0/16", "the operator has said which there are")
	assert.Contains(t, lets(), "10.44.0.3/32")
}
