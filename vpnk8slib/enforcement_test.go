package vpnk8slib

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestVerdict(t *testing.T) {
	for p, want := range map[EnforcementProbe]Enforcement{
		{}:                                       EnforcementUnknown,
		{Pod: "p", Blocked: true}:                EnforcementUnknown, // it may never have answered
		{Before: true, Blocked: true}:            EnforcementUnknown, // by no pod that is known
		{Before: true, Pod: "p", Blocked: true}:  Enforced,
		{Before: true, Pod: "p", Blocked: false}: NotEnforced,
	} {
		assert.Equal(t, want, p.verdict(), "%+v", p)
	}
}

// The target is the kubelet of the pod's own node: a node further away may have no route, and be as silent as a blocked one.
func TestProbe(t *testing.T) {
	kubelet := httptest.NewUnstartedServer(nil)
	kubelet.Config.ErrorLog = log.New(io.Discard, "", 0) // it is left in the middle of every handshake
	kubelet.StartTLS()
	t.Cleanup(kubelet.Close)
	here := netip.MustParseAddrPort(kubelet.Listener.Addr().String())
	plain, err := net.Listen("tcp", "127.0.0.1:0") // takes connections, as ztunnel does, and says nothing
	require.NoError(t, err)
	t.Cleanup(func() { _ = plain.Close() })
	mute := netip.MustParseAddrPort(plain.Addr().String())
	elsewhere := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.2"), mute.Port())

	const first, second = "uid-1", "uid-2"
	guarded := func(uid string) string { return uid + " behind a guard" }
	tests := []struct {
		summary string
		had     EnforcementProbe
		policy  bool
		pod     string // its UID; empty: not known
		node    string // what the cluster says of its node; empty: nothing
		port    uint16
		want    EnforcementProbe
		verdict Enforcement
	}{
		{"no policy: the node's kubelet answers", EnforcementProbe{}, false, first, "127.0.0.1", here.Port(), EnforcementProbe{Target: here, Before: true}, EnforcementUnknown},
		{"no policy: it does not", EnforcementProbe{}, false, first, "127.0.0.1", mute.Port(), EnforcementProbe{Target: mute}, EnforcementUnknown},
		{"no policy: its port is not known", EnforcementProbe{}, false, first, "127.0.0.1", 0, EnforcementProbe{}, EnforcementUnknown},
		{"no policy: its address is not known", EnforcementProbe{}, false, first, "", here.Port(), EnforcementProbe{}, EnforcementUnknown},
		{"no policy any more: measured anew", EnforcementProbe{Target: mute, Before: true, Pod: first, Blocked: true}, false, first, "127.0.0.1", here.Port(), EnforcementProbe{Target: here, Before: true}, EnforcementUnknown},
		{"a policy, and silence since", EnforcementProbe{Target: mute, Before: true}, true, first, "127.0.0.1", 0, EnforcementProbe{Target: mute, Before: true, Pod: first, Blocked: true}, Enforced},
		{"a policy, and an answer as before", EnforcementProbe{Target: here, Before: true}, true, first, "127.0.0.1", 0, EnforcementProbe{Target: here, Before: true, Pod: first}, NotEnforced},
		{"a policy, and nothing answered before", EnforcementProbe{Target: mute}, true, first, "127.0.0.1", 0, EnforcementProbe{Target: mute}, EnforcementUnknown},
		{"enforced in this pod: nothing is asked", EnforcementProbe{Target: here, Before: true, Pod: first, Blocked: true}, true, first, "127.0.0.1", 0, EnforcementProbe{Target: here, Before: true, Pod: first, Blocked: true}, Enforced},
		{"enforced in the last pod: asked in this one", EnforcementProbe{Target: here, Before: true, Pod: first, Blocked: true}, true, second, "127.0.0.1", 0, EnforcementProbe{Target: here, Before: true, Pod: second}, NotEnforced},
		{"the pod came to another node: silence would prove nothing", EnforcementProbe{Target: elsewhere, Before: true, Pod: first, Blocked: true}, true, second, "127.0.0.1", 0, EnforcementProbe{Target: elsewhere, Before: true}, EnforcementUnknown},
		{"and back: measured", EnforcementProbe{Target: mute, Before: true}, true, second, "127.0.0.1", 0, EnforcementProbe{Target: mute, Before: true, Pod: second, Blocked: true}, Enforced},
		{"a guard stands: the silence is its", EnforcementProbe{Target: here, Before: true, Pod: first}, true, guarded(second), "127.0.0.1", mute.Port(), EnforcementProbe{Target: here, Before: true, Pod: first}, NotEnforced},
		{"a guard stands, and nobody has asked before", EnforcementProbe{Target: mute, Before: true}, true, guarded(first), "127.0.0.1", mute.Port(), EnforcementProbe{Target: mute, Before: true}, EnforcementUnknown},
		{"a guard stands, on another node", EnforcementProbe{Target: elsewhere, Before: true, Pod: first, Blocked: true}, true, guarded(second), "127.0.0.1", here.Port(), EnforcementProbe{Target: elsewhere, Before: true, Pod: first, Blocked: true}, Enforced},
		{"a guard stands, and the policy was deleted by hand", EnforcementProbe{Target: mute, Before: true, Pod: first, Blocked: true}, false, guarded(second), "127.0.0.1", mute.Port(), EnforcementProbe{Target: mute, Before: true, Pod: first, Blocked: true}, Enforced},
		{"which pod this is, is not known", EnforcementProbe{Target: mute, Before: true, Pod: first, Blocked: true}, true, "", "", 0, EnforcementProbe{Target: mute, Before: true, Pod: first, Blocked: true}, EnforcementUnknown},
	}
	for _, test := range tests {
		t.Run(test.summary, func(t *testing.T) {
			t.Parallel()
			c := oldCluster()
			app := App{Name: "qbittorrent", Namespace: "downloads", Unit: "qbittorrent/0"}
			c.objects["ServiceCIDR /kubernetes"] = twoServiceCIDRs
			// Another node comes first in every list, and nobody is to ask it.
			c.objects["Node /a"] = fmt.Sprintf(`{"spec":{"podCIDRs":["10.42.0.0/24"]},"status":{"addresses":[{"type":"InternalIP","address":"127.0.0.9"}],"daemonEndpoints":{"kubeletEndpoint":{"Port":%d}}}}`, here.Port())
			c.objects["Node /own"] = fmt.Sprintf(`{"status":{"daemonEndpoints":{"kubeletEndpoint":{"Port":%d}}}}`, test.port)
			if test.pod != "" {
				uid, behind := strings.CutSuffix(test.pod, guarded(""))
				containers := `[{"name":"charm-init"}]`
				if behind {
					containers = `[{"name":"charm-init"},{"name":"vpn-guard"}]`
				}
				c.objects["Pod downloads/qbittorrent-0"] = fmt.Sprintf(`{"metadata":{"uid":%q},"spec":{"nodeName":"own","initContainers":%s},"status":{"hostIP":%q}}`, uid, containers, test.node)
			}
			if test.policy {
				c.objects["NetworkPolicy downloads/killswitch"] = `{"metadata":{"name":"qbittorrent-vpn-killswitch"}}`
			}
			kept, err := json.Marshal(test.had)
			require.NoError(t, err)
			state, err := json.Marshal(map[string]any{"data": map[string]string{probeKey: string(kept)}})
			require.NoError(t, err)
			c.objects["ConfigMap downloads/qbittorrent-vpn-state"] = string(state)

			v, err := ObserveClient(t.Context(), c, app, Overrides{ResolvConf: clusterResolver})
			require.NoError(t, err)
			assert.Equal(t, test.want, v.Probe)
			assert.Equal(t, test.verdict.String(), v.Enforced.String())
		})
	}
}

