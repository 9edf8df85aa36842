//go:build integration

package integration

import (
	"context"
	"errors"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/charmarr/charmarr-go/vpnk8slib"
)

const id = "vpn-gateway:1"

func TestUnchangedIntentWritesNothing(t *testing.T) {
	c := deploy(t)
	assert.NotEmpty(t, c.reaches(vpnk8slib.Routed, gateway(id)), "the first hook writes, and is seen to")
	version := c.set().ResourceVersion
	for range 5 {
		assert.Empty(t, c.reaches(vpnk8slib.Routed, gateway(id)))
	}
	assert.Equal(t, version, c.set().ResourceVersion)
	c.inOrder()
}

// A pod is rolled by nothing but the way into Routed.
func TestOneRollFromSilentToRouted(t *testing.T) {
	c := deploy(t)
	began := c.set().Generation
	broken := gateway(id, `"vxlan_id":42`, `"vxlan_id":"$(reboot)"`)
	down := gateway(id, `"vpn_connected":true`, `"vpn_connected":false`)
	steps := []struct {
		summary string
		rels    []vpnk8slib.Relation
		state   vpnk8slib.State
		rolls   int64 // since the deployment
	}{
		{"no relation yet", nil, vpnk8slib.Locked, 0},
		{"related, and silent", silent(id), vpnk8slib.Protected, 0},
		{"what is published cannot be read", broken, vpnk8slib.Protected, 0},
		{"the tunnel has not been up yet", down, vpnk8slib.Protected, 0},
		{"connected", gateway(id), vpnk8slib.Routed, 1},
		{"another exit address", gateway(id, "192.0.2.2", "192.0.2.3"), vpnk8slib.Routed, 1},
		{"the tunnel is down", down, vpnk8slib.Routed, 1},
		{"silent", silent(id), vpnk8slib.Held, 1},
		{"unreadable", broken, vpnk8slib.Held, 1},
		{"back", gateway(id), vpnk8slib.Routed, 1},
		{"the relation is removed", nil, vpnk8slib.Locked, 1},
		{"related anew, and silent", silent("vpn-gateway:2"), vpnk8slib.Protected, 1},
		{"connected, through the new relation", gateway("vpn-gateway:2"), vpnk8slib.Routed, 1},
	}
	for _, s := range steps {
		c.reaches(s.state, s.rels)
		assert.Equal(t, began+s.rolls, c.set().Generation, s.summary)
		assert.Empty(t, c.reaches(s.state, s.rels), "%s: the same once more", s.summary)
		assert.NotEmpty(t, c.policy().Spec.Egress, s.summary)
		if s.rolls > 0 {
			c.inOrder()
		}
	}
}

func TestChangedSettingRollsOnce(t *testing.T) {
	c := deploy(t)
	c.reaches(vpnk8slib.Routed, gateway(id))
	began := c.set()
	other := gateway(id, `"vxlan_id":42`, `"vxlan_id":43`)
	c.reaches(vpnk8slib.Routed, other)
	changed := c.set()
	assert.Equal(t, began.Generation+1, changed.Generation)
	const hash = vpnk8slib.Domain + "config-hash"
	assert.NotEqual(t, began.Spec.Template.Annotations[hash], changed.Spec.Template.Annotations[hash])
	assert.Empty(t, c.reaches(vpnk8slib.Routed, other))
	c.reaches(vpnk8slib.Held, silent(id))
	assert.Equal(t, changed.Generation, c.set().Generation, "held keeps the settings that it had")
	c.inOrder()
}

// What others add beside us is theirs; what is ours is taken back.
func TestForeignFieldsInOurContainer(t *testing.T) {
	c := deploy(t)
	c.reaches(vpnk8slib.Routed, gateway(id))
	foreign := func(patch string) {
		_, err := server.Admin.AppsV1().StatefulSets(c.Namespace).Patch(context.Background(), app, types.StrategicMergePatchType,
			[]byte(`{"spec":{"template":{"spec":{"containers":[{"name":"vpn-route-sidecar",`+patch+`}]}}}}`), metav1.PatchOptions{FieldManager: "other"})
		require.NoError(t, err)
	}
	sidecar := func() corev1.Container {
		for _, s := range c.set().Spec.Template.Spec.Containers {
			if s.Name == "vpn-route-sidecar" {
				return s
			}
		}
		t.Fatal("our sidecar is gone")
		return corev1.Container{}
	}
	foreign(`"env":[{"name":"HTTP_PROXY","value":"proxy"}],"resources":{"limits":{"memory":"64Mi"}}`)
	assert.Empty(t, c.reaches(vpnk8slib.Routed, gateway(id)))
	assert.Equal(t, "HTTP_PROXY", sidecar().Env[0].Name)
	limit := sidecar().Resources.Limits[corev1.ResourceMemory]
	assert.Equal(t, "64Mi", limit.String())

	foreign(`"image":"evil"`)
	require.Equal(t, "evil", sidecar().Image)
	assert.Len(t, c.reaches(vpnk8slib.Routed, gateway(id)), 1)
	assert.Equal(t, vpnk8slib.PodGatewayImage, sidecar().Image)
	assert.Equal(t, "HTTP_PROXY", sidecar().Env[0].Name)
}

