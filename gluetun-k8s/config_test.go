package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// configured reads options as a hook does: through config-get, which prints those that are set.
func configured(t *testing.T, options map[string]any) (Config, error) {
	t.Helper()
	all := map[string]any{"vpn-type": "wireguard", "openvpn-protocol": "udp", "probe-targets": "1.1.1.1:443", "vxlan-id": 42, "vxlan-port": 4790, "vxlan-ip-network": "172.16.0", "pod-gateway-image": "example.org/pod-gateway:1", "vpn-agent-image": "example.org/vpn-agent:1", "routing-method": "overlay", "dns-resolvers": "9.9.9.9", "tun-device": "privileged"}
	maps.Copy(all, options)
	printed, err := json.Marshal(all)
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "options.json"), printed, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config-get"), fmt.Appendf(nil, "#!/bin/sh\nexec cat '%s/options.json'\n", dir), 0o700))
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return readConfig()
}

// A key in the wrong option is refused, and the status does not repeat it.
func TestStatusRepeatsNoKey(t *testing.T) {
	tests := []struct {
		summary, option, value string
	}{
		{"among the overrides", "custom-overrides", "WIREGUARD_PRIVATE_KEY=" + privateKey},
		{"as the server's, without its last letter", "wireguard-public-key", privateKey[:43]},
		{"as a country", "server-countries", "Sweden," + privateKey},
		{"as a country, without its last letter", "server-countries", privateKey[:43]},
		{"as a city, in part", "server-cities", privateKey[:30] + "="},
		{"as a server's name", "server-hostnames", privateKey[:43]},
		{"as the server's address", "vpn-endpoint-ip", privateKey},
		{"as a target", "probe-targets", "1.1.1.1:443," + privateKey},
		{"as a resolver", "dns-resolvers", privateKey},
		{"as who grants ports", "nat-pmp-server", privateKey},
		{"as the overlay's network, which its own error repeats", "vxlan-ip-network", privateKey},
		{"as the cluster's network, which its own error repeats", "cluster-cidrs", "10.1.0.0/16," + privateKey},
		{"as the provider", "vpn-provider", privateKey},
		{"as the protocol", "vpn-type", privateKey},
		{"as what OpenVPN goes by", "openvpn-protocol", privateKey},
		{"as the routing method", "routing-method", privateKey},
		{"as the device", "tun-device", privateKey},
		{"as an image", "pod-gateway-image", privateKey},
		{"as the agent's image", "vpn-agent-image", "ghcr.io/owner/" + privateKey},
	}
	for _, test := range tests {
		t.Run(test.summary, func(t *testing.T) {
			o := ready(t)
			// Two wrong options: their errors come joined.
			o.Config, o.ConfigErr = configured(t, map[string]any{test.option: test.value, "vxlan-port": 0})
			status := Reconcile(o).Status
			assert.Equal(t, "blocked", status.Kind)
			assert.Contains(t, status.Message, "cannot use option "+test.option)
			assert.NotContains(t, status.Message, privateKey[:30])
			assert.NotContains(t, strings.ToLower(status.Message), strings.ToLower(privateKey[:30]))
			assert.Contains(t, status.Message, `vxlan-port="0": the smallest allowed is 1: juju config`, "what is no secret is named")
		})
	}
	_, err := configured(t, nil)
	require.NoError(t, err, "the other options of this test are good")
}

// The overlay's network is a private one, in the form that consumers read.
func TestOverlayOption(t *testing.T) {
	c, err := configured(t, map[string]any{"vxlan-ip-network": "192.168.77"})
	require.NoError(t, err)
	assert.Equal(t, "192.168.77.0/24", c.Overlay.Prefix().String())
	c, err = configured(t, map[string]any{"vxlan-ip-network": "", "vxlan-id": 0})
	require.NoError(t, err, "left to the charm")
	assert.False(t, c.Overlay.Prefix().IsValid())
	for _, value := range []string{"172.16", "172.16.0.0/24", "8.8.8", "$(id)"} {
		_, err := configured(t, map[string]any{"vxlan-ip-network": value})
		assert.ErrorContains(t, err, "write the first three octets of a private network, such as 172.16.0: juju config <application> vxlan-ip-network=<such as 172.16.0>", value)
	}
}
