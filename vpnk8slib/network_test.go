package vpnk8slib

import (
	"encoding/json"
	"errors"
	"net/netip"
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// oldCluster says of its networks no more than every cluster does: Kubernetes before 1.33, with an API server that is no
// pod and a CNI that leaves the nodes' field alone.
func oldCluster() *cluster {
	return &cluster{objects: map[string]string{
		"ServiceAccount downloads/qbittorrent": `{"metadata":{"uid":"1"}}`,
		"Service default/kubernetes":           `{"spec":{"clusterIPs":["10.43.0.1"],"ports":[{"port":443}]}}`,
		"EndpointSlice default/kubernetes": `{"metadata":{"labels":{"kubernetes.io/service-name":"kubernetes"}},
			"endpoints":[{"addresses":["10.44.0.2"]},{"addresses":["10.44.0.1"]}],"ports":[{"port":6443}]}`,
		"EndpointSlice default/other":  `{"metadata":{"labels":{"kubernetes.io/service-name":"other"}},"endpoints":[{"addresses":["10.42.0.9"]}],"ports":[{"port":80}]}`,
		"Node /a":                      `{"metadata":{"name":"a"}}`,
		"Pod kube-system/calico":       `{"spec":{"containers":[{"command":["calico-node"]}]}}`,
		"Service kube-system/kube-dns": `{"spec":{"clusterIPs":["10.43.0.10"]}}`,
	}}
}

const (
	twoServiceCIDRs = `{"spec":{"cidrs":["10.43.0.0/16","fd43::/112"]}}`
	apiServerPod    = `{"spec":{"containers":[{"command":["kube-apiserver","--service-cluster-ip-range=10.43.0.0/16,fd43::/112"]}]}}`
	clusterResolver = "search downloads.svc.example.org svc.example.org example.org\nnameserver 10.43.0.10\n"
)

// Every place that a cluster's networks are found in, each where the ones before it are silent.
func TestDiscover(t *testing.T) {
	networks := func(texts ...string) CIDRs { return merged(prefixes(texts...)...) }
	tests := []struct {
		summary  string
		objects  map[string]string
		ranges   []string
		o        Overrides
		services string
		pods     string
		asked    bool
	}{
		{summary: "services: ServiceCIDR", objects: map[string]string{"ServiceCIDR /kubernetes": twoServiceCIDRs, "Pod kube-system/api": apiServerPod},
			services: "10.43.0.0/16,fd43::/112"},
		{summary: "services: a second ServiceCIDR, and one inside the first", objects: map[string]string{"ServiceCIDR /kubernetes": twoServiceCIDRs,
			"ServiceCIDR /more": `{"spec":{"cidrs":["10.50.0.0/24"]}}`, "ServiceCIDR /inside": `{"spec":{"cidrs":["10.43.5.0/24"]}}`},
			services: "10.43.0.0/16,10.50.0.0/24,fd43::/112"},
		{summary: "services: the API server's flag", objects: map[string]string{"Pod kube-system/api": apiServerPod}, ranges: []string{"10.99.0.0/16"},
			services: "10.43.0.0/16,fd43::/112"},
		{summary: "services: asked, one family", ranges: []string{"10.152.183.0/24"}, services: "10.152.183.0/24", asked: true},
		{summary: "services: asked, two families", ranges: []string{"10.43.0.0/16", "fd43::/112"}, services: "10.43.0.0/16,fd43::/112", asked: true},
		{summary: "services: asked earlier", ranges: []string{"10.99.0.0/16"}, o: Overrides{Services: networks("10.152.183.0/24")},
			services: "10.152.183.0/24", asked: true},
		{summary: "services: asked earlier, and served now", objects: map[string]string{"ServiceCIDR /kubernetes": twoServiceCIDRs},
			o: Overrides{Services: networks("10.152.183.0/24")}, services: "10.43.0.0/16,fd43::/112"},

		{summary: "pods: nodes", objects: map[string]string{"Node /a": `{"spec":{"podCIDRs":["10.42.0.0/24","fd42::/64"]}}`, "Node /b": `{"spec":{"podCIDRs":["10.42.1.0/24"]}}`},
			pods: "10.42.0.0/24,10.42.1.0/24,fd42::/64"},
		{summary: "pods: Calico's pool", objects: map[string]string{"IPPool /default": `{"spec":{"cidr":"10.1.0.0/16"}}`}, pods: "10.1.0.0/16"},
		{summary: "pods: Calico's pool, beside what the nodes say", objects: map[string]string{"IPPool /default": `{"spec":{"cidr":"10.1.0.0/16"}}`,
			"Node /a": `{"spec":{"podCIDRs":["10.42.0.0/24"]}}`}, pods: "10.1.0.0/16,10.42.0.0/24"},
		{summary: "pods: Cilium's nodes", objects: map[string]string{"CiliumNode /a": `{"spec":{"ipam":{"podCIDRs":["10.0.0.0/24"]}}}`,
			"CiliumNode /b": `{"spec":{"ipam":{"podCIDRs":["10.0.1.0/24"]}}}`}, pods: "10.0.0.0/24,10.0.1.0/24"},
		{summary: "pods: Calico's pools that say only that a network outside is not translated", objects: map[string]string{"IPPool /default": `{"spec":{"cidr":"10.1.0.0/16","allowedUses":["Workload","Tunnel"]}}`,
			"IPPool /home": `{"spec":{"cidr":"192.168.0.0/16","disabled":true}}`, "IPPool /nodes": `{"spec":{"cidr":"172.16.0.0/16","allowedUses":["Tunnel"]}}`}, pods: "10.1.0.0/16"},
		{summary: "pods: this one is still in a pool that hands out nothing any more", objects: map[string]string{"IPPool /new": `{"spec":{"cidr":"10.2.0.0/16"}}`,
			"IPPool /old": `{"spec":{"cidr":"10.1.0.0/16","disabled":true}}`}, o: Overrides{Pod: netip.MustParseAddr("10.1.7.9")}, pods: "10.1.0.0/16,10.2.0.0/16"},
		{summary: "pods: half of the world", objects: map[string]string{"IPPool /default": `{"spec":{"cidr":"10.1.0.0/16"}}`, "IPPool /wide": `{"spec":{"cidr":"128.0.0.0/1"}}`}, pods: "10.1.0.0/16"},
		{summary: "pods: a node says everything, which is nothing", objects: map[string]string{"IPPool /default": `{"spec":{"cidr":"10.1.0.0/16"}}`,
			"Node /a": `{"spec":{"podCIDRs":["0.0.0.0/0"]}}`}, pods: "10.1.0.0/16"},

		{summary: "cluster-cidrs replaces both", objects: map[string]string{"ServiceCIDR /kubernetes": twoServiceCIDRs, "IPPool /default": `{"spec":{"cidr":"10.1.0.0/16"}}`},
			o: Overrides{ClusterCIDRs: networks("10.42.0.0/15")}, services: "10.42.0.0/15", pods: "10.42.0.0/15"},
	}
	for _, test := range tests {
		t.Run(test.summary, func(t *testing.T) {
			c := oldCluster()
			c.ranges = test.ranges
			for key, raw := range test.objects {
				c.objects[key] = raw
			}
			// What this row is not about is there.
			if test.services == "" {
				c.objects["ServiceCIDR /kubernetes"] = twoServiceCIDRs
			}
			if test.pods == "" {
				c.objects["Node /z"] = `{"spec":{"podCIDRs":["10.42.0.0/24"]}}`
			}
			test.o.ResolvConf = clusterResolver
			n, err := Discover(t.Context(), c, test.o)
			require.NoError(t, err)
			if test.services != "" {
				assert.Equal(t, test.services, n.Services.String())
			}
			if test.pods != "" {
				assert.Equal(t, test.pods, n.Pods.String())
			}
			assert.Equal(t, test.asked, n.ServicesAsked)
			assert.Equal(t, test.o.ClusterCIDRs != nil, n.Told)
			if !test.asked || test.o.Services != nil {
				assert.NotContains(t, c.asked, "try Service", "the question is the last resort, and asked once")
			}
			assert.Equal(t, "example.org", n.Domain)
			assert.Equal(t, "10.43.0.1:443 10.44.0.1:6443 10.44.0.2:6443", join(n.APIServers, " "), "endpoints, and the Service")
		})
	}
}

func TestDiscoverTheResolver(t *testing.T) {
	tests := []struct{ summary, text, dns, outside string }{
		{"a Service", "nameserver 10.43.0.10\n", "10.43.0.10", ""},
		{"a pod", "nameserver 10.42.0.53\n", "10.42.0.53", ""},
		{"a cache on the node: the cluster's own is asked for", "nameserver 169.254.20.10\n", "10.43.0.10 169.254.20.10", "169.254.20.10:53"},
		{"a router's beside the Service: it asks the world", "nameserver 10.43.0.10\nnameserver 192.168.1.1\n", "10.43.0.10", ""},
		{"a public resolver has no way", "nameserver 10.43.0.10\nnameserver 9.9.9.9\n", "10.43.0.10", ""},
		{"a public resolver only", "nameserver 9.9.9.9\n", "10.43.0.10", ""},
		{"lines that are none of this", "; nameserver 1.2.3.4\noptions ndots:5\nnameserver x\nnameserver\nnameserver fd43::a\n", "fd43::a", ""},
	}
	for _, test := range tests {
		t.Run(test.summary, func(t *testing.T) {
			c := oldCluster()
			c.objects["ServiceCIDR /kubernetes"], c.objects["Node /a"] = twoServiceCIDRs, `{"spec":{"podCIDRs":["10.42.0.0/24"]}}`
			n, err := Discover(t.Context(), c, Overrides{ResolvConf: test.text})
			require.NoError(t, err)
			assert.Equal(t, test.dns, join(n.DNS, " "))
			assert.Equal(t, test.outside, join(n.DNSOutside, " "))
			assert.Equal(t, "cluster.local", n.Domain)
		})
	}
}

// Where a cluster does not say it, the operator is told which option to set, by its command.
func TestDiscoverFindsNothing(t *testing.T) {
	const command = "juju config qbittorrent cluster-cidrs=10.1.0.0/16,10.152.183.0/24"
	tests := []struct {
		summary string
		change  func(*cluster)
		text    string // the resolver's
		err     string
	}{
		{"the API server refuses in other words", func(c *cluster) { c.ranges = nil }, clusterResolver, "cannot discover the cluster's service network: "},
		{"no pod network", func(c *cluster) { delete(c.objects, "Node /a") }, clusterResolver, "cannot discover the cluster's pod network: "},
		{"no resolver", func(c *cluster) { delete(c.objects, "Service kube-system/kube-dns") }, "nameserver 9.9.9.9\n", "cannot find the cluster's DNS: "},
	}
	for _, test := range tests {
		t.Run(test.summary, func(t *testing.T) {
			c := oldCluster()
			c.ranges, c.objects["Node /a"] = []string{"10.43.0.0/16"}, `{"spec":{"podCIDRs":["10.42.0.0/24"]}}`
			o := Overrides{ResolvConf: test.text}
			_, err := ObserveClient(t.Context(), c, App{Name: "qbittorrent", Namespace: "downloads"}, o)
			require.NoError(t, err, "before")
			test.change(c)
			_, err = ObserveClient(t.Context(), c, App{Name: "qbittorrent", Namespace: "downloads"}, o)
			require.ErrorContains(t, err, test.err)
			require.ErrorContains(t, err, command)
			_, err = ObserveGateway(t.Context(), c, App{Name: "qbittorrent", Namespace: "downloads"}, o)
			require.ErrorContains(t, err, command)
			var answer apierrors.APIStatus
			assert.False(t, errors.As(err, &answer), "it is the operator's to mend: Juju need not try again")
		})
	}
}

// No trust and no answer are not the same as a cluster that does not say.
func TestDiscoverCannotAsk(t *testing.T) {
	forbidden := refused("try", "Service x", "", apierrors.NewForbidden(schema.GroupResource{Resource: "services"}, "x", errors.New(`User "a" cannot create resource "services"`)))
	for _, failure := range []error{forbidden, &url.Error{Op: "Post", URL: "https://10.43.0.1", Err: errors.New("no route to host")}} {
		_, err := refusedOutside(t.Context(), &cluster{failure: failure})
		assert.ErrorIs(t, err, failure)
	}
	found, err := refusedOutside(t.Context(), &cluster{failure: apierrors.NewBadRequest("admission webhook does not support dry run")})
	require.NoError(t, err)
	assert.Empty(t, found)
}

func TestFreeOverlay(t *testing.T) {
	network := func(texts ...string) Network { return Network{Pods: prefixes(texts...)} }
	assert.Equal(t, DefaultOverlay(), FreeOverlay(network("10.42.0.0/16"), nil))
	assert.Equal(t, "172.16.16", FreeOverlay(network("172.16.0.0/25"), nil).String())
	assert.Equal(t, "172.24.0", FreeOverlay(network("172.16.0.0/13"), nil).String())
	assert.Equal(t, "192.168.0", FreeOverlay(network("172.16.0.0/12"), nil).String())
	assert.Equal(t, "10.128.0", FreeOverlay(network("172.16.0.0/12", "192.168.0.0/16", "10.0.0.0/9"), nil).String())
	others := Claims{{Network: netip.MustParsePrefix("172.16.16.0/20")}}
	assert.Equal(t, "172.16.32", FreeOverlay(network("172.16.0.0/25"), others).String(), "nor has another gateway")
	assert.Equal(t, netip.MustParsePrefix("172.16.0.0/24"), FreeOverlay(network("0.0.0.0/0"), nil).Prefix(), "none is left")
}

// One node that would wait for a sidecar's end is enough to have none.
func TestSidecars(t *testing.T) {
	tests := []struct {
		versions []string
		want     bool
	}{
		{nil, false},
		{[]string{"v1.35.4"}, true},
		{[]string{"v1.29.0+k3s1", "v1.30.1-eks-036c24b"}, true},
		{[]string{"v1.32.0", "v1.28.9"}, false},
		{[]string{"v1.32.0", ""}, false},
		{[]string{"v2.0.0"}, false},
	}
	for _, test := range tests {
		var nodes []seenNode
		for _, v := range test.versions {
			var n seenNode
			n.Status.NodeInfo.KubeletVersion = v
			nodes = append(nodes, n)
		}
		assert.Equal(t, test.want, sidecars(nodes), "%v", test.versions)
	}
}

// Nodes say their names among their addresses.
func TestNodesAddresses(t *testing.T) {
	var node seenNode
	require.NoError(t, json.Unmarshal([]byte(`{"status":{"addresses":[{"type":"InternalIP","address":"192.168.1.10"},{"type":"ExternalIP","address":"198.51.100.1"},
		{"type":"InternalIP","address":"2001:db8::10"},{"type":"Hostname","address":"node-a"}]}}`), &node))
	want := []netip.Addr{netip.MustParseAddr("192.168.1.10"), netip.MustParseAddr("198.51.100.1"), netip.MustParseAddr("2001:db8::10")}
	assert.Equal(t, want, addresses([]seenNode{node}))
}
