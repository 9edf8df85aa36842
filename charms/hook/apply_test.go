package hook

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/canonical/pebble/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/vpnk8slib"
)

// recorder is a cluster and a Pebble that write down what was asked of them, and fail where they are told to.
type recorder struct {
	Pebble        // everything that is not asked here would be a nil call
	fail   string // the step that fails
	how    error  // with this
	active []string
}

func (r *recorder) did(what string) error {
	trace(what)
	if what == r.fail {
		return r.how
	}
	return nil
}

func (r *recorder) Apply(_ context.Context, manager string, _ *vpnk8slib.Object) error {
	return r.did("apply-" + manager)
}
func (r *recorder) Delete(_ context.Context, ref vpnk8slib.Ref) error {
	return r.did("delete-" + ref.Name)
}
func (r *recorder) PlanBytes(*client.PlanOptions) ([]byte, error) { return nil, nil }
func (r *recorder) AddLayer(*client.AddLayerOptions) error        { return r.did("layer") }
func (r *recorder) Replan(*client.ServiceOptions) (string, error) { return "1", r.did("replan") }
func (r *recorder) Push(*client.PushOptions) error                { return r.did("push") }
func (r *recorder) MakeDir(*client.MakeDirOptions) error          { return r.did("mkdir") }
func (r *recorder) Stop(*client.ServiceOptions) (string, error)   { return "2", r.did("stop") }
func (r *recorder) ListFiles(*client.ListFilesOptions) ([]*client.FileInfo, error) {
	return nil, &client.Error{Kind: "not-found"}
}
func (r *recorder) WaitChange(id string, _ *client.WaitChangeOptions) (*client.Change, error) {
	if id == "2" {
		r.active = nil
		return &client.Change{}, r.did("stopped")
	}
	return &client.Change{}, r.did("started")
}
func (r *recorder) Services(*client.ServicesOptions) (infos []*client.ServiceInfo, _ error) {
	for _, name := range r.active {
		infos = append(infos, &client.ServiceInfo{Name: name, Current: client.StatusActive})
	}
	return infos, nil
}

func (r *recorder) env() Env {
	return Env{Cluster: r, Pebble: func(string) (Pebble, error) { return r, nil }}
}

// everything is a hook in which each kind of step is made: one workload stops, another starts.
func everything() Desired {
	return Desired{
		Protect: vpnk8slib.Plan{
			{Manager: "policy", Apply: &vpnk8slib.Object{}},
			{Manager: "template", Apply: &vpnk8slib.Object{}},
		},
		Workloads: []Workload{
			{Container: "old", Mode: Stopped},
			{
				Container: "new", Mode: Running,
				Dirs:  []Dir{{Path: "/config"}},
				Files: []File{{Path: "/config/a", Content: "b", Mode: 0o600}},
				Layer: Layer{Services: map[string]Service{"new": {Override: "replace", Command: "sleep 1", Startup: "enabled"}}},
			},
		},
		Release: vpnk8slib.Plan{{Delete: vpnk8slib.Ref{Kind: "NetworkPolicy", Name: "old-policy", Namespace: "downloads"}}},
		Publish: map[string]map[string]string{"vpn-gateway": {"config": "{}"}},
		Secrets: []SecretWant{{Label: "api-key", Content: map[string]string{"key": "value"}}},
		Ports:   []int{8080},
		Status:  Active("ready"),
	}
}

func world() model {
	return model{Leader: true, Relations: map[string]*relation{"vpn-gateway:1": {App: "gluetun"}}}
}

// The order of a hook. Waiting for the end of a stop is a step: what follows relies on it.
var order = []string{
	"apply-policy", "apply-template", // Protect
	"stop", "stopped", // what is to stop
	"mkdir", "push", "layer", "replan", "started", // what is to run
	"delete-old-policy",            // Release
	"relation-ids", "relation-set", // publish
	"secret-get", "secret-add", // secrets
	"opened-ports", "open-port", // ports
	"status-set",
}

func done(t *testing.T) []string {
	return slices.DeleteFunc(traced(t), func(s string) bool { return s == "juju-log" })
}

func TestApplyInOrder(t *testing.T) {
	after := juju(t, world(), "config-changed")
	r := &recorder{active: []string{"old"}}
	require.NoError(t, Apply(t.Context(), r.env(), Unit{App: "qbittorrent", Leader: true}, everything()))
	assert.Equal(t, order, done(t))
	m := after()
	assert.Equal(t, []string{"active", "ready"}, m.Status)
	assert.Equal(t, map[string]string{"config": "{}"}, m.Relations["vpn-gateway:1"].Local)
	assert.Equal(t, []string{"8080/tcp"}, m.Ports)
}

// Every step fails once. No later step is made then, but that workloads which are to stop are stopped.
func TestApplyStopsWhereItFails(t *testing.T) {
	broken := errors.New("broken on purpose")
	for i, step := range order {
		t.Run(step, func(t *testing.T) {
			w := world()
			w.Broken = step
			after := juju(t, w, "config-changed")
			r := &recorder{active: []string{"old"}, fail: step, how: broken}
			err := Apply(t.Context(), r.env(), Unit{App: "qbittorrent", Leader: true}, everything())
			assert.ErrorContains(t, err, "broken on purpose")
			want := order[:i+1]
			if strings.HasPrefix(step, "apply-") {
				want = append(slices.Clone(want), "stop", "stopped")
			}
			assert.Equal(t, want, done(t))
			if step != "status-set" {
				assert.Empty(t, after().Status, "never a status and an error")
			}
		})
	}
}

