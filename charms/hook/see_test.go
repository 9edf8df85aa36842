package hook

import (
	"context"
	"errors"
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/charmarr/charmarr-go/vpnk8slib"
)

// answering is a cluster of which every question has the same answer.
type answering struct{ err error }

func (a answering) Get(context.Context, vpnk8slib.Ref, any) error   { return a.err }
func (a answering) List(context.Context, string, string, any) error { return a.err }
func (a answering) Try(context.Context, *vpnk8slib.Object) error    { return a.err }

// Who has to act decides: the operator is told in a status, Juju tries again what is the API server's own trouble.
func TestSeeVPN(t *testing.T) {
	accounts := schema.GroupResource{Resource: "serviceaccounts"}
	tests := []struct {
		summary string
		err     error
		u       Unit
		fails   bool
		why     string // a part of the status
	}{
		{"no trust", &vpnk8slib.ForbiddenError{Verb: "read", Object: "ServiceAccount app", Err: errors.New("no")}, Unit{App: "app", Leader: true}, false, "juju trust app --scope=cluster"},
		{"no answer", &url.Error{Op: "Get", URL: "https://10.0.0.1", Err: errors.New("no route to host")}, Unit{App: "app", Model: "m", Leader: true}, false, "kubectl -n m delete networkpolicy app-vpn-killswitch"},
		{"too slow", context.DeadlineExceeded, Unit{App: "app", Model: "m", Leader: true}, false, "cannot reach the Kubernetes API server"},
		{"what only the operator knows", errors.New("cannot discover the pod network: set cluster-cidrs"), Unit{App: "app", Leader: true}, false, "set cluster-cidrs"},
		{"the API server is ill", apierrors.NewInternalError(errors.New("etcd")), Unit{App: "app", Leader: true}, true, ""},
		{"the ServiceAccount is not there", apierrors.NewNotFound(accounts, "app"), Unit{App: "app", Leader: true}, true, ""},
		{"not the leader: nothing is asked", errors.New("asked"), Unit{App: "app"}, false, "only the leader runs the workload"},
		{"stopping: nothing is asked", errors.New("asked"), Unit{App: "app", Leader: true, Event: "stop"}, false, "relate to a vpn-gateway"},
	}
	for _, test := range tests {
		t.Run(test.summary, func(t *testing.T) {
			juju(t, model{}, "config-changed")
			v, err := SeeVPN(t.Context(), Env{Reader: answering{test.err}}, test.u, VPNOptions{})
			if test.fails {
				assert.ErrorIs(t, err, test.err)
				return
			}
			require.NoError(t, err)
			d := v.Desired(test.u, Workload{Container: "app"}, true)
			assert.Contains(t, d.Status.Message, test.why)
			assert.Equal(t, Stopped, d.Workloads[0].Mode)
			assert.Empty(t, d.Release)
			assert.Equal(t, unreachable(test.err) && test.u.Leader && !test.u.Leaving(), d.Soon.Container == "app", "nobody tells of its coming back")
		})
	}
}

// The owner of a pod without protection wants it back, and the API server is ill: nothing can be laid, and Juju tries again minutes later. What
// runs is stopped meanwhile; not where its owner wants no protection.
func TestNothingRunsBlind(t *testing.T) {
	ill := apierrors.NewInternalError(errors.New("etcd"))
	for unsafe, ran := range map[bool][]string{false: {"pebble-old", "services", "stop", "stopped"}, true: nil} {
		juju(t, model{}, "config-changed")
		env := busy(nil).env()
		env.Reader = answering{ill}
		_, err := SeeVPN(t.Context(), env, Unit{App: "app", Leader: true}, VPNOptions{UnsafeMode: unsafe})
		require.ErrorContains(t, err, "cannot look at the cluster: ")
		before := len(done())
		require.NoError(t, shut(env, "old", err))
		require.NoError(t, shut(env, "old", errors.New("another")))
		assert.Equal(t, ran, append([]string(nil), done()[before:]...), "unsafe-mode=%t", unsafe)
	}
}

// Juju lists no relation yet in the first hook of a unit, whatever it is related to: unsafe-mode counts for nothing then.
func TestUnsafeModeInTheFirstHook(t *testing.T) {
	for event, mode := range map[string]Mode{"install": Stopped, "leader-elected": Running} {
		juju(t, model{}, event)
		u := Unit{Name: "app/0", App: "app", Model: "m", Leader: true, Event: event}
		v, err := SeeVPN(t.Context(), Env{Reader: answering{&vpnk8slib.ForbiddenError{Object: "ServiceAccount app", Err: errors.New("no")}}}, u, VPNOptions{UnsafeMode: true})
		require.NoError(t, err)
		v.ViewErr = nil
		d := v.Desired(u, Workload{Container: "app"}, true)
		assert.Equal(t, mode, d.Workloads[0].Mode, event)
		assert.Equal(t, mode == Running, len(d.Release) > 0, "%s: what protects goes then only", event)
		assert.Equal(t, mode == Stopped, d.Again == "app", event)
	}
}
