package contract

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/charms/hook/hooktest"
)

// Juju verifies a bundle's form when it is deployed; what it leaves out only shows when the models are up. Source:
// github.com/juju/charm/v12 bundledata.go, VerifyLocal and VerifyWithCharms, which know nothing of another model's offers.
func TestBundles(t *testing.T) {
	bundles := map[string]string{}
	for _, path := range under(t, "bundles/*/bundle.yaml") {
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		bundles[filepath.Base(filepath.Dir(path))] = string(data)
	}
	assert.Empty(t, problems(bundles, allCharms(t)))
}

const (
	goodGates = `bundle: kubernetes
name: charmarr-gates
applications:
  gate:
    charm: ../../build/gate-k8s_amd64.charm
    scale: 1
    trust: true
    resources: {gate-image: example/gate:1}
    options: {provider: custom, port: 1}
    storage: {data: "kubernetes,1,1.5G"}
    constraints: mem=1G cpu-power=100 arch=amd64 tags=node.disk=fast
---
applications:
  gate:
    offers:
      way: {endpoints: [vpn-gateway], acl: {admin: admin}}
`
	goodUsers = `bundle: kubernetes
name: charmarr-users
saas: {way: {url: admin/charmarr-gates.way}}
applications:
  user:
    charm: ../../build/user-k8s_amd64.charm
    scale: 1
    trust: true
relations:
- [user:vpn-gateway, way:vpn-gateway]
`
	gateCharm = `{name: gate-k8s, resources: {gate-image: {upstream-source: "example/gate:1"}}, storage: {data: {type: filesystem}},
  config: {options: {provider: {type: string}, port: {type: int}}}, provides: {vpn-gateway: {interface: vpn-gateway}, metrics: {interface: scrape}}}`
	userCharm = `{name: user-k8s, requires: {vpn-gateway: {interface: vpn-gateway, limit: 1, optional: true}, look: {interface: other, optional: true}}}`
)