func TestApplyTellsWhatTheClusterRefused(t *testing.T) {
	refused := &vpnk8slib.ForbiddenError{Object: "NetworkPolicy qbittorrent-vpn-killswitch", App: "qbittorrent", Err: errors.New("forbidden")}
	silent := &url.Error{Op: "Get", URL: "https://10.0.0.1", Err: errors.New("connection refused")}
	tests := []struct {
		summary, step string
		how           error
		words         []string
		steps         []string
	}{
		{"no trust, before anything is laid", "apply-policy", refused, []string{"juju trust qbittorrent --scope=cluster", "NetworkPolicy qbittorrent-vpn-killswitch"},
			[]string{"apply-policy", "stop", "stopped", "status-set"}},
		{"no trust, after it", "delete-old-policy", refused, []string{"juju trust qbittorrent --scope=cluster"},
			append(slices.Clone(order[:10]), "status-set")},
		{"an API server that does not answer", "apply-policy", silent, []string{"kubectl -n downloads delete networkpolicy qbittorrent-vpn-killswitch"},
			[]string{"apply-policy", "stop", "stopped", "status-set"}},
	}
	for _, test := range tests {
		t.Run(test.summary, func(t *testing.T) {
			after := juju(t, world(), "config-changed")
			r := &recorder{active: []string{"old"}, fail: test.step, how: test.how}
			require.NoError(t, Apply(t.Context(), r.env(), Unit{App: "qbittorrent", Model: "downloads", Leader: true}, everything()))
			assert.Equal(t, test.steps, done(t))
			status := after().Status
			require.Len(t, status, 2)
			assert.Equal(t, "blocked", status[0])
			for _, words := range test.words {
				assert.Contains(t, status[1], words)
			}
		})
	}
}

// A Pebble that does not answer is not an API server that does not answer.
func TestApplyTellsPebbleFromTheCluster(t *testing.T) {
	after := juju(t, world(), "config-changed")
	r := &recorder{active: []string{"old"}, fail: "stop", how: client.ConnectionError{}}
	require.Error(t, Apply(t.Context(), r.env(), Unit{App: "qbittorrent", Leader: true}, everything()))
	assert.Empty(t, after().Status)
}

func TestApplyOfAUnitThatDoesNotLead(t *testing.T) {
	w := world()
	w.Leader = false
	juju(t, w, "config-changed")
	r := &recorder{active: []string{"old"}}
	require.NoError(t, Apply(t.Context(), r.env(), Unit{App: "qbittorrent"}, everything()))
	assert.Equal(t, []string{"stop", "stopped", "mkdir", "push", "layer", "replan", "started", "opened-ports", "open-port", "status-set"}, done(t))
}

func TestApplyOfAUnitThatLeaves(t *testing.T) {
	for _, event := range []string{"stop", "remove"} {
		t.Run(event, func(t *testing.T) {
			after := juju(t, world(), event)
			r := &recorder{active: []string{"old"}}
			require.NoError(t, Apply(t.Context(), r.env(), Unit{App: "qbittorrent", Event: event, Leader: true}, everything()))
			assert.Equal(t, []string{"stop", "stopped", "status-set"}, done(t), "nothing is built up, nothing is taken away")
			assert.Equal(t, []string{"maintenance", "stopping"}, after().Status)
		})
	}
}

func TestApplyLeavesAlone(t *testing.T) {
	juju(t, world(), "config-changed")
	r := &recorder{active: []string{"old"}}
	d := Desired{Workloads: []Workload{{Container: "old", Mode: AsIs}}, Status: Waiting("for the gateway")}
	require.NoError(t, Apply(t.Context(), r.env(), Unit{Leader: true}, d))
	assert.Equal(t, []string{"status-set"}, done(t), "no port, no file, no service")
	assert.Equal(t, []string{"old"}, r.active)
}

// What one steady hook of a consumer costs in processes: at most 8, and 2 per related application (design.md 5a).
func TestSteadyHookKeepsTheBudget(t *testing.T) {
	w := world()
	w.Config = map[string]any{"pod-gateway-image": "a/b:c"}
	after := juju(t, w, "update-status")
	d := everything()
	d.Workloads, d.Secrets = []Workload{{Container: "old", Mode: Stopped}}, nil
	once := func() []string {
		before := len(after().Calls)
		u, err := ReadUnit()
		require.NoError(t, err)
		_, err = Config[VPNOptions]()
		require.NoError(t, err)
		_, err = Relations(VPNEndpoint)
		require.NoError(t, err)
		r := &recorder{}
		require.NoError(t, Apply(t.Context(), r.env(), u, d))
		return after().Calls[before:]
	}
	once()
	calls := once()
	assert.LessOrEqual(t, len(calls), 8+2*len(w.Relations), "%v", calls)
	assert.NotContains(t, calls, "juju-log", "a hook that changes nothing says nothing")
}
