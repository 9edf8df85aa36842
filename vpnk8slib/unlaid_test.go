package vpnk8slib

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The guard in the pod hides that the NetworkPolicy behind it has been taken away, or opened, and no hook may look for minutes: whoever
// verifies is told.
func TestOurPoliciesAreLookedAt(t *testing.T) {
	const policy, cilium, again = "NetworkPolicy downloads/qbittorrent-vpn-killswitch", "CiliumNetworkPolicy downloads/qbittorrent-vpn-killswitch",
		"the next hook lays it again: kubectl -n downloads exec qbittorrent-0 -c charm -- juju-exec 'JUJU_DISPATCH_PATH=hooks/update-status ./dispatch'"
	const missing, other = "NetworkPolicy qbittorrent-vpn-killswitch is not there; " + again, "NetworkPolicy qbittorrent-vpn-killswitch is not as this charm lays it; " + again
	spec := func(field, value string) func(*cluster) {
		return func(c *cluster) {
			var live map[string]any
			_ = json.Unmarshal([]byte(c.objects[policy]), &live)
			_ = json.Unmarshal([]byte(`{"`+field+`":`+value+`}`), ptr(live["spec"].(map[string]any)))
			text, _ := json.Marshal(live)
			c.objects[policy] = string(text)
		}
	}
	for _, test := range []struct {
		summary string
		change  func(*cluster)
		want    string
	}{
		{"as the last hook has left it", func(*cluster) {}, ""},
		{"deleted", func(c *cluster) { delete(c.objects, policy) }, missing},
		{"opened", spec("egress", `[{}]`), other},
		{"one more rule", spec("egress", `[{"to":[{"namespaceSelector":{}}]},{"to":[{"ipBlock":{"cidr":"0.0.0.0/0"}}]}]`), other},
		{"for what enters alone", spec("policyTypes", `["Ingress"]`), other},
		{"for other pods", spec("podSelector", `{"matchLabels":{"app.kubernetes.io/name":"radarr"}}`), other},
		{"an API server has come since", func(c *cluster) {
			c.objects["EndpointSlice default/kubernetes"] = strings.Replace(c.objects["EndpointSlice default/kubernetes"], "10.44.0.2", "10.44.0.3", 1)
		}, other},
		{"on Cilium its second half, deleted", func(c *cluster) { c.objects["CiliumNetworkPolicy downloads/another"] = `{}` },
			"CiliumNetworkPolicy qbittorrent-vpn-killswitch is not there; " + again},
		{"on Cilium its second half, opened", func(c *cluster) { c.objects[cilium] = `{"spec":{"egress":[{"toEntities":["world"]}]}}` },
			"CiliumNetworkPolicy qbittorrent-vpn-killswitch is not as this charm lays it; " + again},
		{"the pod has lost the label that it selects", func(c *cluster) {
			c.objects["Pod downloads/qbittorrent-0"] = `{"metadata":{"uid":"u","labels":{"tier":"media"}}}`
		}, "no policy of ours is for this pod, which has lost its label: kubectl -n downloads label --overwrite pod qbittorrent-0 app.kubernetes.io/name=qbittorrent"},
		{"which pod this is, is not known", func(c *cluster) { delete(c.objects, "Pod downloads/qbittorrent-0") }, ""},
	} {
		t.Run(test.summary, func(t *testing.T) {
			c := &cluster{objects: maps.Clone(oldCluster().objects)}
			c.objects["ServiceCIDR /kubernetes"], c.objects["Node /a"] = twoServiceCIDRs, `{"spec":{"podCIDRs":["10.42.0.0/24"]}}`
			c.objects["Pod downloads/qbittorrent-0"] = `{"metadata":{"uid":"u","labels":{"app.kubernetes.io/name":"qbittorrent"}}}`
			app := App{Name: "qbittorrent", Namespace: "downloads", Unit: "qbittorrent/0"}
			look := func() ClientView {
				v, err := ObserveClient(t.Context(), c, app, Overrides{ResolvConf: clusterResolver})
				require.NoError(t, err)
				require.NoError(t, v.LookAtPolicies(t.Context(), c, app))
				return v
			}
			owned := app
			owned.OwnerUID = look().Owner
			laid, err := intentOf(policies(owned, look().Network)[0].Apply)
			require.NoError(t, err)
			text, err := json.Marshal(laid.object)
			require.NoError(t, err)
			c.objects[policy] = string(text)

			test.change(c)
			assert.Equal(t, test.want, strings.Join(look().Unlaid, "; "))
		})
	}
}
