//go:build integration

package integration

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/charmarr/charmarr-go/vpnk8slib"
)

// Whatever Juju does to its StatefulSet, our parts stay and stand where they stood.
func TestJujuComesAgain(t *testing.T) {
	upgraded := []string{containers, storage, "-trust", "-agent=3.6.0", "-modified=2"}
	refreshed := []string{"-containers=qbittorrent=lscr.io/linuxserver/qbittorrent:5.1.4", storage, "-trust", "-agent=3.6.0", "-modified=3"}
	steps := []struct {
		summary string
		what    string
		flags   []string
		changed func(*appsv1.StatefulSet) bool // that Juju did something at all; nil where nothing changes
	}{
		{"the controller restarts", "ensure", []string{containers, storage, "-trust"}, nil},
		{"its agent is upgraded", "ensure", upgraded, func(s *appsv1.StatefulSet) bool {
			return s.Spec.Template.Spec.InitContainers[0].Image == "ghcr.io/juju/jujud-operator:3.6.0"
		}},
		{"the charm is refreshed, with another image", "ensure", refreshed, func(s *appsv1.StatefulSet) bool {
			return s.Spec.Template.Spec.Containers[1].Image == "lscr.io/linuxserver/qbittorrent:5.1.4"
		}},
		{"trust", "trust", []string{"-trust"}, nil},
		{"scale", "scale", []string{"-units=2"}, func(s *appsv1.StatefulSet) bool { return *s.Spec.Replicas == 2 }},
		{"a port is opened", "ports", nil, func(s *appsv1.StatefulSet) bool { return len(s.Spec.Template.Spec.Containers[1].Ports) > 0 }},
		{"the controller restarts again", "ensure", append(refreshed, "-units=2"), nil},
	}
	c := deploy(t)
	c.reaches(vpnk8slib.Routed, gateway(id))
	c.inOrder()
	for _, s := range steps {
		if s.changed != nil {
			require.False(t, s.changed(c.set()), "%s: not yet", s.summary)
		}
		server.Juju(t, c.Namespace, app, s.what, s.flags...)
		if s.changed != nil {
			require.True(t, s.changed(c.set()), "%s: Juju did it", s.summary)
		}
		c.inOrder()
		generation := c.set().Generation
		assert.Empty(t, c.reaches(vpnk8slib.Routed, gateway(id)), s.summary)
		assert.Equal(t, generation, c.set().Generation, s.summary)
		c.inOrder()
	}
	// The other transitions, after all that.
	changed := gateway(id, `"vxlan_id":42`, `"vxlan_id":43`)
	assert.NotEmpty(t, c.reaches(vpnk8slib.Routed, changed))
	c.inOrder()
	c.reaches(vpnk8slib.Unprotected, nil, true)
	spec := c.set().Spec.Template.Spec
	assert.Equal(t, []string{"charm", "qbittorrent"}, names(spec.Containers))
	assert.Equal(t, []string{"charm-init"}, names(spec.InitContainers))
	c.reaches(vpnk8slib.Routed, gateway("vpn-gateway:2"))
	c.inOrder()
}

// Juju deletes and makes its StatefulSet anew when storage changes: in between, the policy is all that protects.
func TestPolicyOutlivesTheStatefulSet(t *testing.T) {
	c := deploy(t)
	c.reaches(vpnk8slib.Routed, gateway(id))
	account, err := server.Admin.CoreV1().ServiceAccounts(c.Namespace).Get(t.Context(), app, metav1.GetOptions{})
	require.NoError(t, err)
	owned := func(refs []metav1.OwnerReference) {
		t.Helper()
		if assert.Len(t, refs, 1) {
			assert.Equal(t, metav1.OwnerReference{APIVersion: "v1", Kind: "ServiceAccount", Name: app, UID: account.UID}, refs[0])
		}
	}
	policy := c.policy()
	owned(policy.OwnerReferences)
	maps, err := server.Admin.CoreV1().ConfigMaps(c.Namespace).List(t.Context(), metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=" + app})
	require.NoError(t, err)
	assert.Len(t, maps.Items, 2)
	for _, m := range maps.Items {
		owned(m.OwnerReferences)
	}

	require.NoError(t, server.Admin.AppsV1().StatefulSets(c.Namespace).Delete(t.Context(), app, metav1.DeleteOptions{}))
	server.Juju(t, c.Namespace, app, "ensure", containers, storage, "-trust")
	assert.Equal(t, []string{"charm", "qbittorrent"}, names(c.set().Spec.Template.Spec.Containers), "Juju's new one has nothing of ours")
	assert.Equal(t, policy, c.policy())
	after, err := server.Admin.CoreV1().ServiceAccounts(c.Namespace).Get(t.Context(), app, metav1.GetOptions{})
	require.NoError(t, err)
	assert.Equal(t, account.UID, after.UID, "the owner is the same")

	assert.Len(t, c.reaches(vpnk8slib.Routed, gateway(id)), 1, "only the template is written")
	c.inOrder()
	assert.Equal(t, policy, c.policy())
}
