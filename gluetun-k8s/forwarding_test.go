package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/charms/hook"
	"github.com/charmarr/charmarr-go/charms/hook/hooktest"
	"github.com/charmarr/charmarr-go/vpnk8slib"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// pia is a gateway whose gluetun has a port granted by itself.
func pia(t *testing.T, more ...string) (Config, Secret) {
	t.Helper()
	c, s, errs := judged(t, accounted, append([]string{"provider=pia", "type=openvpn", "method=overlay"}, more...)...)
	require.Empty(t, errs)
	return c, s
}

// gluetun is told to have a port granted, the agent where gluetun tells which, and nobody else anything.
func TestForwardingOfGluetun(t *testing.T) {
	for image, route := range map[string]string{
		"ghcr.io/qdm12/gluetun:v3.40.4": "/v1/openvpn/portforwarded", "ghcr.io/qdm12/gluetun:v3.41.1": "/v1/portforward", "ghcr.io/qdm12/gluetun:latest": "/v1/portforward",
	} {
		c, s := pia(t, "overrides=VPN_PORT_FORWARDING=on", "image="+image)
		assert.Equal(t, "http://127.0.0.1:8000"+route, c.portsTold())
		assert.False(t, c.portServer().known())
		env := environment(c, s, hooktest.Network(t))
		assert.Equal(t, "on", env["VPN_PORT_FORWARDING"])
		for name := range env {
			assert.False(t, strings.HasPrefix(name, "VPN_PORT_FORWARDING_") && env[name] != "", name)
		}
		assert.Contains(t, contentOf(t, c, s, authFile), "\n[[roles]]\nname = \"ports\"\nroutes = [\"GET "+route+"\"]\nauth = \"none\"\n")
	}
	for _, without := range [][]string{nil, {"overrides=VPN_PORT_FORWARDING=off"}, {"overrides=VPN_PORT_FORWARDING=off", "wanted"}, {"nat-pmp=10.9.0.1", "wanted"}, {"method=pod-gateway", "wanted"}} {
		wanted := slices.Contains(without, "wanted")
		c, s := pia(t, slices.DeleteFunc(without, func(v string) bool { return v == "wanted" })...)
		c.wanted = wanted
		assert.NotEqual(t, "on", environment(c, s, hooktest.Network(t))["VPN_PORT_FORWARDING"], without)
		assert.Empty(t, c.portsTold())
		assert.NotContains(t, contentOf(t, c, s, authFile), "none")
	}
}

// A consumer's wish is enough. What gluetun was started with stays, whoever wants what afterwards; an operator has the last word.
func TestAConsumersWishIsEnough(t *testing.T) {
	wants, silent, rubbish := vpnk8slib.Consumer{Data: vpnk8slib.RequirerData{WantPort: true}}, vpnk8slib.Consumer{}, vpnk8slib.Consumer{Data: vpnk8slib.RequirerData{WantPort: true}, Err: errors.New("it is not JSON")}
	on, off := map[string]string{"VPN_PORT_FORWARDING": "on"}, map[string]string{"VPN_PORT_FORWARDING": ""}
	for _, test := range []struct {
		summary   string
		options   []string
		consumers []vpnk8slib.Consumer
		planned   map[string]string
		forwards  bool
	}{
		{"one wants a port", nil, []vpnk8slib.Consumer{silent, wants}, off, true},
		{"before gluetun has ever run", nil, []vpnk8slib.Consumer{wants}, nil, true},
		{"nobody does", nil, []vpnk8slib.Consumer{silent}, off, false},
		{"nobody who can be read does", nil, []vpnk8slib.Consumer{rubbish}, off, false},
		{"nobody does any more", nil, []vpnk8slib.Consumer{silent}, on, true},
		{"the operator says no", []string{"overrides=VPN_PORT_FORWARDING=off"}, []vpnk8slib.Consumer{wants}, on, false},
		{"the operator says yes", []string{"overrides=VPN_PORT_FORWARDING=on"}, []vpnk8slib.Consumer{silent}, off, true},
		{"the operator knows somebody else who grants them", []string{"nat-pmp=10.9.0.1"}, []vpnk8slib.Consumer{wants}, on, false},
		{"no port is led by pod-gateway", []string{"method=pod-gateway"}, []vpnk8slib.Consumer{wants}, on, false},
	} {
		t.Run(test.summary, func(t *testing.T) {
			var o Observed
			o.Config, o.Secret = pia(t, test.options...)
			o.Consumers = test.consumers
			require.NoError(t, o.want(test.planned))
			assert.Equal(t, test.forwards, o.Config.forwards())
			assert.Equal(t, test.forwards, environment(o.Config, o.Secret, hooktest.Network(t))["VPN_PORT_FORWARDING"] == "on")
			assert.Equal(t, test.forwards, o.Config.portsTold() != "")
		})
	}

	// One that may be of another version does not start with a setting that it does not know: the operator's word it takes.
	o := ready(t)
	for _, options := range [][]string{{"overrides=VPN_PORT_FORWARDING=on"}, nil} {
		o.Config, o.Secret = pia(t, options...)
		o.Config = o.Config.in("example.org/gluetun@sha256:" + digest)
		require.NoError(t, o.want(nil))
		assert.Equal(t, options != nil, o.Config.forwards())
	}
	assert.Equal(t, "qbittorrent wants a port, and gluetun's image tells no version; where it is v3.41: juju config gluetun custom-overrides=<with VPN_PORT_FORWARDING=on>",
		portNote(o, vpnk8slib.Consumer{Data: vpnk8slib.RequirerData{InstanceName: "qbittorrent", WantPort: true}}))
}

