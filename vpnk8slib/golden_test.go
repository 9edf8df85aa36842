package vpnk8slib_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"github.com/charmarr/charmarr-go/vpnk8slib"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares v, as YAML as kubectl would print it, with a file under testdata.
func golden(t *testing.T, name string, v any) {
	t.Helper()
	b, err := json.Marshal(v)
	require.NoError(t, err)
	var tree any
	require.NoError(t, yaml.Unmarshal(b, &tree))
	var buf bytes.Buffer
	enc := yaml.NewEncoder(&buf)
	enc.SetIndent(2)
	require.NoError(t, enc.Encode(tree))
	goldenText(t, name, buf.String())
}

func goldenText(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "run: make golden")
	assert.Equal(t, string(want), text)
}

var app = vpnk8slib.App{Name: "qbittorrent", Namespace: "downloads", OwnerUID: "0a1b2c3d"}

// proven are the images that the template has.
var proven = vpnk8slib.Trials{Images: []string{vpnk8slib.PodGatewayImage, vpnk8slib.AgentImage}}

func network() vpnk8slib.Network {
	return vpnk8slib.Network{
		Services:    vpnk8slib.CIDRs{netip.MustParsePrefix("10.43.0.0/16"), netip.MustParsePrefix("fd43::/112")},
		Pods:        vpnk8slib.CIDRs{netip.MustParsePrefix("10.42.0.0/16"), netip.MustParsePrefix("fd42::/48")},
		DNS:         []netip.Addr{netip.MustParseAddr("10.43.0.10")},
		DNSOutside:  []netip.AddrPort{netip.MustParseAddrPort("169.254.20.10:53")},
		APIServers:  []netip.AddrPort{netip.MustParseAddrPort("10.44.0.1:6443"), netip.MustParseAddrPort("10.43.0.1:443")},
		Controllers: []netip.AddrPort{netip.MustParseAddrPort("10.44.0.1:17070")},
		Domain:      "cluster.local",
	}
}

// databag is what a gateway of ours publishes.
func databag(t *testing.T) map[string]string {
	t.Helper()
	bag, err := gatewayData(t).Encode()
	require.NoError(t, err)
	return bag
}

func gatewayData(t *testing.T) vpnk8slib.ProviderData {
	t.Helper()
	overlay, err := vpnk8slib.ParseOverlayNetwork("172.16.0")
	require.NoError(t, err)
	return vpnk8slib.ProviderData{
		RoutingMethod: "pod-gateway", GatewayDNSName: "gluetun-0.gluetun-endpoints.downloads.svc.cluster.local",
		VXLANID: 42, VXLANIPNetwork: overlay, VXLANPort: vpnk8slib.VXLANPort,
		ClusterCIDRs: network().Cluster(), ClusterDNSIP: network().DNS[0],
		VPNConnected: true, ExternalIP: netip.MustParseAddr("192.0.2.2"),
		InstanceName: "gluetun", Namespace: "downloads", Application: "gluetun",
	}
}

// routed is a consumer with everything in place; each test breaks one thing.
func routed(t *testing.T) vpnk8slib.Client {
	t.Helper()
	return vpnk8slib.Client{
		App:       app,
		Link:      vpnk8slib.ReadLink("qbittorrent", []vpnk8slib.Relation{{ID: "vpn-gateway:3", App: "gluetun", Remote: databag(t)}}),
		Network:   network(),
		Workloads: []string{"qbittorrent"},
		Image:     vpnk8slib.PodGatewayImage,
		Trials:    proven,
	}
}

func gateway(t *testing.T) vpnk8slib.Gateway {
	t.Helper()
	return vpnk8slib.Gateway{
		App:  vpnk8slib.App{Name: "gluetun", Namespace: "downloads", OwnerUID: "4e5f6071"},
		Data: gatewayData(t), Network: network(), Workload: "gluetun", TUN: vpnk8slib.Privileged, Image: vpnk8slib.PodGatewayImage, Trials: proven,
		Endpoint: vpnk8slib.Endpoint{Addr: netip.MustParseAddr("198.51.100.200"), Ports: []uint16{51820}},
	}
}

func TestGoldenClient(t *testing.T) {
	protect, release, err := vpnk8slib.ClientPlans(routed(t))
	require.NoError(t, err)
	assert.Empty(t, release)
	for n, name := range []string{"client-kill-switch.yaml", "client-config.yaml", "client-statefulset.yaml", "client-state.yaml"} {
		golden(t, name, protect[n].Apply)
	}
	assert.Len(t, protect, 4)
}

func TestGoldenCilium(t *testing.T) {
	c := routed(t)
	c.Network.Cilium = true
	protect, _, err := vpnk8slib.ClientPlans(c)
	require.NoError(t, err)
	golden(t, "client-cilium.yaml", protect[1].Apply)
}

func TestGoldenGateway(t *testing.T) {
	protect, err := vpnk8slib.GatewayPlans(gateway(t))
	require.NoError(t, err)
	golden(t, "gateway-config.yaml", protect[0].Apply)
	golden(t, "gateway-statefulset.yaml", protect[1].Apply)
	assert.Len(t, protect, 2)
}

// A provider chooses the server itself: then the mark of the VPN client's own socket is asked for as well as the port.
func TestGatewayWithoutAnEndpointAsksForTheMark(t *testing.T) {
	g := gateway(t)
	g.Endpoint = vpnk8slib.Endpoint{Ports: []uint16{51820}, Mark: 0xca6c}
	protect, err := vpnk8slib.GatewayPlans(g)
	require.NoError(t, err)
	config := protect[0].Apply
	assert.Contains(t, config.Data["drop4.rules"], "-A VPNK8S-OUT -o eth0 -p udp --dport 51820 -m mark --mark 0xca6c -j RETURN")
	assert.NotContains(t, config.Data["drop4.rules"], "198.51.100.200")
}

// OpenVPN goes by TCP as well: then by nothing else.
func TestGatewayByTCP(t *testing.T) {
	for _, method := range []string{"pod-gateway", vpnk8slib.Overlay} {
		for _, to := range []vpnk8slib.Endpoint{{Ports: []uint16{443}, Mark: 0xca6c}, {Addr: netip.MustParseAddr("198.51.100.200"), Ports: []uint16{443}}} {
			g := gateway(t)
			g.Data.RoutingMethod, g.AgentImage, g.Pod = method, vpnk8slib.AgentImage, netip.MustParseAddr("10.42.0.7")
			g.Endpoint = to
			byUDP, err := vpnk8slib.GatewayPlans(g)
			require.NoError(t, err)
			g.Endpoint.TCP = true
			byTCP, err := vpnk8slib.GatewayPlans(g)
			require.NoError(t, err)
			assert.NotEqual(t, byUDP[0].Apply.Data, byTCP[0].Apply.Data)
			if method == "pod-gateway" {
				assert.Contains(t, byTCP[0].Apply.Data["drop4.rules"], "-p tcp --dport 443")
				assert.NotContains(t, byTCP[0].Apply.Data["drop4.rules"], "-p udp --dport 443")
			}
		}
	}
}

func TestGoldenTrial(t *testing.T) {
	c := routed(t)
	c.Trials = vpnk8slib.Trials{}
	protect, _, err := vpnk8slib.ClientPlans(c)
	require.ErrorContains(t, err, "trying the image "+vpnk8slib.AgentImage)
	golden(t, "trial-policy.yaml", protect[2].Apply)
	golden(t, "trial-agent.yaml", protect[3].Apply)
	golden(t, "trial-pod-gateway.yaml", protect[4].Apply)
}
