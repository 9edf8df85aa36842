//go:build integration

// Package integration checks the library against a real API server and Juju's own builder of StatefulSets, and its scripts
// against a real kernel: what only those can tell. What is said to be written is counted on the wire.
package integration

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/charmarr/charmarr-go/tests/internal/kubetest"
	"github.com/charmarr/charmarr-go/vpnk8slib"
)

var server *kubetest.Server

func TestMain(m *testing.M) { kubetest.Main(m, func(s *kubetest.Server) { server = s }) }

const (
	app        = "qbittorrent"
	containers = "-containers=qbittorrent=lscr.io/linuxserver/qbittorrent:5.1.2"
	storage    = "-mount=/data" // with storage, the order of containers matters to Juju
)

// consumer is a charm of a consumer as the cluster sees it: one application, deployed by Juju.
type consumer struct {
	*testing.T
	vpnk8slib.App
	wire  *kubetest.Wire
	kube  vpnk8slib.Kube
	agent string   // the agent's image; empty: the usual one
	tried []string // images that are taken for proven
}

// deploy has Juju deploy the application, trusted, and returns its charm, for which the usual images are proven.
func deploy(t *testing.T) *consumer {
	t.Helper()
	c := deployUntried(t)
	c.tried = proven.Images
	return c
}

func deployUntried(t *testing.T) *consumer {
	t.Helper()
	ns := server.Namespace(t)
	server.Juju(t, ns, app, "ensure", containers, storage, "-trust")
	return charmOf(t, ns)
}

// charmOf is the application's charm, with the token of the ServiceAccount that Juju made for it.
func charmOf(t *testing.T, ns string) *consumer {
	t.Helper()
	wire := server.Wire(t, server.Token(t, ns, app))
	kube, err := vpnk8slib.NewKube(wire.Config)
	require.NoError(t, err)
	return &consumer{T: t, App: vpnk8slib.App{Name: app, Namespace: ns, Unit: app + "/0"}, wire: wire, kube: kube}
}

// gateway is a relation with what a gateway published; change edits the JSON.
func gateway(id string, change ...string) []vpnk8slib.Relation {
	config := strings.NewReplacer(change...).Replace(`{"routing_method":"pod-gateway","gateway_dns_name":"gluetun-0.gluetun-endpoints.vpn.svc.cluster.local",` +
		`"vxlan_id":42,"vxlan_ip_network":"172.16.0","vxlan_port":4790,"cluster_cidrs":"10.42.0.0/16,10.43.0.0/16","cluster_dns_ip":"10.43.0.10",` +
		`"vpn_connected":true,"external_ip":"192.0.2.2","instance_name":"gluetun"}`)
	return []vpnk8slib.Relation{{ID: id, App: "gluetun", Remote: map[string]string{"config": config}}}
}

func silent(id string) []vpnk8slib.Relation { return []vpnk8slib.Relation{{ID: id, App: "gluetun"}} }

// told is what a unit is told by Juju and its kubelet.
func told() vpnk8slib.Overrides {
	return vpnk8slib.Overrides{
		Controllers: []netip.AddrPort{netip.MustParseAddrPort("10.44.0.1:17070")},
		ResolvConf:  "search downloads.svc.cluster.local svc.cluster.local cluster.local\nnameserver " + kubetest.ClusterDNS + "\n",
	}
}

// view is what the charm sees of the cluster.
func (c *consumer) view() vpnk8slib.ClientView {
	c.Helper()
	v, err := vpnk8slib.ObserveClient(context.Background(), c.kube, c.App, told())
	require.NoError(c, err)
	return v
}

// unlaid is what whoever verifies hears of our policies.
func (c *consumer) unlaid() []string {
	c.Helper()
	v := c.view()
	require.NoError(c, v.LookAtPolicies(context.Background(), c.kube, c.App))
	return v.Unlaid
}

// hook does what a charm's hook does with the cluster. Like a charm it carries out what protects, whatever else is wrong.
func (c *consumer) hook(rels []vpnk8slib.Relation, unsafe ...bool) (vpnk8slib.State, error) {
	c.Helper()
	ctx := context.Background()
	client, err := c.client(rels, unsafe...)
	if err != nil {
		return "", err
	}
	protect, release, planned := vpnk8slib.ClientPlans(client)
	if _, template := protect.Parted(); len(template) > 0 {
		if _, err := c.kube.Admits(ctx, template[0].Manager, template[0].Apply); err != nil {
			return "", errors.Join(vpnk8slib.Reconcile(ctx, c.kube, protect.Policies()), err)
		}
	}
	if err := errors.Join(vpnk8slib.Reconcile(ctx, c.kube, protect), planned); err != nil {
		return "", err
	}
	return client.State(), vpnk8slib.Reconcile(ctx, c.kube, release)
}

// client is what the library decides from, as the cluster is now.
func (c *consumer) client(rels []vpnk8slib.Relation, unsafe ...bool) (vpnk8slib.Client, error) {
	view, err := vpnk8slib.ObserveClient(context.Background(), c.kube, c.App, told())
	own := c.App
	own.OwnerUID = view.Owner
	view.Trials.Images = append(view.Trials.Images, c.tried...)
	return vpnk8slib.Client{
		App: own, Link: vpnk8slib.ReadLink(app, rels), Unsafe: len(unsafe) > 0, Last: view.Last, Network: view.Network, Probe: view.Probe,
		Workloads: []string{"qbittorrent"}, Image: vpnk8slib.PodGatewayImage, AgentImage: c.agent, Trials: view.Trials,
	}, err
}

// reaches runs a hook that must end in a state, and returns what it wrote.
func (c *consumer) reaches(want vpnk8slib.State, rels []vpnk8slib.Relation, unsafe ...bool) (writes []string) {
	c.Helper()
	c.wire.Take()
	state, err := c.hook(rels, unsafe...)
	require.NoError(c, err)
	require.Equal(c, want, state)
	all, writes := c.wire.Take()
	require.NotEmpty(c, all, "the wire sees what is asked")
	return writes
}

func (c *consumer) set() *appsv1.StatefulSet {
	c.Helper()
	s, err := server.Admin.AppsV1().StatefulSets(c.Namespace).Get(context.Background(), app, metav1.GetOptions{})
	require.NoError(c, err)
	return s
}

func (c *consumer) policy() *networkingv1.NetworkPolicy {
	c.Helper()
	p, err := server.Admin.NetworkingV1().NetworkPolicies(c.Namespace).Get(context.Background(), vpnk8slib.KillSwitchName(app), metav1.GetOptions{})
	require.NoError(c, err)
	return p
}

// inOrder asserts the order of the pod's containers: Juju takes the first for its own, and its init container has to come
// before ours.
func (c *consumer) inOrder() {
	c.Helper()
	spec := c.set().Spec.Template.Spec
	assert.Equal(c, []string{"charm-init", "vpn-guard", "vpn-route-init"}, names(spec.InitContainers), "init containers")
	assert.Equal(c, []string{"charm", "qbittorrent", "vpn-agent", "vpn-route-sidecar"}, names(spec.Containers), "containers")
}

func names(list []corev1.Container) (out []string) {
	for _, c := range list {
		out = append(out, c.Name)
	}
	return out
}
