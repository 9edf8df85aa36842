package vpnk8slib_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/vpnk8slib"
)

// What charmarr-lib-vpn writes: 0.5 knows no vxlan_port, and both write null for an address that is not known.
const (
	python05  = `{"routing_method":"pod-gateway","gateway_dns_name":"gluetun-endpoints.vpn.svc.cluster.local","vxlan_id":42,"vxlan_ip_network":"172.16.0","cluster_cidrs":"10.1.0.0/16,10.152.183.0/24","cluster_dns_ip":"10.152.183.10","vpn_connected":false,"external_ip":null,"instance_name":"gluetun"}`
	pythonNew = `{"routing_method":"pod-gateway","gateway_dns_name":"gluetun.vpn.svc.cluster.local","vxlan_id":7,"vxlan_ip_network":"172.16.9","vxlan_port":4790,"cluster_cidrs":"10.1.0.0/16","cluster_dns_ip":"10.152.183.10","vpn_connected":true,"external_ip":"193.32.1.1","instance_name":"gluetun"}`
)

func TestPythonGatewaysAreUnderstood(t *testing.T) {
	d, err := vpnk8slib.DecodeProviderData("gluetun", map[string]string{"config": python05})
	require.NoError(t, err)
	assert.Equal(t, 8472, d.VXLANPort, "0.5 leaves the port to the kernel")
	assert.False(t, d.ExternalIP.IsValid())
	assert.Equal(t, "vpn", d.Namespace)
	assert.Equal(t, "gluetun", d.Application)

	d, err = vpnk8slib.DecodeProviderData("gluetun", map[string]string{"config": pythonNew})
	require.NoError(t, err)
	assert.Equal(t, 4790, d.VXLANPort)
	assert.Equal(t, "193.32.1.1", d.ExternalIP.String())
	assert.Equal(t, "172.16.9.0/24", d.VXLANIPNetwork.Prefix().String())
}

// What we write, to the letter: types and names are those of the Python models.
func TestGoldenDatabags(t *testing.T) {
	goldenText(t, "provider.json", databag(t)["config"]+"\n")
	bag, err := vpnk8slib.RequirerData{InstanceName: "qbittorrent", RoutingMethods: vpnk8slib.RoutingMethods(), Namespace: "downloads", Application: "qbittorrent"}.Encode()
	require.NoError(t, err)
	goldenText(t, "requirer.json", bag["config"]+"\n")
}

