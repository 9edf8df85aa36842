//go:build integration

package integration

import (
	"context"
	"maps"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/charmarr/charmarr-go/tests/internal/kubetest"
	"github.com/charmarr/charmarr-go/vpnk8slib"
)

// clusterGrows brings the cluster a second API server and a second node, until the test's end.
func clusterGrows(t *testing.T) {
	t.Helper()
	ctx := context.Background()
	slices := server.Admin.DiscoveryV1().EndpointSlices("default")
	port := int32(6443)
	_, err := slices.Create(ctx, &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Name: "kubernetes-second", Labels: map[string]string{"kubernetes.io/service-name": "kubernetes"}},
		AddressType: discoveryv1.AddressTypeIPv4, Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"10.44.0.2"}}},
		Ports: []discoveryv1.EndpointPort{{Port: &port}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, slices.Delete(ctx, "kubernetes-second", metav1.DeleteOptions{})) })
	nodes := server.Admin.CoreV1().Nodes()
	_, err = nodes.Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "second"},
		Spec: corev1.NodeSpec{PodCIDR: "10.42.1.0/24", PodCIDRs: []string{"10.42.1.0/24"}}}, metav1.CreateOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, nodes.Delete(ctx, "second", metav1.DeleteOptions{})) })
}

// API servers and nodes come and go by themselves: the running pod is told by its files, and is not made anew.
func TestWhatTheClusterChangesByItselfRollsNothing(t *testing.T) {
	c := deploy(t)
	c.reaches(vpnk8slib.Routed, gateway(id))
	began := c.set()
	clusterGrows(t)
	assert.Equal(t, []string{
		"PATCH /apis/networking.k8s.io/v1/namespaces/" + c.Namespace + "/networkpolicies/qbittorrent-vpn-killswitch",
		"PATCH /api/v1/namespaces/" + c.Namespace + "/configmaps/qbittorrent-vpn-client",
	}, c.reaches(vpnk8slib.Routed, gateway(id)))
	assert.Equal(t, began.ResourceVersion, c.set().ResourceVersion)
	files, err := server.Admin.CoreV1().ConfigMaps(c.Namespace).Get(t.Context(), "qbittorrent-vpn-client", metav1.GetOptions{})
	require.NoError(t, err)
	assert.Contains(t, files.Data["networks.sh"], "VPNK8S_DIRECT_4='10.42.0.0/24 10.42.1.0/24 10.43.0.0/16 10.44.0.1/32 10.44.0.2/32 ")
	assert.Empty(t, c.reaches(vpnk8slib.Routed, gateway(id)))
}

// pod is this application's first pod as the StatefulSet's controller and the kubelet of a node would have it.
func (c *consumer) pod(node, hostIP string) *corev1.Pod {
	c.Helper()
	ctx := context.Background()
	pods := server.Admin.CoreV1().Pods(c.Namespace)
	template := c.set().Spec.Template
	labels := maps.Clone(template.Labels)
	labels["apps.kubernetes.io/pod-index"] = "0"
	p, err := pods.Create(ctx, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: app + "-0", Labels: labels}, Spec: corev1.PodSpec{
		NodeName: node, ServiceAccountName: app, Containers: []corev1.Container{{Name: "charm", Image: "charm"}},
	}}, metav1.CreateOptions{})
	require.NoError(c, err)
	p.Status.HostIP = hostIP
	p, err = pods.UpdateStatus(ctx, p, metav1.UpdateOptions{})
	require.NoError(c, err)
	return p
}

// A policy counts that selects our pod by a label which is not Juju's.
func TestForeignPolicyThatAllowsMore(t *testing.T) {
	c := deploy(t)
	c.pod("node", "10.44.0.1")
	for name, labels := range map[string]map[string]string{"by-index": {"apps.kubernetes.io/pod-index": "0"}, "of-others": {"apps.kubernetes.io/pod-index": "1"}} {
		_, err := server.Admin.NetworkingV1().NetworkPolicies(c.Namespace).Create(t.Context(), &networkingv1.NetworkPolicy{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec: networkingv1.NetworkPolicySpec{PodSelector: metav1.LabelSelector{MatchLabels: labels}, PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeEgress},
				Egress: []networkingv1.NetworkPolicyEgressRule{{}}},
		}, metav1.CreateOptions{})
		require.NoError(t, err)
	}
	assert.Equal(t, []string{"by-index"}, c.view().Wider)
}

// Enforcement is measured at the kubelet of the pod's own node, as the API server names it.
func TestEnforcementIsMeasuredAtTheOwnNode(t *testing.T) {
	kubelet := httptest.NewTLSServer(nil)
	t.Cleanup(kubelet.Close)
	target := netip.MustParseAddrPort(kubelet.Listener.Addr().String())
	nodes := server.Admin.CoreV1().Nodes()
	node, err := nodes.Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "own"}}, metav1.CreateOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, nodes.Delete(context.Background(), "own", metav1.DeleteOptions{})) })

	c := deploy(t)
	pod := c.pod("own", target.Addr().String())
	assert.Equal(t, vpnk8slib.EnforcementProbe{}, c.view().Probe, "the kubelet's port is not known")
	node.Status.DaemonEndpoints.KubeletEndpoint.Port = int32(target.Port())
	_, err = nodes.UpdateStatus(t.Context(), node, metav1.UpdateOptions{})
	require.NoError(t, err)
	assert.Equal(t, vpnk8slib.EnforcementProbe{Target: target, Before: true}, c.view().Probe)

	c.reaches(vpnk8slib.Locked, nil)
	v := c.view() // nothing enforces policies here
	assert.Equal(t, vpnk8slib.EnforcementProbe{Target: target, Before: true, Pod: string(pod.UID)}, v.Probe)
	assert.Equal(t, vpnk8slib.NotEnforced, v.Enforced)
	kubelet.Close()
	v = c.view()
	assert.Equal(t, vpnk8slib.EnforcementProbe{Target: target, Before: true, Pod: string(pod.UID), Blocked: true}, v.Probe)
	assert.Equal(t, vpnk8slib.Enforced, v.Enforced)
}

// older is a cluster from before ServiceCIDRs.
type older struct{ vpnk8slib.Kube }

func (o older) List(ctx context.Context, kind, namespace string, into any) error {
	if kind == "ServiceCIDR" {
		return apierrors.NewNotFound(schema.GroupResource{Resource: "servicecidrs"}, "")
	}
	return o.Kube.List(ctx, kind, namespace, into)
}

// The API server's refusal of a Service outside its network names that network, for both families, and nothing is made.
func TestServiceNetworkByAsking(t *testing.T) {
	c := deploy(t)
	c.wire.Take()
	o := told()
	n, err := vpnk8slib.Discover(t.Context(), older{c.kube}, o)
	require.NoError(t, err)
	assert.Equal(t, kubetest.Services+","+kubetest.Services6, n.Services.String())
	assert.True(t, n.ServicesAsked)
	all, writes := c.wire.Take()
	assert.Empty(t, writes)
	assert.Equal(t, []string{"TRY /api/v1/namespaces/default/services", "TRY /api/v1/namespaces/default/services"}, slices.DeleteFunc(all, func(r string) bool { return !strings.HasPrefix(r, "TRY ") }))
	services, err := server.Admin.CoreV1().Services("default").List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	assert.Len(t, services.Items, 1, "the API server's own")

	o.Services = n.Services
	again, err := vpnk8slib.Discover(t.Context(), older{c.kube}, o)
	require.NoError(t, err)
	assert.Equal(t, n, again)
	_, writes = c.wire.Take()
	assert.Empty(t, writes, "asked once")
}
