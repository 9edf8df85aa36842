package vpnk8slib_test

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

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
		{"a method of the future", with(`"pod-gateway"`, `"wormhole"`), `routing_method "wormhole" is not among overlay, pod-gateway; refresh this charm if the gateway is newer: juju refresh qbittorrent --path=<the newer charm>`},
		{"a command for a name", with(`gluetun-endpoints.vpn.svc.cluster.local`, `$(reboot)`), "gateway_dns_name must be a full DNS name"},
		{"backticks for a name", with(`gluetun-endpoints.vpn.svc.cluster.local`, "`reboot`.vpn.svc"), "gateway_dns_name must be a full DNS name"},
		{"a quote in the name", with(`gluetun-endpoints.vpn.svc.cluster.local`, `a';reboot;'.vpn`), "gateway_dns_name must be a full DNS name"},
		{"a newline in the name", with(`gluetun-endpoints.vpn.svc.cluster.local`, `a.vpn\nreboot`), "gateway_dns_name must be a full DNS name"},
		{"no overlay", with(`"172.16.0"`, `""`), "vxlan_ip_network is required"},
		{"a command for a network", with(`"172.16.0"`, `"$(reboot)"`), `cannot use overlay network "$(reboot)"`},
		{"a public overlay", with(`"172.16.0"`, `"203.0.113"`), `cannot use overlay network "203.0.113"`},
		{"no network", with(`10.1.0.0/16,10.152.183.0/24`, ``), "cluster_cidrs is required"},
		{"no network in the text", with(`10.1.0.0/16,10.152.183.0/24`, `$(reboot)`), `cannot find a network in "$(reboot)"`},
		{"networks as a list", with(`"10.1.0.0/16,10.152.183.0/24"`, `["10.1.0.0/16"]`), "cluster_cidrs must not be of the type array"},
		{"a command for an instance", with(`"instance_name":"gluetun"`, `"instance_name":"$(reboot)"`), "instance_name must be a name of lower-case letters, digits and hyphens"},
		{"a command for a namespace", with(`"vxlan_id":42`, `"namespace":"a b"`), "namespace must be a name of lower-case letters, digits and hyphens"},
		{"a command for a zone of an address", with(`"10.152.183.10"`, `"fe80::1%$(reboot)"`), "cluster_dns_ip must be an IP address without a zone"},
		{"a newline in a zone of an address", with(`"external_ip":null`, `"external_ip":"fe80::1%a\nb"`), "external_ip must be an IP address without a zone"},
		{"a DNS name that names no application", with(`gluetun-endpoints.vpn`, `Gluetun-.vpn`), "application must be a name of lower-case letters, digits and hyphens"},
		{"too long", `{"x":"` + strings.Repeat("a", 70000) + `"}`, "it is 70008 bytes long"},
	}
	for _, test := range tests {
		t.Run(test.summary, func(t *testing.T) {
			link := vpnk8slib.ReadLink("qbittorrent", []vpnk8slib.Relation{{ID: "vpn-gateway:3", App: "gluetun", Remote: map[string]string{"config": test.raw}}})
			var invalid *vpnk8slib.InvalidError
			require.ErrorAs(t, link.Err, &invalid)
			assert.Contains(t, link.Err.Error(), "cannot use vpn-gateway data from gluetun: ")
			assert.Contains(t, link.Err.Error(), test.err)
		})
	}
}

