package hook

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/charmarr/charmarr-go/vpnk8slib"
)

var errOverQuota = fmt.Errorf("cannot apply ConfigMap app: %w", apierrors.NewForbidden(schema.GroupResource{Resource: "configmaps"}, "app", errors.New("exceeded quota: all")))

// What a policy or a quota refuses is told, and is no error: Juju would try for ever, and nobody would hear of the rest. But nothing starts
// that is not protected, no protection goes, and no pod is made.
func TestApplyTellsWhatAPolicyRefuses(t *testing.T) {
	toolsInside(t)
	policy := fmt.Errorf("cannot apply it: %w", &apierrors.StatusError{ErrStatus: metav1.Status{
		Code: http.StatusUnprocessableEntity, Message: "ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no,\nnot here",
	}})
	for _, test := range []struct {
		summary, step string
		how           error
		words         string
		steps         []string
	}{
		{"a quota, before anything is laid", "apply-policy", errOverQuota, `cannot apply ConfigMap app: configmaps "app" is forbidden: exceeded quota: all`,
			slices.Concat(protecting[:1], stopping, telling)},
		{"a policy, after something is", "apply-state", policy, "cannot apply it: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no, not here",
			slices.Concat(protecting, stopping, telling)},
		{"an old policy may not go", "delete-old-policy", policy, "cannot apply it: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no, not here",
			slices.Concat(protecting, stopping, starting, releasing, telling)},
		{"the template", "apply-template", errOverQuota, `cannot apply ConfigMap app: configmaps "app" is forbidden: exceeded quota: all`,
			slices.Concat(order, []string{"status-set"})},
	} {
		t.Run(test.summary, func(t *testing.T) {
			after := juju(t, world(), "config-changed")
			d := everything()
			if test.step != "apply-template" {
				d.Soon = Soon{"new", "image"} // as where something is waited for that may be what is refused: a hook every three seconds for nothing
			}
			require.NoError(t, Apply(t.Context(), busy(map[int]error{number(test.step): test.how}).env(), Unit{App: "qbittorrent", Leader: true}, d))
			assert.Equal(t, test.steps, done())
			m := after()
			assert.Equal(t, []string{"blocked", test.words}, m.Status)
			assert.Equal(t, map[string]string{"config": "{}"}, m.Relations["vpn-gateway:1"].Local, "who relies on this unit hears how it is")
		})
	}
}

// The API server's own trouble is Juju's to try again.
func TestApplyLeavesTroubleToJuju(t *testing.T) {
	after := juju(t, world(), "config-changed")
	down := fmt.Errorf("cannot apply it: %w", apierrors.NewInternalError(errors.New(`failed calling webhook "w"`)))
	assert.ErrorIs(t, Apply(t.Context(), busy(map[int]error{1: down}).env(), Unit{App: "qbittorrent", Leader: true}, everything()), down)
	assert.Equal(t, slices.Concat(protecting[:1], stopping), done())
	assert.Empty(t, after().Status)
}

// A pod that was to try an image, and is refused, is no protection: all else is laid and goes on. The next hook tries again, and is not
// hastened. Where something that protects is refused as well, nothing starts.
func TestApplyGoesOnWithoutATrial(t *testing.T) {
	toolsInside(t)
	cidrs := func(s string) vpnk8slib.CIDRs {
		c, err := vpnk8slib.ParseCIDRs(s)
		require.NoError(t, err)
		return c
	}
	protect, _, err := vpnk8slib.ClientPlans(vpnk8slib.Client{
		App: vpnk8slib.App{Name: "qbittorrent", Namespace: "downloads", OwnerUID: "1"},
		Link: vpnk8slib.ReadLink("qbittorrent", []vpnk8slib.Relation{{ID: "vpn-gateway:1", App: "gluetun", Remote: map[string]string{"config": `{
			"routing_method": "pod-gateway", "gateway_dns_name": "gluetun-0.gluetun-endpoints.gateways.svc.cluster.local",
			"vxlan_id": 42, "vxlan_ip_network": "172.16.0", "vxlan_port": 4790, "cluster_cidrs": "10.42.0.0/16,10.43.0.0/16",
			"cluster_dns_ip": "10.43.0.10", "vpn_connected": true, "instance_name": "gluetun"}`}}}),
		Network: vpnk8slib.Network{
			Services: cidrs("10.43.0.0/16"), Pods: cidrs("10.42.0.0/16"), DNS: []netip.Addr{netip.MustParseAddr("10.43.0.10")},
			APIServers: []netip.AddrPort{netip.MustParseAddrPort("10.44.0.1:6443")}, Controllers: []netip.AddrPort{netip.MustParseAddrPort("10.44.0.1:17070")},
			Domain: "cluster.local",
		},
		Workloads: []string{"new"}, AgentImage: "agent:2", Image: "pod-gateway:1", Trials: vpnk8slib.Trials{Images: []string{"pod-gateway:1"}},
	})
	var trial *vpnk8slib.TrialError
	require.ErrorAs(t, err, &trial)
	laid := []string{"apply-vpnk8slib-killswitch", "apply-vpnk8slib-config", "apply-vpnk8slib-trial", "apply-vpnk8slib-trial", "apply-vpnk8slib-state"}
	refused := fmt.Errorf("cannot apply Pod x: %w", apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "x", errors.New("exceeded quota: all")))
	for _, test := range []struct {
		summary string
		fail    map[int]error
		why     Status // what else there is to say
		steps   []string
		status  []string
	}{
		{"the pod", map[int]error{4: refused}, Waiting("trying it"), slices.Concat(laid, stopping, starting, releasing, telling),
			[]string{"blocked", `cannot try the image agent:2: allow its pod, or: juju config qbittorrent vpn-agent-image=<image>; cannot apply Pod x: pods "x" is forbidden: exceeded quota: all`}},
		{"the pod, and there is more to mend", map[int]error{4: refused}, Blocked("mend this"), slices.Concat(laid, stopping, starting, releasing, telling), []string{"blocked", "mend this"}},
		{"the pod, and what protects", map[int]error{4: refused, 5: errOverQuota}, Waiting("trying it"), slices.Concat(laid, stopping, telling),
			[]string{"blocked", `cannot apply ConfigMap app: configmaps "app" is forbidden: exceeded quota: all`}},
		{"the policy that shuts it in: no pod", map[int]error{3: errOverQuota}, Waiting("trying it"), slices.Concat(laid[:3], stopping, telling),
			[]string{"blocked", `cannot apply ConfigMap app: configmaps "app" is forbidden: exceeded quota: all`}},
	} {
		t.Run(test.summary, func(t *testing.T) {
			after := juju(t, world(), "config-changed")
			d := everything()
			d.Protect, d.Soon, d.Status = protect, Soon{"new", "image"}, test.why
			require.NoError(t, Apply(t.Context(), busy(test.fail).env(), Unit{App: "qbittorrent", Leader: true}, d))
			assert.Equal(t, test.steps, done(), "no check that brings a hook every few seconds is laid")
			m := after()
			assert.Equal(t, test.status, m.Status)
			assert.Equal(t, map[string]string{"config": "{}"}, m.Relations["vpn-gateway:1"].Local)
		})
	}
}