func TestBadProviderData(t *testing.T) {
	good := python05
	with := func(old, new string) string {
		require.Contains(t, good, old)
		return strings.Replace(good, old, new, 1)
	}
	tests := []struct{ summary, raw, err string }{
		{"not JSON", `{`, "it is not JSON"},
		{"a list", `[]`, "it must not be of the type array"},
		{"nothing", `{}`, "gateway_dns_name is required; cluster_cidrs is required; cluster_dns_ip is required; instance_name is required"},
		{"identifier too large", with(`"vxlan_id":42`, `"vxlan_id":16777216`), "vxlan_id must be at most 16777215"},
		{"identifier a text", with(`"vxlan_id":42`, `"vxlan_id":"42"`), "vxlan_id must not be of the type string"},
		{"port too large", with(`"vxlan_id":42`, `"vxlan_port":65536`), "vxlan_port must be at most 65535"},
		{"port zero", with(`"vxlan_id":42`, `"vxlan_port":0`), "vxlan_port must be at least 1"},
		{"a method of the future", with(`"pod-gateway"`, `"wormhole"`), `routing_method "wormhole" is not among pod-gateway; refresh this charm if the gateway is newer`},
		{"a command for a name", with(`gluetun-endpoints.vpn.svc.cluster.local`, `$(reboot)`), "gateway_dns_name must be a full DNS name"},
		{"backticks for a name", with(`gluetun-endpoints.vpn.svc.cluster.local`, "`reboot`.vpn.svc"), "gateway_dns_name must be a full DNS name"},
		{"a quote in the name", with(`gluetun-endpoints.vpn.svc.cluster.local`, `a';reboot;'.vpn`), "gateway_dns_name must be a full DNS name"},
		{"a newline in the name", with(`gluetun-endpoints.vpn.svc.cluster.local`, `a.vpn\nreboot`), "gateway_dns_name must be a full DNS name"},
		{"a command for a network", with(`"172.16.0"`, `"$(reboot)"`), `cannot use overlay network "$(reboot)"`},
		{"a public overlay", with(`"172.16.0"`, `"203.0.113"`), `cannot use overlay network "203.0.113"`},
		{"everything is in the cluster", with(`10.1.0.0/16`, `0.0.0.0/0`), "cannot use network 0.0.0.0/0: it is wider than any cluster's (/8)"},
		{"half of the world", with(`10.1.0.0/16`, `0.0.0.0/1,128.0.0.0/1`), "cannot use network 0.0.0.0/1: it is wider than any cluster's (/8)"},
		{"all of IPv6", with(`10.1.0.0/16`, `10.1.0.0/16,2000::/3`), "cannot use network 2000::/3: it is wider than any cluster's (/32)"},
		{"all of IPv4 as IPv6", with(`10.1.0.0/16`, `::/31`), "cannot use network ::/31: it is wider than any cluster's (/32)"},
		{"host bits", with(`10.1.0.0/16`, `10.1.2.3/16`), "cannot use network 10.1.2.3/16: it has host bits, write 10.1.0.0/16"},
		{"overlap", with(`10.152.183.0/24`, `10.1.2.0/24`), "they overlap"},
		{"a command for an instance", with(`"instance_name":"gluetun"`, `"instance_name":"$(reboot)"`), "instance_name must be a name of lower-case letters, digits and hyphens"},
		{"a command for a namespace", with(`"vxlan_id":42`, `"namespace":"a b"`), "namespace must be a name of lower-case letters, digits and hyphens"},
		{"a command for a zone of an address", with(`"10.152.183.10"`, `"fe80::1%$(reboot)"`), "cluster_dns_ip must be an IP address without a zone"},
		{"a newline in a zone of an address", with(`"external_ip":null`, `"external_ip":"fe80::1%a\nb"`), "external_ip must be an IP address without a zone"},
		{"a DNS name that names no application", with(`gluetun-endpoints.vpn`, `Gluetun-.vpn`), "application must be a name of lower-case letters, digits and hyphens"},
		{"too long", `{"x":"` + strings.Repeat("a", 70000) + `"}`, "it is 70008 bytes long"},
	}
	for _, test := range tests {
		t.Run(test.summary, func(t *testing.T) {
			link := vpnk8slib.ReadLink([]vpnk8slib.Relation{{ID: "vpn-gateway:3", App: "gluetun", Remote: map[string]string{"config": test.raw}}})
			var invalid *vpnk8slib.InvalidError
			require.ErrorAs(t, link.Err, &invalid)
			assert.Contains(t, link.Err.Error(), "cannot use vpn-gateway data from gluetun: ")
			assert.Contains(t, link.Err.Error(), test.err)
		})
	}
}

func TestFieldsOfTheFutureAreLeftAlone(t *testing.T) {
	_, err := vpnk8slib.DecodeProviderData("gluetun", map[string]string{"config": strings.Replace(python05, "{", `{"wormholes":[1,2],`, 1), "more": "x"})
	require.NoError(t, err)
}

func TestConsumers(t *testing.T) {
	got := vpnk8slib.Consumers([]vpnk8slib.Relation{
		{ID: "vpn-gateway:1", App: "qbittorrent", Remote: map[string]string{"config": `{"instance_name":"qbittorrent"}`}},
		{ID: "vpn-gateway:2", App: "remote-6f3f", Remote: map[string]string{}},
		{ID: "vpn-gateway:3", App: "odd", Remote: map[string]string{"config": `{"instance_name":"'"}`}},
	})
	require.Len(t, got, 3)
	require.NoError(t, got[0].Err)
	assert.Equal(t, "qbittorrent", got[0].Data.InstanceName)
	assert.Empty(t, got[0].Data.RoutingMethods, "a Python consumer announces none")
	require.ErrorIs(t, got[1].Err, vpnk8slib.ErrNotReady)
	var invalid *vpnk8slib.InvalidError
	require.ErrorAs(t, got[2].Err, &invalid)
}