// A server that the operator names leads ports by another provider's way: with an account, which is in files like every credential.
func TestAnotherProvidersWay(t *testing.T) {
	const way = "overrides=VPN_PORT_FORWARDING_PROVIDER=private internet access\nSERVER_NAMES=toronto401"
	c, s, errs := judged(t, map[string]string{"config": wg0, "user": given["user"], "password": given["password"]}, "provider=custom", "method=overlay", way)
	require.Empty(t, errs)
	assert.False(t, c.forwards(), "nobody wants one")
	c.wanted = true
	assert.True(t, c.forwards())
	assert.Equal(t, "http://127.0.0.1:8000/v1/portforward", c.portsTold())
	env := environment(c, s, hooktest.Network(t))
	assert.Equal(t, map[string]string{
		"VPN_PORT_FORWARDING": "on", "VPN_PORT_FORWARDING_PROVIDER": "private internet access", "SERVER_NAMES": "toronto401",
		"VPN_PORT_FORWARDING_USERNAME_SECRETFILE": "/run/vpn-secrets/user", "VPN_PORT_FORWARDING_PASSWORD_SECRETFILE": "/run/vpn-secrets/password",
		"WIREGUARD_PRIVATE_KEY_SECRETFILE": "/run/vpn-secrets/private-key",
	}, map[string]string{
		"VPN_PORT_FORWARDING": env["VPN_PORT_FORWARDING"], "VPN_PORT_FORWARDING_PROVIDER": env["VPN_PORT_FORWARDING_PROVIDER"], "SERVER_NAMES": env["SERVER_NAMES"],
		"VPN_PORT_FORWARDING_USERNAME_SECRETFILE": env["VPN_PORT_FORWARDING_USERNAME_SECRETFILE"], "VPN_PORT_FORWARDING_PASSWORD_SECRETFILE": env["VPN_PORT_FORWARDING_PASSWORD_SECRETFILE"],
		"WIREGUARD_PRIVATE_KEY_SECRETFILE": env["WIREGUARD_PRIVATE_KEY_SECRETFILE"],
	})
	assert.Empty(t, env["OPENVPN_USER_SECRETFILE"])
	assert.Equal(t, given["password"]+"\n", contentOf(t, c, s, "/run/vpn-secrets/password"))
	for name, value := range env {
		assert.NotContains(t, value, given["password"], name)
	}
	c, _, errs = judged(t, map[string]string{"config": wg0}, "provider=custom", "method=overlay", way+"\nVPN_PORT_FORWARDING=off")
	assert.Empty(t, errs, "nobody asks there, so nobody needs the account")
	assert.False(t, c.forwards())
	key := apiKey(s)
	c, s, errs = judged(t, map[string]string{"config": wg0, "user": given["user"], "password": given["password"]}, "provider=custom", "method=overlay")
	require.Empty(t, errs)
	c.wanted = true
	assert.False(t, c.forwards(), "nobody's way is named")
	assert.Empty(t, s["user"]+s["password"], "and nobody asks for the account")
	assert.Equal(t, key, apiKey(s), "gluetun answers its charm as before")
}

