//go:build integration

package integration

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/charmarr/charmarr-go/vpnk8slib"
)

// The gateway's end: one roll, nothing after it, and Juju's next visit leaves it.
func TestGateway(t *testing.T) {
	const name = "gluetun"
	flags := []string{"-containers=gluetun=ghcr.io/qdm12/gluetun:v3.41.1", "-trust"}
	ns := server.Namespace(t)
	server.Juju(t, ns, name, "ensure", flags...)
	wire := server.Wire(t, server.Token(t, ns, name))
	kube, err := vpnk8slib.NewKube(wire.Config)
	require.NoError(t, err)
	account, err := server.Admin.CoreV1().ServiceAccounts(ns).Get(t.Context(), name, metav1.GetOptions{})
	require.NoError(t, err)
	network, err := vpnk8slib.Discover(t.Context(), kube, told())
	require.NoError(t, err)
	assert.Equal(t, "10.42.0.0/24,fd42::/64", network.Pods.String(), "discovered")
	assert.Equal(t, "10.43.0.0/16,fd43::/112", network.Services.String(), "discovered")
	assert.Contains(t, network.APIServers, netip.AddrPortFrom(netip.MustParseAddr("10.43.0.1"), 443))

	hook := func(port uint16) (generation int64, writes []string) {
		t.Helper()
		data := vpnk8slib.ReadLink(app, gateway(id)).Gateway
		protect, err := vpnk8slib.GatewayPlans(vpnk8slib.Gateway{
			App: vpnk8slib.App{Name: name, Namespace: ns, OwnerUID: account.UID}, Data: data, Network: network,
			Workload: name, Image: vpnk8slib.PodGatewayImage, Trials: proven,
			Endpoint: vpnk8slib.Endpoint{Addr: netip.MustParseAddr("198.51.100.200"), Ports: []uint16{port}},
		})
		require.NoError(t, err)
		wire.Take()
		require.NoError(t, vpnk8slib.Reconcile(t.Context(), kube, protect))
		_, writes = wire.Take()
		s, err := server.Admin.AppsV1().StatefulSets(ns).Get(t.Context(), name, metav1.GetOptions{})
		require.NoError(t, err)
		assert.Equal(t, []string{"charm-init", "gateway-init"}, names(s.Spec.Template.Spec.InitContainers))
		assert.Equal(t, []string{"charm", "gluetun", "gateway-sidecar"}, names(s.Spec.Template.Spec.Containers))
		assert.Equal(t, "none", s.Spec.Template.Labels["istio.io/dataplane-mode"], "a mesh must not take the tunnel's packets")
		return s.Generation, writes
	}
	before, err := server.Admin.AppsV1().StatefulSets(ns).Get(t.Context(), name, metav1.GetOptions{})
	require.NoError(t, err)
	generation, writes := hook(51820)
	assert.Equal(t, before.Generation+1, generation)
	assert.Len(t, writes, 2, "settings and template")
	again, writes := hook(51820)
	assert.Equal(t, generation, again)
	assert.Empty(t, writes)
	server.Juju(t, ns, name, "ensure", append(flags, "-modified=1", "-agent=3.6.0")...)
	_, writes = hook(51820)
	assert.Empty(t, writes)
	server.Juju(t, ns, "second", "ensure", flags...)
	seen, err := vpnk8slib.ObserveGateway(t.Context(), kube, vpnk8slib.App{Name: "second", Namespace: ns}, told())
	require.NoError(t, err)
	assert.Contains(t, seen.Others, vpnk8slib.Claim{Gateway: ns + "/" + name, VXLANID: 42, Network: netip.MustParsePrefix("172.16.0.0/24")})
	assert.Zero(t, seen.Claim.VXLANID)
	_, writes = hook(1234)
	assert.Len(t, writes, 2, "another endpoint rolls it, once")
	rolled, writes := hook(1234)
	assert.Empty(t, writes)

	clusterGrows(t)
	network, err = vpnk8slib.Discover(t.Context(), kube, told())
	require.NoError(t, err)
	again, writes = hook(1234)
	assert.Equal(t, []string{"PATCH /api/v1/namespaces/" + ns + "/configmaps/gluetun-vpn-gateway"}, writes)
	assert.Equal(t, rolled, again, "another API server and another node roll nothing")
	rules, err := server.Admin.CoreV1().ConfigMaps(ns).Get(t.Context(), "gluetun-vpn-gateway", metav1.GetOptions{})
	require.NoError(t, err)
	assert.Contains(t, rules.Data["drop4.rules"], "-d 10.44.0.2/32 -p tcp --dport 6443 -j RETURN")
	assert.Contains(t, rules.Data["drop4.rules"], "-d 10.42.1.0/24 -j RETURN")
}

// A consumer and a gateway do not come together inside a network that the cluster has itself: the policy is there all the
// same, and no pod is touched.
func TestOverlayInsideTheCluster(t *testing.T) {
	c := deploy(t)
	before := c.set().Generation
	_, err := c.hook(gateway(id, "172.16.0", "10.43.7"))
	require.ErrorContains(t, err, "the overlay's network 10.43.7.0/24 overlaps 10.43.0.0/16 of the cluster: choose another: juju config -m vpn gluetun vxlan-ip-network=172.16.0")
	assert.NotEmpty(t, c.policy().Spec.Egress)
	assert.Equal(t, before, c.set().Generation)
}