func TestForeignEditOfTheKillSwitch(t *testing.T) {
	c := deploy(t)
	c.reaches(vpnk8slib.Routed, gateway(id))
	want := c.policy().Spec
	policies := server.Admin.NetworkingV1().NetworkPolicies(c.Namespace)
	tests := []struct {
		summary string
		edit    func(*networkingv1.NetworkPolicy)
	}{
		{"a rule to everywhere is added", func(p *networkingv1.NetworkPolicy) {
			p.Spec.Egress = append(p.Spec.Egress, networkingv1.NetworkPolicyEgressRule{})
		}},
		{"an address is made a network", func(p *networkingv1.NetworkPolicy) {
			for _, r := range p.Spec.Egress {
				for _, to := range r.To {
					if to.IPBlock != nil && to.IPBlock.CIDR == "10.44.0.1/32" {
						to.IPBlock.CIDR = "0.0.0.0/0"
					}
				}
			}
		}},
		{"a port is taken from a rule", func(p *networkingv1.NetworkPolicy) {
			for n := range p.Spec.Egress {
				p.Spec.Egress[n].Ports = nil
			}
		}},
		{"it selects other pods", func(p *networkingv1.NetworkPolicy) {
			p.Spec.PodSelector.MatchLabels["app.kubernetes.io/name"] = "none"
		}},
		{"it holds only for what comes in", func(p *networkingv1.NetworkPolicy) {
			p.Spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}
			p.Spec.Egress = nil
		}},
	}
	for _, test := range tests {
		for state, rels := range map[vpnk8slib.State][]vpnk8slib.Relation{vpnk8slib.Routed: gateway(id), vpnk8slib.Held: silent(id), vpnk8slib.Locked: nil} {
			t.Run(test.summary+", "+string(state), func(t *testing.T) {
				c.T = t
				edited := c.policy()
				test.edit(edited)
				_, err := policies.Update(t.Context(), edited, metav1.UpdateOptions{FieldManager: "other"})
				require.NoError(t, err)
				require.NotEqual(t, want, c.policy().Spec, "the edit is one")
				assert.Len(t, c.unlaid(), 1, "whoever verifies before the next hook is told")
				c.reaches(state, rels)
				assert.Equal(t, want, c.policy().Spec)
				assert.Empty(t, c.unlaid())
				assert.Empty(t, c.reaches(state, rels))
			})
		}
	}
	t.Run("it is deleted", func(t *testing.T) {
		c.T = t
		require.NoError(t, policies.Delete(t.Context(), vpnk8slib.KillSwitchName(app), metav1.DeleteOptions{}))
		assert.Len(t, c.unlaid(), 1)
		c.reaches(vpnk8slib.Routed, gateway(id))
		assert.Equal(t, want, c.policy().Spec)
	})
}