func contentOf(t *testing.T, c Config, s Secret, path string) string {
	t.Helper()
	for _, f := range files(c, s, hooktest.Network(t)) {
		if f.Path == path {
			return f.Content
		}
	}
	require.Fail(t, "no file "+path)
	return ""
}

// agents is what the agent is told by a configuration.
func agents(t *testing.T, c Config, s Secret) (o Observed, text string, told *overlay.Gateway) {
	t.Helper()
	o = ready(t)
	was := o.Config
	o.Config, o.Secret = c, s
	o.Config.VXLANID, o.Config.VXLANPort, o.Config.AgentImage, o.Config.Resolvers = was.VXLANID, was.VXLANPort, was.AgentImage, was.Resolvers
	o.View.Trials.Images = append(o.View.Trials.Images, o.Config.AgentImage)
	o.Pod.Address = netip.MustParseAddr("10.42.0.7")
	d := Reconcile(o)
	require.NotEmpty(t, d.Protect)
	text = d.Protect[0].Apply.Data["agent.json"]
	config, err := overlay.ParseConfig([]byte(text))
	require.NoError(t, err)
	return o, text, config.Gateway
}

// The agent's configuration says where to ask, and holds no credential of gluetun's.
func TestTheAgentIsToldWhereToAsk(t *testing.T) {
	c, s := pia(t, "overrides=VPN_PORT_FORWARDING=on", "overlay=192.168.77")
	o, text, told := agents(t, c, s)
	assert.Equal(t, "http://127.0.0.1:8000/v1/portforward", told.Told)
	assert.False(t, told.Ports.IsValid() || told.RouterPorts)
	for _, secret := range []string{given["user"], given["password"], apiKey(o.Secret)} {
		assert.NotContains(t, text, secret)
	}

	for kind, secret := range map[string]map[string]string{"wireguard": {"private-key": privateKey}, "openvpn": accounted} {
		c, s, errs := judged(t, secret, "provider=protonvpn", "type="+kind, "method=overlay", "overlay=192.168.77")
		require.Empty(t, errs)
		_, _, told := agents(t, c, s)
		assert.Empty(t, told.Told)
		assert.Equal(t, kind == "wireguard", told.Ports.IsValid(), kind)
		assert.Equal(t, kind == "openvpn", told.RouterPorts, "who grants them there is another one for each server")
	}
}