// Nothing is made from the networks that a gateway publishes, and charmarr-lib-vpn 0.5 takes any text for them: what is
// odd in them stops nobody who reads it. What is written is held to more, and so is the operator's option.
func TestNetworksOfOthersAreReadAndNeverWritten(t *testing.T) {
	tests := []struct{ summary, text, kept, err string }{
		{"two networks", "10.1.0.0/16,10.152.183.0/24", "10.1.0.0/16,10.152.183.0/24", ""},
		{"a space between them", "10.1.0.0/16, 10.152.183.0/24", "10.1.0.0/16,10.152.183.0/24", ""},
		{"IPv6", "fd42::/48", "fd42::/48", ""},
		{"as wide as allowed", "10.0.0.0/8,fd42::/32", "10.0.0.0/8,fd42::/32", ""},
		{"host bits", "10.1.2.3/16", "10.1.0.0/16", "cannot use network 10.1.2.3/16: it has host bits, write 10.1.0.0/16"},
		{"overlap", "10.1.0.0/16,10.1.2.0/24", "10.1.0.0/16", "they overlap"},
		{"everything is in the cluster", "0.0.0.0/0", "0.0.0.0/0", "cannot use network 0.0.0.0/0: it is wider than any cluster's (/8)"},
		{"half of the world", "0.0.0.0/1,128.0.0.0/1", "0.0.0.0/1,128.0.0.0/1", "cannot use network 0.0.0.0/1: it is wider than any cluster's (/8)"},
		{"all of IPv6", "10.1.0.0/16,2000::/3", "10.1.0.0/16,2000::/3", "cannot use network 2000::/3: it is wider than any cluster's (/32)"},
		{"all of IPv4 as IPv6", "::/31", "::/31", "cannot use network ::/31: it is wider than any cluster's (/32)"},
		{"lines", "10.1.0.0/16\n10.152.183.0/24;", "10.1.0.0/16,10.152.183.0/24", "cannot read network"},
		{"a command beside one", "10.1.0.0/16,$(reboot)", "10.1.0.0/16", `cannot read network "$(reboot)"`},
		{"an address", "10.1.0.0/16,10.2.0.1", "10.1.0.0/16", `cannot read network "10.2.0.1"`},
	}
	schema := networksOfTheSchema(t)
	for _, test := range tests {
		t.Run(test.summary, func(t *testing.T) {
			arithmetic := strings.Contains(test.err, "host bits") || strings.Contains(test.err, "overlap") // beyond a schema
			assert.Equal(t, test.err == "" || arithmetic, schema.MatchString(test.text), "the schema is of what is written")

			text, err := json.Marshal(test.text)
			require.NoError(t, err)
			config := strings.Replace(python05, `"10.1.0.0/16,10.152.183.0/24"`, string(text), 1)
			d, err := vpnk8slib.DecodeProviderData("gluetun", map[string]string{"config": config})
			require.NoError(t, err)
			assert.Equal(t, test.kept, d.ClusterCIDRs.String())

			var option vpnk8slib.CIDRs
			err = json.Unmarshal(text, &option)
			if test.err == "" {
				require.NoError(t, err)
				_, err = d.Encode()
				assert.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, test.err)
			assert.Empty(t, option)
			odd, err := d.Encode()
			if err == nil { // what was left of it is in order
				again, err := vpnk8slib.ParseCIDRs(d.ClusterCIDRs.String())
				require.NoError(t, err)
				assert.Equal(t, d.ClusterCIDRs, again)
				assert.NotEmpty(t, odd)
			} else {
				assert.ErrorContains(t, err, "cluster_cidrs: "+test.err)
			}
		})
	}
}

// networksOfTheSchema is what the interface's schema says of cluster_cidrs.
func networksOfTheSchema(t *testing.T) *regexp.Regexp {
	t.Helper()
	data, err := os.ReadFile("../interfaces/vpn_gateway/v0/schema.yaml")
	require.NoError(t, err)
	var doc struct {
		Defs struct {
			Provider struct {
				Properties map[string]struct{ Pattern string }
			}
		} `yaml:"$defs"`
	}
	require.NoError(t, yaml.Unmarshal(data, &doc))
	pattern := doc.Defs.Provider.Properties["cluster_cidrs"].Pattern
	require.NotEmpty(t, pattern)
	return regexp.MustCompile(pattern)
}