func TestCleanUpPrunesOnlyOurs(t *testing.T) {
	c := deploy(t)
	ctx := t.Context()
	before := c.set().Spec.Template
	c.reaches(vpnk8slib.Routed, gateway(id))
	require.NotEqual(t, before, c.set().Spec.Template)
	_, err := server.Admin.AppsV1().StatefulSets(c.Namespace).Patch(ctx, app, types.StrategicMergePatchType,
		[]byte(`{"spec":{"template":{"metadata":{"annotations":{"other":"stays"}}}}}`), metav1.PatchOptions{FieldManager: "other"})
	require.NoError(t, err)
	other := metav1.ObjectMeta{Name: "other", Labels: map[string]string{"app.kubernetes.io/name": app, "app.kubernetes.io/managed-by": "juju"}}
	_, err = server.Admin.CoreV1().ConfigMaps(c.Namespace).Create(ctx, &corev1.ConfigMap{ObjectMeta: other}, metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = server.Admin.NetworkingV1().NetworkPolicies(c.Namespace).Create(ctx, &networkingv1.NetworkPolicy{ObjectMeta: other}, metav1.CreateOptions{})
	require.NoError(t, err)

	c.reaches(vpnk8slib.Locked, nil)
	assert.NotEqual(t, before, c.set().Spec.Template, "a lock is no clean-up")

	assert.NotEmpty(t, c.reaches(vpnk8slib.Unprotected, nil, true))
	after := c.set().Spec.Template
	assert.Equal(t, "stays", after.Annotations["other"])
	delete(after.Annotations, "other")
	assert.Equal(t, before, after, "the template is Juju's again")
	maps, err := server.Admin.CoreV1().ConfigMaps(c.Namespace).List(ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=" + app})
	require.NoError(t, err)
	require.Len(t, maps.Items, 1)
	assert.Equal(t, "other", maps.Items[0].Name)
	policies, err := server.Admin.NetworkingV1().NetworkPolicies(c.Namespace).List(ctx, metav1.ListOptions{})
	require.NoError(t, err)
	require.Len(t, policies.Items, 1)
	assert.Equal(t, "other", policies.Items[0].Name)

	assert.Empty(t, c.reaches(vpnk8slib.Unprotected, nil, true), "there is nothing to clean up twice")
}

func TestStatefulSetMissing(t *testing.T) {
	c := deploy(t)
	require.NoError(t, server.Admin.AppsV1().StatefulSets(c.Namespace).Delete(t.Context(), app, metav1.DeleteOptions{}))
	_, err := c.hook(gateway(id))
	assert.ErrorContains(t, err, "cannot apply StatefulSet qbittorrent: it is not there; Juju makes it")
	assert.NotEmpty(t, c.policy().Spec.Egress, "the kill switch came first")
	_, err = server.Admin.AppsV1().StatefulSets(c.Namespace).Get(t.Context(), app, metav1.GetOptions{})
	assert.True(t, apierrors.IsNotFound(err), "half a StatefulSet of ours would be in Juju's way")
}

// Juju gives an application no rights over its own objects before `juju trust`.
func TestNotTrusted(t *testing.T) {
	ns := server.Namespace(t)
	server.Juju(t, ns, app, "ensure", containers, storage)
	c := charmOf(t, ns)
	c.tried = proven.Images
	_, err := c.hook(gateway(id))
	var forbidden *vpnk8slib.ForbiddenError
	require.ErrorAs(t, err, &forbidden)
	assert.Equal(t, "juju trust qbittorrent --scope=cluster", forbidden.Fix())
	assert.ErrorContains(t, err, "not allowed; run: juju trust qbittorrent --scope=cluster")
	server.Juju(t, ns, app, "trust", "-trust")
	assert.NotEmpty(t, c.reaches(vpnk8slib.Routed, gateway(id)), "with trust it goes on")
	c.inOrder()

	// Somebody who may look and not write is told which object it was.
	stranger := server.Namespace(t)
	server.Juju(t, stranger, app, "ensure", containers, storage)
	_, err = server.Admin.RbacV1().Roles(ns).Create(t.Context(), &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Name: "looks"},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{"*"}, Resources: []string{"*"}, Verbs: []string{"get", "list"}}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = server.Admin.RbacV1().RoleBindings(ns).Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "looks"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "looks"},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Name: app, Namespace: stranger}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	client, err := c.client(gateway(id))
	require.NoError(t, err)
	client.Network.Controllers = append(client.Network.Controllers, netip.MustParseAddrPort("192.0.2.9:17070"))
	protect, _, err := vpnk8slib.ClientPlans(client)
	require.NoError(t, err)
	assert.EqualError(t, vpnk8slib.Reconcile(t.Context(), charmOf(t, stranger).kube, protect),
		"cannot apply NetworkPolicy qbittorrent-vpn-killswitch: not allowed; run: juju trust qbittorrent --scope=cluster")
}

// A namespace whose Pod Security level refuses our pod takes the StatefulSet all the same, and would never make its pod again. So nothing is
// changed, and it is told what is refused.
func TestPodSecurity(t *testing.T) {
	c := deploy(t)
	began := c.set()
	enforce := func(level string) {
		_, err := server.Admin.CoreV1().Namespaces().Patch(t.Context(), c.Namespace, types.MergePatchType,
			[]byte(`{"metadata":{"labels":{"pod-security.kubernetes.io/enforce":"`+level+`"}}}`), metav1.PatchOptions{})
		require.NoError(t, err)
	}
	enforce("baseline")
	_, err := c.hook(gateway(id))
	var refused *vpnk8slib.AdmissionError
	require.ErrorAs(t, err, &refused)
	assert.Contains(t, refused.Says, `violates PodSecurity "baseline:latest": `)
	assert.Contains(t, refused.Says, `"vpn-agent"`)
	assert.Contains(t, refused.Says, "NET_ADMIN")
	assert.Equal(t, "kubectl label --overwrite namespace "+c.Namespace+" pod-security.kubernetes.io/enforce=privileged", refused.Fix())
	assert.Equal(t, began.Generation, c.set().Generation)
	assert.NotEmpty(t, c.policy().Spec.Egress, "the kill switch came first")

	enforce("privileged")
	assert.NotEmpty(t, c.reaches(vpnk8slib.Routed, gateway(id)))
	assert.Equal(t, began.Generation+1, c.set().Generation)
	enforce("baseline")
	assert.Empty(t, c.reaches(vpnk8slib.Routed, gateway(id)), "what is laid already is not asked for again")
}

// Admission forbids too, and no trust would help: the API server's own words stay.
func TestForbiddenByAdmission(t *testing.T) {
	c := deploy(t)
	require.NoError(t, server.Admin.CoreV1().Namespaces().Delete(t.Context(), c.Namespace, metav1.DeleteOptions{}))
	_, err := c.hook(gateway(id))
	var forbidden *vpnk8slib.ForbiddenError
	require.ErrorContains(t, err, "being terminated")
	assert.False(t, errors.As(err, &forbidden), err)
	assert.True(t, apierrors.IsForbidden(err))
}
