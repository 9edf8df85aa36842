//go:build integration

package integration

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/charmarr/charmarr-go/vpnk8slib"
)

// refuse lays a policy of the cluster's own on what is made of a kind in the application's namespace, and returns when the API server knows
// it: probe, which it refuses, is asked about until then.
func (c *consumer) refuse(plural, allowed string, probe *corev1.Pod) (lift func()) {
	c.Helper()
	ctx, api := context.Background(), server.Admin.AdmissionregistrationV1()
	name := c.Namespace + "-" + plural
	_, err := api.ValidatingAdmissionPolicies().Create(ctx, &admissionv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{{RuleWithOperations: admissionv1.RuleWithOperations{
				Operations: []admissionv1.OperationType{admissionv1.Create},
				Rule:       admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{plural}},
			}}}},
			Validations: []admissionv1.Validation{{Expression: allowed, Message: "not in this house"}},
		},
	}, metav1.CreateOptions{})
	require.NoError(c, err)
	_, err = api.ValidatingAdmissionPolicyBindings().Create(ctx, &admissionv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: name, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny},
			MatchResources: &admissionv1.MatchResources{NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": c.Namespace}}},
		},
	}, metav1.CreateOptions{})
	require.NoError(c, err)
	laid := func() bool {
		_, err := server.Admin.CoreV1().Pods(c.Namespace).Create(ctx, probe, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return err != nil && strings.Contains(err.Error(), "not in this house")
	}
	require.Eventually(c, laid, 30*time.Second, 200*time.Millisecond, "the API server reads its policies now and then")
	return func() {
		require.NoError(c, api.ValidatingAdmissionPolicyBindings().Delete(ctx, name, metav1.DeleteOptions{}))
		require.NoError(c, api.ValidatingAdmissionPolicies().Delete(ctx, name, metav1.DeleteOptions{}))
		require.Eventually(c, func() bool { return !laid() }, 30*time.Second, 200*time.Millisecond)
	}
}

func podOf(spec corev1.Container, labels map[string]string) *corev1.Pod {
	spec.Name, spec.Image = "a", "a"
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "probe", Labels: labels}, Spec: corev1.PodSpec{ServiceAccountName: app, Containers: []corev1.Container{spec}}}
}

// A policy of the cluster's that refuses our pod, like a level of its namespace, is told in its own words, and nothing is changed.
func TestAPolicyRefusesThePod(t *testing.T) {
	c := deploy(t)
	began := c.set()
	lift := c.refuse("pods", "object.spec.containers.all(c, !('NET_ADMIN' in c.?securityContext.?capabilities.?add.orValue([])))",
		podOf(corev1.Container{SecurityContext: &corev1.SecurityContext{Capabilities: &corev1.Capabilities{Add: []corev1.Capability{"NET_ADMIN"}}}}, nil))
	_, err := c.hook(gateway(id))
	var refused *vpnk8slib.AdmissionError
	require.ErrorAs(t, err, &refused)
	name := c.Namespace + "-pods"
	assert.EqualError(t, refused, "cannot patch the pod: ValidatingAdmissionPolicy '"+name+"' with binding '"+name+"' denied request: not in this house")
	assert.Equal(t, began.Generation, c.set().Generation)
	assert.NotEmpty(t, c.policy().Spec.Egress, "the kill switch came first")

	lift()
	assert.NotEmpty(t, c.reaches(vpnk8slib.Routed, gateway(id)))
	assert.Equal(t, began.Generation+1, c.set().Generation)
}

// A policy that refuses the pod in which an image is tried is told as that image's, and all else is laid. When it has gone, the next hook tries.
func TestAPolicyRefusesATrial(t *testing.T) {
	c := deployUntried(t)
	label := vpnk8slib.Domain + "trial"
	lift := c.refuse("pods", "!('"+label+"' in object.metadata.?labels.orValue({}))", podOf(corev1.Container{}, map[string]string{label: "other"}))
	for range 2 {
		trial := c.refused()
		assert.NotEmpty(t, trial.Why)
		assert.Contains(t, trial.Says, "denied request: not in this house")
		assert.Empty(t, c.trials())
		assert.NotEmpty(t, c.policy().Spec.Egress)
		_, err := server.Admin.CoreV1().ConfigMaps(c.Namespace).Get(t.Context(), app+"-vpn-state", metav1.GetOptions{})
		assert.NoError(t, err, "what comes after the trials is laid as well")
	}
	lift()
	assert.Empty(t, c.refused().Why, "nothing remembers it")
	assert.Len(t, c.trials(), 2)
	c.ran()
	assert.NotEmpty(t, c.reaches(vpnk8slib.Routed, gateway(id)))
}