// What the operator is told of a consumer that wants a port of a provider whose own way gluetun knows.
func TestForwardingNotes(t *testing.T) {
	o := ready(t)
	o.Pod.Agent = &overlay.Report{Guard: overlay.GuardState{Standing: true, Raw: true}, Gateway: &overlay.GatewayState{}}
	o.Consumers[0].Data.WantPort = true
	note := func() string { return portNote(o, o.Consumers[0]) }
	o.Config, o.Secret = pia(t, "overrides=VPN_PORT_FORWARDING=off")
	assert.Equal(t, "qbittorrent wants a port, which gluetun could have granted by private internet access: juju config gluetun custom-overrides=<without VPN_PORT_FORWARDING=off>", note())
	o.Config, o.Secret = pia(t)
	o.Config.wanted = true
	assert.Empty(t, note(), "it is asked for")
	o.Config.wanted, o.Config.portless = false, errors.New("no server of theirs leads ports")
	assert.Equal(t, "qbittorrent wants a port, and no server of theirs leads ports", note())
	o.Config, o.Secret = pia(t, "nat-pmp=10.9.0.1")
	assert.Empty(t, note(), "the operator knows somebody else")
	o.Config, o.Secret = pia(t, "overrides=VPN_PORT_FORWARDING=on")
	assert.Empty(t, note(), "nobody has asked yet")
	o.Pod.Agent.Gateway.Ports = map[string]overlay.Lease{"vpn-gateway-1": {Error: "the VPN client has been granted no port"}}
	assert.Equal(t, "no port for qbittorrent: the VPN client has been granted no port; have it ask again: juju run gluetun/0 reconnect; why: kubectl -n downloads logs gluetun-0 -c gluetun", note())
	var errs []error
	o.Config, o.Secret, errs = judged(t, map[string]string{"user": "somebody", "password": "hunter2hunter2"}, "provider=protonvpn", "type=openvpn", "nat-pmp=10.16.0.1", "method=overlay")
	require.Empty(t, errs)
	o.Pod.Agent.Gateway.Ports["vpn-gateway-1"] = overlay.Lease{Error: "it grants none"}
	assert.Equal(t, "no port for qbittorrent: it grants none; end the user with +pmp: juju update-secret "+o.Config.OpenVPNSecret+" user=<user>+pmp password=<password>", note())
	o.Secret["user"] = "somebody+pmp"
	assert.Equal(t, "no port for qbittorrent: it grants none; see who grants them: juju config gluetun nat-pmp-server", note())
	o.Config, o.Secret = pia(t, "overrides=VPN_PORT_FORWARDING=on")
	o.Pod.Agent.Gateway.Ports["vpn-gateway-1"] = overlay.Lease{Port: 51413}
	assert.Empty(t, note())
	o.Config.RoutingMethod = "pod-gateway"
	assert.Equal(t, "qbittorrent wants a port, which routing-method=overlay can have: juju config gluetun routing-method=overlay", note())
}

// With the lesser encryption the provider's servers listen elsewhere: the firewall names that port.
func TestPresets(t *testing.T) {
	for _, test := range []struct {
		options []string
		port    uint16
		tcp     bool
	}{
		{nil, 1197, false},
		{[]string{"overrides=" + encryption + "=strong"}, 1197, false},
		{[]string{"overrides=" + encryption + "=normal"}, 1198, false},
		{[]string{"overrides=" + encryption + "=normal", "protocol=tcp"}, 502, true},
		{[]string{"overrides=" + encryption + "=normal", "port=53"}, 53, false},
		{[]string{"image=gluetun:latest"}, 8080, false},
		{[]string{"image=gluetun:latest", "overrides=" + encryption + "=normal"}, 1198, false},
		{[]string{"image=gluetun:latest", "overrides=" + encryption + "=normal", "protocol=tcp"}, 502, true},
	} {
		c, s := pia(t, test.options...)
		assert.Equal(t, vpnk8slib.Endpoint{Ports: []uint16{test.port}, TCP: test.tcp, Mark: tunnelMark}, endpoint(c), test.options)
		assert.Equal(t, c.Overrides[encryption], environment(c, s, hooktest.Network(t))[encryption])
	}
}