func TestAnswers(t *testing.T) {
	server := httptest.NewTLSServer(nil)
	addr := netip.MustParseAddrPort(server.Listener.Addr().String())
	assert.True(t, answers(t.Context(), addr))
	server.Close()
	assert.False(t, answers(t.Context(), addr), "refused")
}

// Policies select pods by whatever labels these carry, and Juju's is only one of them.
func TestWider(t *testing.T) {
	policy := func(name, selector, egress string) string {
		return fmt.Sprintf(`{"metadata":{"name":%q},"spec":{"podSelector":%s,"egress":%s}}`, name, selector, egress)
	}
	const everywhere, block, pods = `[{}]`, `[{"to":[{"ipBlock":{"cidr":"0.0.0.0/0"}}]}]`, `[{"to":[{"namespaceSelector":{}}]}]`
	tests := []struct{ summary, policy, want string }{
		{"everywhere, for all pods", policy("p", `{}`, everywhere), "p"},
		{"an address block, by Juju's label", policy("p", `{"matchLabels":{"app.kubernetes.io/name":"qbittorrent"}}`, block), "p"},
		{"by a label of the StatefulSet's", policy("p", `{"matchLabels":{"apps.kubernetes.io/pod-index":"0"}}`, everywhere), "p"},
		{"by the pod's own name", policy("p", `{"matchLabels":{"statefulset.kubernetes.io/pod-name":"qbittorrent-0"}}`, block), "p"},
		{"by an expression", policy("p", `{"matchExpressions":[{"key":"tier","operator":"In","values":["media"]}]}`, block), "p"},
		{"by a selector that nobody understands", policy("p", `{"matchExpressions":[{"key":"tier","operator":"Resembles"}]}`, block), "p"},
		{"for other pods", policy("p", `{"matchLabels":{"app.kubernetes.io/name":"radarr"}}`, everywhere), ""},
		{"by a label that this pod has not", policy("p", `{"matchLabels":{"tier":"web"}}`, everywhere), ""},
		{"to pods only", policy("p", `{}`, pods), ""},
		{"to nothing", policy("p", `{}`, `[]`), ""},
		{"ours", policy("qbittorrent-vpn-killswitch", `{}`, block), ""},
	}
	app := App{Name: "qbittorrent", Namespace: "downloads", Unit: "qbittorrent/0"}
	for _, test := range tests {
		t.Run(test.summary, func(t *testing.T) {
			c := oldCluster()
			c.objects["ServiceCIDR /kubernetes"], c.objects["Node /a"] = twoServiceCIDRs, `{"spec":{"podCIDRs":["10.42.0.0/24"]}}`
			c.objects["Pod downloads/qbittorrent-0"] = `{"metadata":{"uid":"u","labels":{"app.kubernetes.io/name":"qbittorrent",
				"apps.kubernetes.io/pod-index":"0","statefulset.kubernetes.io/pod-name":"qbittorrent-0","tier":"media"}}}`
			c.objects["NetworkPolicy downloads/p"] = test.policy
			v, err := ObserveClient(t.Context(), c, app, Overrides{ResolvConf: clusterResolver})
			require.NoError(t, err)
			assert.Equal(t, test.want, strings.Join(v.Wider, ","))
		})
	}
	// A unit whose pod is not known has at least Juju's label.
	var p seenPolicy
	require.NoError(t, json.Unmarshal([]byte(policy("p", `{"matchLabels":{"app.kubernetes.io/name":"qbittorrent"}}`, block)), &p))
	names, ours := wider(app, seenPod{}, []seenPolicy{p})
	assert.Equal(t, []string{"p"}, names)
	assert.False(t, ours)
}
