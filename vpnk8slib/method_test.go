package vpnk8slib

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// carrierPigeon is a routing method that this library has never heard of: a VXLAN without a key, made by a few lines of shell, to a gateway
// that has one address for ever.
type carrierPigeon struct{}

func (carrierPigeon) name() string { return "carrier-pigeon" }

func (carrierPigeon) heard() string { return "" }
func (carrierPigeon) check(d ProviderData) error {
	if d.VXLANID != 1149 { // RFC 1149
		return errors.New("pigeons fly by number 1149")
	}
	return nil
}
func (carrierPigeon) client(c Client, d ProviderData) (fragment, error) {
	lines := fmt.Sprintf(`ip link add %[1]s address 02:00:ac:10:00:12 mtu 1320 type vxlan id %[2]d dstport %[3]d remote 10.42.0.7 dev eth0
ip addr add 172.16.0.18/20 dev %[1]s
ip link set %[1]s up
ip route add 10.42.0.0/16 via 169.254.1.1 dev eth0
ip route replace default via 172.16.0.1 dev %[1]s`, overlayInterface, d.VXLANID, d.VXLANPort)
	way := container{Name: "hatch", Image: c.Image, Command: []string{"sh", "-euc", lines}}
	rules := c.Network.rules(overlayInterface, uint16(d.VXLANPort), len(c.Workloads), c.Ports)
	rules.Gateways = []netip.Addr{netip.MustParseAddr("10.42.0.7")}
	f := fragment{settings: map[string]string{"perch": d.GatewayDNSName}, init: []container{way}}
	return f.withAgent(c.Network, c.AgentImage, "guard", overlay.Config{Guard: rules}, nil)
}
func (carrierPigeon) gateway(Gateway) (fragment, error) {
	return fragment{containers: []container{{Name: "loft"}}}, nil
}
func (carrierPigeon) offer(g Gateway, _ Consumer, _ string) (ProviderData, error) { return g.Data, nil }
func (carrierPigeon) claims(map[string]string) (int, netip.Prefix)                { return 0, netip.Prefix{} }

// A new method is one value: its name is announced, its data read and refused, both ends patched, and nothing else knows of it. What is made
// of it for a consumer is kept in a file, and carried out with packets in tests/datapath/third.
func TestAThirdMethod(t *testing.T) {
	before := methods
	t.Cleanup(func() { methods = before })
	bag := map[string]string{"config": `{"routing_method":"carrier-pigeon","gateway_dns_name":"loft-0.loft-endpoints.roof.svc.cluster.local","vxlan_id":1149,"vxlan_port":4790,` +
		`"cluster_cidrs":"10.42.0.0/16","cluster_dns_ip":"10.42.0.10","vpn_connected":true,"instance_name":"loft"}`}
	read := func() Link { return ReadLink("app", []Relation{{ID: "vpn-gateway:1", App: "loft", Remote: bag}}) }
	assert.ErrorContains(t, read().Err, `routing_method "carrier-pigeon" is not among overlay, pod-gateway`)

	methods = append(methods, carrierPigeon{})
	assert.Contains(t, RoutingMethods(), "carrier-pigeon")
	link := read()
	require.NoError(t, link.Err)
	n := Network{Pods: prefixes("10.42.0.0/16"), APIServers: []netip.AddrPort{netip.MustParseAddrPort("10.44.0.1:6443")}, Sidecars: true}
	n.Controllers = n.APIServers
	c := Client{App: App{Name: "app", Namespace: "roof"}, Link: link, Network: n, Workloads: []string{"app"}, Image: "a/b:c", Trials: Trials{Images: []string{"a/b:c", AgentImage}}}
	assert.Equal(t, Routed, c.State())
	protect, _, err := ClientPlans(c)
	require.NoError(t, err)
	const file = "testdata/carrier-pigeon.json"
	made, err := json.MarshalIndent(protect, "", "  ")
	require.NoError(t, err)
	if flag.Lookup("update").Value.String() == "true" {
		require.NoError(t, os.WriteFile(file, append(made, '\n'), 0o644))
	}
	kept, err := os.ReadFile(file)
	require.NoError(t, err, "run: make golden")
	assert.Equal(t, string(kept), string(made)+"\n")

	n.Services = n.Pods
	g := Gateway{App: App{Name: "loft", Namespace: "roof"}, Data: link.Gateway, Network: n, Workload: "bird", Trials: c.Trials}
	told, err := g.Offer(Consumer{}, "")
	require.NoError(t, err)
	assert.Equal(t, "carrier-pigeon", told.RoutingMethod)
	protect, err = GatewayPlans(g)
	require.NoError(t, err)
	assert.Equal(t, "loft", protect[1].Apply.Spec.(statefulSetSpec).Template.Spec.Containers[1].Name)

	bag["config"] = `{"routing_method":"carrier-pigeon","gateway_dns_name":"loft-0.loft-endpoints.roof.svc.cluster.local","cluster_cidrs":"10.1.0.0/16","cluster_dns_ip":"10.1.0.10","instance_name":"loft"}`
	assert.ErrorContains(t, read().Err, "pigeons fly by number 1149")
}
