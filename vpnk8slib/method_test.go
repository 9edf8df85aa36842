package vpnk8slib

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// carrierPigeon is a routing method that this library has never heard of.
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
	return fragment{settings: map[string]string{"perch": d.GatewayDNSName}, init: []container{{Name: "hatch", Image: c.Image}}}, nil
}
func (carrierPigeon) gateway(Gateway) (fragment, error) {
	return fragment{containers: []container{{Name: "loft"}}}, nil
}
func (carrierPigeon) offer(g Gateway, _ Consumer, _ string) (ProviderData, error) { return g.Data, nil }
func (carrierPigeon) claims(map[string]string) (int, netip.Prefix)                { return 0, netip.Prefix{} }

// A new method is one value: its name is announced, its data read and refused, both ends patched, and nothing else knows of it.
func TestAThirdMethod(t *testing.T) {
	before := methods
	t.Cleanup(func() { methods = before })
	bag := map[string]string{"config": `{"routing_method":"carrier-pigeon","gateway_dns_name":"loft-0.loft-endpoints.roof.svc.cluster.local","vxlan_id":1149,` +
		`"cluster_cidrs":"10.1.0.0/16","cluster_dns_ip":"10.1.0.10","vpn_connected":true,"instance_name":"loft"}`}
	read := func() Link { return ReadLink("app", []Relation{{ID: "vpn-gateway:1", App: "loft", Remote: bag}}) }
	assert.ErrorContains(t, read().Err, `routing_method "carrier-pigeon" is not among pod-gateway, overlay`)

	methods = append(methods, carrierPigeon{})
	assert.Contains(t, RoutingMethods(), "carrier-pigeon")
	link := read()
	require.NoError(t, link.Err)
	n := Network{Pods: prefixes("10.42.0.0/16"), APIServers: []netip.AddrPort{netip.MustParseAddrPort("10.44.0.1:6443")}}
	n.Controllers = n.APIServers
	c := Client{App: App{Name: "app", Namespace: "roof"}, Link: link, Network: n, Workloads: []string{"app"}, Image: "a/b:c", Trials: Trials{Images: []string{"a/b:c", AgentImage}}}
	assert.Equal(t, Routed, c.State())
	protect, _, err := ClientPlans(c)
	require.NoError(t, err)
	require.Len(t, protect, 4)
	assert.Equal(t, map[string]string{"perch": "loft-0.loft-endpoints.roof.svc.cluster.local"}, protect[1].Apply.Data)
	assert.Equal(t, "hatch", protect[2].Apply.Spec.(statefulSetSpec).Template.Spec.InitContainers[0].Name)

	n.Services = n.Pods
	g := Gateway{App: App{Name: "loft", Namespace: "roof"}, Data: link.Gateway, Network: n, Workload: "bird", Trials: c.Trials}
	told, err := g.Offer(Consumer{}, "")
	require.NoError(t, err)
	assert.Equal(t, "carrier-pigeon", told.RoutingMethod)
	protect, _, err = GatewayPlans(g)
	require.NoError(t, err)
	assert.Equal(t, "loft", protect[1].Apply.Spec.(statefulSetSpec).Template.Spec.Containers[1].Name)

	bag["config"] = `{"routing_method":"carrier-pigeon","gateway_dns_name":"loft-0.loft-endpoints.roof.svc.cluster.local","cluster_cidrs":"10.1.0.0/16","cluster_dns_ip":"10.1.0.10","instance_name":"loft"}`
	assert.ErrorContains(t, read().Err, "pigeons fly by number 1149")
}