// What an earlier hook kept is read as leniently: else an odd gateway's consumer would forget that it was routed.
func TestLastGoodOfAnOddGateway(t *testing.T) {
	d, err := vpnk8slib.DecodeProviderData("gluetun", map[string]string{"config": strings.Replace(python05, "10.1.0.0/16", "0.0.0.0/0", 1)})
	require.NoError(t, err)
	kept, err := json.Marshal(vpnk8slib.LastGood{Relation: "vpn-gateway:3", Gateway: d})
	require.NoError(t, err)
	var last vpnk8slib.LastGood
	require.NoError(t, json.Unmarshal(kept, &last))
	assert.Equal(t, d, last.Gateway)
}

func TestTwoGateways(t *testing.T) {
	link := vpnk8slib.ReadLink("qbittorrent", []vpnk8slib.Relation{{ID: "vpn-gateway:3", App: "gluetun"}, {ID: "vpn-gateway:4", App: "second"}})
	require.ErrorContains(t, link.Err, "qbittorrent is related to second as well; keep one gateway: juju remove-relation qbittorrent second")
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

// Whatever another charm says, it is refused or it means the same when it is written again; and no value of it can hold what a
// shell would run.
func FuzzDatabag(f *testing.F) {
	for _, text := range []string{python05, pythonNew, `{"instance_name":"qbittorrent","routing_methods":["pod-gateway"]}`, `{"vxlan_id": 1e99}`, `{"gateway_dns_name":"$(reboot)"}`, `[]`,
		`{"gateway_dns_name":"0.A","cluster_cidrs":"0.0.0.0/0","cluster_dns_ip":"0.0.0.0","instance_name":"0"}`, ``} {
		f.Add(text)
	}
	f.Add(`{"routing_method":"overlay","gateway_dns_name":"g-0.g-endpoints.d.svc.cluster.local","vxlan_port":4790,"cluster_cidrs":"10.1.0.0/16","cluster_dns_ip":"10.1.0.10","instance_name":"g",` +
		`"overlay":{"network":"172.16.0.0/20","gateway":"172.16.0.1","block":"172.16.0.16/28","gateway_pod":"10.1.0.7","heartbeat_port":4791,"key_secret":"secret:9m4e2mr0ui3e8a215n4g"}}`)
	f.Fuzz(func(t *testing.T, text string) {
		if d, err := vpnk8slib.DecodeProviderData("gluetun", map[string]string{"config": text}); err == nil {
			assert.NotContains(t, d.GatewayDNSName+d.Namespace+d.Application, "$")
			assert.NotContains(t, d.GatewayDNSName+d.Namespace+d.Application, "`")
			assert.NotContains(t, d.GatewayDNSName+d.Namespace+d.Application, "'")
			again, err := d.Encode()
			if err != nil {
				return // networks that a gateway of ours would not name; nothing is made of another's
			}
			same, err := vpnk8slib.DecodeProviderData("gluetun", again)
			require.NoError(t, err)
			written, err := same.Encode()
			require.NoError(t, err)
			assert.Equal(t, again, written)
		}
		if d, err := vpnk8slib.DecodeRequirerData("qbittorrent", map[string]string{"config": text}); err == nil {
			again, err := d.Encode()
			require.NoError(t, err)
			same, err := vpnk8slib.DecodeRequirerData("qbittorrent", again)
			require.NoError(t, err)
			written, err := same.Encode()
			require.NoError(t, err)
			assert.Equal(t, again, written)
		}
	})
}

// What is told of somebody else's data has an end, however much of it is wrong.
func TestWhatIsWrongHasAnEnd(t *testing.T) {
	_, err := vpnk8slib.DecodeRequirerData("other", map[string]string{"config": `{"instance_name":"q","routing_methods":["` + strings.Repeat(`","`, 15000) + `"]}`})
	var invalid *vpnk8slib.InvalidError
	require.ErrorAs(t, err, &invalid)
	assert.Less(t, len(err.Error()), 1000)
	assert.True(t, strings.HasPrefix(err.Error(), "cannot use vpn-gateway data from other: "), err)
}