// Two bundles that are right, and every slip that somebody can make in them.
func TestBundleProblemsAreFound(t *testing.T) {
	tests := []struct{ summary, gates, users, problem string }{ // old=>new in one of the bundles
		{summary: "as it should be"},
		{"a key that nobody reads", "scale: 1=>sclae: 1", "", "gates: cannot read it: yaml: unmarshal errors:\n  line 6: field sclae not found in type contract.application"},
		{"a machine bundle", "bundle: kubernetes=>bundle: machine", "", `gates: it is bundle "machine" of model "charmarr-gates"`},
		{"a bundle in another's folder", "", "name: charmarr-users=>name: charmarr-friends", `users: it is bundle "kubernetes" of model "charmarr-friends"`},
		{"an option that the charm lost", "provider: custom=>vendor: custom", "", "gates gate: option vendor=custom is no option of the charm"},
		{"an option of another type", "port: 1=>port: many", "", "gates gate: option port=many is no int of the charm"},
		{"a resource that the charm lost", "gate-image: example/gate:1=>image: example/gate:1", "", "gates gate: the charm has no resource image"},
		{"no resource", "    resources: {gate-image: example/gate:1}\n=>", "", "gates gate: resource gate-image is missing: a packed charm brings none"},
		{"another image than the charm's own", "gate-image: example/gate:1=>gate-image: example/gate:latest", "", "gates gate: resource gate-image is example/gate:latest, but the charm is made for example/gate:1"},
		{"a storage that the charm lost", "storage: {data:=>storage: {disk:", "", "gates gate: the charm has no storage disk"},
		{"a size without its unit", "kubernetes,1,1.5G=>kubernetes,1,1.5", "", `gates gate: storage data: cannot read "1.5" of "kubernetes,1,1.5": it is no pool, count or size such as 10G`},
		{"no size", "kubernetes,1,1.5G=>kubernetes,1", "", `gates gate: storage data: "kubernetes,1" says no size`},
		{"no storage at all", "kubernetes,1,1.5G=>kubernetes,0,1G", "", `gates gate: storage data: cannot read "0"`},
		{"two sizes", "kubernetes,1,1.5G=>1G,2G", "", `gates gate: storage data: "1G,2G" has two of size`},
		{"a constraint of machines", "mem=1G=>cores=2", "", `gates gate: constraints: "cores" means nothing on Kubernetes`},
		{"a constraint that nobody knows", "mem=1G=>memory=1G", "", `gates gate: constraints: "memory" means nothing on Kubernetes`},
		{"memory in another unit", "mem=1G=>mem=1Gi", "", `gates gate: constraints: cannot use mem="1Gi"`},
		{"an architecture that nothing is packed for", "arch=amd64=>arch=s390x", "", `gates gate: constraints: cannot use arch="s390x"`},
		{"a constraint twice", "arch=amd64=>mem=2G", "", "gates gate: constraints: mem stands twice"},
		{"no trust", "", "    trust: true\n=>", "users user: the charm lays policies and has to be trusted"},
		{"no scale", "", "    scale: 1\n=>", "users user: scale 0 starts nothing"},
		{"a charm that nothing packs", "", "user-k8s_amd64=>usher-k8s_amd64", `users user: charm "../../build/usher-k8s_amd64.charm" is none that make pack writes`},
		{"an offer of an endpoint that is none", "endpoints: [vpn-gateway]=>endpoints: [vpn]", "", "gates: offer way: gate provides no vpn"},
		{"an offer to nobody", ", acl: {admin: admin}=>", "", "gates: offer way: without an endpoint or without an acl"},
		{"an offer outside an overlay", "---\napplications:\n  gate:\n=>", "", "gates: gate makes offers outside an overlay: Juju refuses that"},
		{"an overlay for somebody else", "---\napplications:\n  gate:=>---\napplications:\n  gaet:", "", "gates: the overlay speaks of gaet, which is not in the bundle"},
		{"an offer that nobody makes", "", "charmarr-gates.way=>charmarr-gates.path", "users relation [user:vpn-gateway way:vpn-gateway]: nothing has the endpoint way:vpn-gateway"},
		{"an offer of a model that is not ours", "", "admin/charmarr-gates=>admin/gates", "users relation [user:vpn-gateway way:vpn-gateway]: nothing has the endpoint way:vpn-gateway"},
		{"an endpoint that is not offered", "", "way:vpn-gateway=>way:metrics", "users relation [user:vpn-gateway way:metrics]: nothing has the endpoint way:metrics"},
		{"interfaces that do not meet", "", "user:vpn-gateway=>user:look", "users relation [user:look way:vpn-gateway]: interfaces [other vpn-gateway] with 1 providers do not meet"},
		{"an end without an endpoint", "", "user:vpn-gateway=>user", "users relation [user way:vpn-gateway]: nothing has the endpoint user"},
		{"two gateways", "", "- [user:vpn-gateway, way:vpn-gateway]=>- [user:vpn-gateway, way:vpn-gateway]\n- [way:vpn-gateway, user:vpn-gateway]", "users user: 2 relations on vpn-gateway, which takes 1"},
		{"a consumer without a gateway", "", "relations:\n- [user:vpn-gateway, way:vpn-gateway]\n=>", "users user: nothing is related to vpn-gateway"},
	}
	charms := map[string]hooktest.Charm{}
	for _, text := range []string{gateCharm, userCharm} {
		docs, err := parse[hooktest.Charm]([]byte(text), false)
		require.NoError(t, err)
		charms[docs[0].Name] = docs[0]
	}
	for _, test := range tests {
		t.Run(test.summary, func(t *testing.T) {
			got := problems(map[string]string{"gates": change(t, goodGates, test.gates), "users": change(t, goodUsers, test.users)}, charms)
			if test.problem == "" {
				assert.Empty(t, got)
				return
			}
			assert.True(t, slices.ContainsFunc(got, func(p string) bool { return strings.HasPrefix(p, test.problem) }), "no problem is %q; there are: %q", test.problem, got)
		})
	}
}

// change replaces one text in another: "old=>new".
func change(t *testing.T, in, how string) string {
	t.Helper()
	if how == "" {
		return in
	}
	old, with, ok := strings.Cut(how, "=>")
	require.True(t, ok)
	require.Equal(t, 1, strings.Count(in, old), "%q stands once in the bundle", old)
	return strings.Replace(in, old, with, 1)
}