// Where gluetun takes no server but those that lead ports, and what is chosen leaves none, it would try for ever.
func TestServersThatLeadPorts(t *testing.T) {
	const list = `{"private internet access": {"servers": [
		{"vpn": "openvpn", "region": "CA Toronto", "server_name": "toronto1", "hostname": "ca.example", "port_forward": true},
		{"vpn": "openvpn", "region": "US Seattle", "server_name": "seattle1", "hostname": "us.example"}]}}`
	all, err := readServers(list, "private internet access")
	require.NoError(t, err)
	says := func(values ...string) error {
		c, _ := pia(t, values...)
		return offered(c, all, "gluetun/0")
	}
	const on = "overrides=VPN_PORT_FORWARDING=on"
	assert.NoError(t, says("regions=US Seattle"))
	assert.NoError(t, says("regions=CA Toronto", on))
	assert.NoError(t, says("regions=US Seattle,CA Toronto", on))
	assert.NoError(t, says("regions=US Seattle", on+"\nPORT_FORWARD_ONLY=off"), "the operator knows better")
	const none = "no server of private internet access that %s leave leads ports, and gluetun takes no other: juju config gluetun custom-overrides=<with PORT_FORWARD_ONLY=off>, or choose another%s; see: juju run gluetun/0 list-servers"
	const toronto = ": juju config gluetun server-regions='<such as CA Toronto>'"
	assert.EqualError(t, says("regions=US Seattle", on), fmt.Sprintf(none, "server-regions", toronto))
	assert.EqualError(t, says("regions=US Seattle", "overrides=PORT_FORWARD_ONLY=on"), fmt.Sprintf(none, "server-regions", toronto))
	assert.EqualError(t, says("regions=US Seattle", "overrides=SERVER_NAMES=seattle1\nPORT_FORWARD_ONLY=on"), fmt.Sprintf(none, "server-regions, SERVER_NAMES", ""), "none of these would do")
	assert.EqualError(t, says("overrides=SERVER_NAMES=seattle1\nPORT_FORWARD_ONLY=on"), fmt.Sprintf(none, "SERVER_NAMES", ""), "there is no option to name one of")
	assert.Contains(t, serverTable(all), "ports")
}

// With a port that gluetun has had granted the status of the gateway says nothing else than without.
func TestAPortOfGluetunIsPublished(t *testing.T) {
	o := ready(t)
	o.Config.RoutingMethod = vpnk8slib.Overlay
	o.Config.Provider, o.Config.Overrides = "privatevpn", overrides{forwarding: "on"}
	o.Pod.Agent = &overlay.Report{Guard: overlay.GuardState{Standing: true, Raw: true}, Gateway: &overlay.GatewayState{Ports: map[string]overlay.Lease{"vpn-gateway-1": {Port: 51413, Lifetime: 60}}}}
	o.Pod.Address = netip.MustParseAddr("10.42.0.7")
	o.Leases = vpnk8slib.Leases{Blocks: []overlay.Block{{Name: "vpn-gateway-1", Addresses: netip.MustParsePrefix("172.16.0.16/28")}}, Keys: map[string]string{"vpn-gateway-1": "a key"}}
	o.Secrets = map[string]string{consumer: "secret://0b8a6c2e-0000-4000-8000-000000000001/9m4e2mr0ui3e8a215n4g"}
	o.Consumers[0].Data.WantPort = true
	assert.Equal(t, hook.Active("connected, seen as 192.0.2.2"), Reconcile(o).Status)
	data, err := vpnk8slib.DecodeProviderData("gluetun", Reconcile(o).Publish[consumer])
	require.NoError(t, err)
	assert.Equal(t, 51413, data.Port.Number)
}

// The unit that has the tunnel and not the lead asks for itself what consumers want; of any other provider it asks nobody.
func TestWhoHasTheTunnelHearsTheWish(t *testing.T) {
	for wants, method := range map[bool]string{true: vpnk8slib.Overlay, false: "pod-gateway"} {
		inPod(t, "nameserver 10.43.0.10\n", nil)
		tools := t.TempDir()
		for name, body := range map[string]string{
			"relation-ids": `touch ` + tools + `/asked; echo '["vpn-gateway:8"]'`, "relation-list": `case "$*" in *--app*) echo '"client"' ;; *) echo '["client/0"]' ;; esac`,
			"relation-get": `echo '{"config":"{\"instance_name\":\"client\",\"want_port\":true}"}'`,
		} {
			require.NoError(t, os.WriteFile(filepath.Join(tools, name), fmt.Appendf(nil, "#!/bin/sh\n%s\n", body), 0o700))
		}
		t.Setenv("PATH", tools+":"+os.Getenv("PATH"))
		var o Observed
		o.Config, o.Secret = pia(t, "method="+method)
		require.NoError(t, o.want(nil))
		assert.Equal(t, wants, o.Config.forwards())
		_, err := os.Stat(filepath.Join(tools, "asked"))
		assert.Equal(t, wants, err == nil)
		assert.Empty(t, o.Consumers, "it is not the one that tells them anything")
	}
}
