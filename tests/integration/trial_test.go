//go:build integration

package integration

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/charmarr/charmarr-go/vpnk8slib"
)

// trials are the pods that try images now.
func (c *consumer) trials() []corev1.Pod {
	c.Helper()
	pods, err := server.Admin.CoreV1().Pods(c.Namespace).List(context.Background(), metav1.ListOptions{LabelSelector: vpnk8slib.Domain + "trial=" + app})
	require.NoError(c, err)
	return pods.Items
}

// kubelet writes what a kubelet does into the status of every trial, a container at a time.
func (c *consumer) kubelet(phase corev1.PodPhase, state corev1.ContainerState) {
	c.Helper()
	for _, p := range c.trials() {
		p.Status.Phase = phase
		p.Status.ContainerStatuses = nil
		for _, container := range p.Spec.Containers {
			p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, corev1.ContainerStatus{Name: container.Name, Image: container.Image, State: state})
		}
		_, err := server.Admin.CoreV1().Pods(c.Namespace).UpdateStatus(context.Background(), &p, metav1.UpdateOptions{})
		require.NoError(c, err)
	}
}

// ran is what a kubelet says of trials that have ended as they should.
func (c *consumer) ran() {
	c.Helper()
	c.kubelet(corev1.PodSucceeded, corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Completed"}})
}

// refused is the trial that a hook ends with.
func (c *consumer) refused() *vpnk8slib.TrialError {
	c.Helper()
	_, err := c.hook(gateway(id))
	var trial *vpnk8slib.TrialError
	require.ErrorAs(c, err, &trial)
	return trial
}

// The template is made of images that have run here, and of no others; what has run is remembered by the template.
func TestImagesAreTriedFirst(t *testing.T) {
	c := deployUntried(t)
	began := c.set()
	trial := c.refused()
	assert.Empty(t, trial.Why)
	assert.NotEmpty(t, c.policy().Spec.Egress, "the kill switch came first")
	pods := c.trials()
	require.Len(t, pods, 2, "the agent's and the routing containers'")
	for _, p := range pods {
		assert.NotContains(t, p.Labels, "app.kubernetes.io/name", "Juju would take it for a unit")
		assert.Equal(t, "ServiceAccount", p.OwnerReferences[0].Kind)
		assert.Empty(t, p.Spec.Volumes, "no token")
		assert.Equal(t, corev1.RestartPolicyNever, p.Spec.RestartPolicy)
		for _, container := range p.Spec.Containers {
			assert.True(t, *container.SecurityContext.RunAsNonRoot)
		}
	}
	policy, err := server.Admin.NetworkingV1().NetworkPolicies(c.Namespace).Get(t.Context(), app+"-vpn-trial", metav1.GetOptions{})
	require.NoError(t, err)
	assert.Equal(t, map[string]string{vpnk8slib.Domain + "trial": app}, policy.Spec.PodSelector.MatchLabels)
	assert.Empty(t, policy.Spec.Egress)
	assert.Len(t, policy.Spec.PolicyTypes, 2)

	c.wire.Take()
	assert.Empty(t, c.refused().Why)
	_, writes := c.wire.Take()
	assert.Empty(t, writes, "a hook that finds a trial under way writes nothing")

	c.kubelet(corev1.PodPending, corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull", Message: "not found"}})
	trial = c.refused()
	assert.Equal(t, "ErrImagePull", trial.Why)
	assert.Equal(t, "not found", trial.Says)
	assert.Equal(t, began.ResourceVersion, c.set().ResourceVersion, "no pod is made of it")
	_, writes = c.wire.Take()
	assert.Empty(t, writes)

	c.ran()
	assert.NotContains(t, strings.Join(c.reaches(vpnk8slib.Routed, gateway(id)), "\n"), "DELETE", "the pod is about to go, and this hook with it")
	assert.Equal(t, began.Generation+1, c.set().Generation)
	c.inOrder()
	assert.Contains(t, strings.Join(c.reaches(vpnk8slib.Routed, gateway(id)), "\n"), "DELETE /api/v1/namespaces/"+c.Namespace+"/pods/"+app+"-vpn-trial-")
	assert.Empty(t, c.trials())
	assert.Empty(t, c.reaches(vpnk8slib.Routed, gateway(id)))
	assert.Empty(t, c.trials())
}

// Another image is tried while the pod goes on with the one that it has; the one it has needs no second trial.
func TestAnotherImage(t *testing.T) {
	c := deploy(t)
	c.reaches(vpnk8slib.Routed, gateway(id))
	laid := c.set()
	c.agent = "lab.local/none:1"
	c.refused()
	c.kubelet(corev1.PodPending, corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: "Back-off"}})
	first := c.refused()
	assert.Equal(t, "ImagePullBackOff", first.Why)
	assert.Equal(t, "vpn-agent-image", first.Option)
	assert.False(t, first.Held, "the pod that runs has the same settings")

	c.agent = "lab.local/none:2"
	c.refused()
	pods := c.trials()
	require.Len(t, pods, 1, "the first is of no use any more")
	assert.Equal(t, "lab.local/none:2", pods[0].Spec.Containers[0].Image)
	assert.Equal(t, laid.ResourceVersion, c.set().ResourceVersion)

	c.agent = ""
	c.reaches(vpnk8slib.Routed, gateway(id))
	assert.Empty(t, c.trials())
	assert.Equal(t, laid.ResourceVersion, c.set().ResourceVersion)

	c.agent = "lab.local/some:1"
	c.refused()
	c.ran()
	c.reaches(vpnk8slib.Routed, gateway(id))
	assert.Equal(t, laid.Generation+1, c.set().Generation)
	assert.Len(t, c.reaches(vpnk8slib.Routed, gateway(id)), 1, "the trial goes")
	assert.Empty(t, c.reaches(vpnk8slib.Routed, gateway(id)))
	c.inOrder()

	c.agent = "lab.local/none:1"
	c.refused()
	c.reaches(vpnk8slib.Unprotected, nil, true)
	assert.Empty(t, c.trials(), "with the protection goes what was tried for it")
}

// Who may do all but make pods is told what to run.
func TestTrialsNeedTrust(t *testing.T) {
	ns := server.Namespace(t)
	server.Juju(t, ns, app, "ensure", containers, storage)
	_, err := server.Admin.RbacV1().ClusterRoles().Create(t.Context(), &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: ns}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{"*"}, Resources: []string{"*"}, Verbs: []string{"get", "list"}},
		{APIGroups: []string{"networking.k8s.io", "apps"}, Resources: []string{"*"}, Verbs: []string{"*"}},
		{APIGroups: []string{""}, Resources: []string{"configmaps", "services"}, Verbs: []string{"*"}},
	}}, metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = server.Admin.RbacV1().ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: ns}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: ns},
		Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Name: app, Namespace: ns}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = charmOf(t, ns).hook(gateway(id))
	var forbidden *vpnk8slib.ForbiddenError
	require.True(t, errors.As(err, &forbidden), err)
	assert.Contains(t, forbidden.Error(), "cannot apply Pod "+app+"-vpn-trial-")
	assert.Equal(t, "juju trust qbittorrent --scope=cluster", forbidden.Fix())
}
