package hook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/canonical/pebble/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"github.com/charmarr/charmarr-go/vpnk8slib"
)

// recorder is a cluster and a Pebble that write down what was asked of them, and fail where they are told to.
type recorder struct {
	level     error // why no pod would be made of a template
	there     bool  // it is there already
	Pebble          // everything that is not asked here would be a nil call
	container string
	active    map[string][]string // services, by container
	fail      map[int]error       // by the step's number
	inChange  bool                // a wait that fails has its answer; the change in it failed
}

func (r *recorder) did(what string) error { return r.fail[trace(what)] }

func (r *recorder) Apply(_ context.Context, manager string, _ *vpnk8slib.Object) error {
	return r.did("apply-" + manager)
}
func (r *recorder) Admits(context.Context, string, *vpnk8slib.Object) (bool, error) {
	return r.there, r.level
}
func (r *recorder) Delete(_ context.Context, ref vpnk8slib.Ref) error {
	return r.did("delete-" + ref.Name)
}
func (r *recorder) PlanBytes(*client.PlanOptions) ([]byte, error) { return nil, r.did("plan") }
func (r *recorder) AddLayer(*client.AddLayerOptions) error        { return r.did("layer") }
func (r *recorder) Replan(*client.ServiceOptions) (string, error) { return "started", r.did("replan") }
func (r *recorder) Changes(*client.ChangesOptions) ([]*client.Change, error) {
	return nil, r.did("changes")
}
func (r *recorder) Notify(*client.NotifyOptions) (string, error) { return "1", r.did("notify") }
func (r *recorder) Push(o *client.PushOptions) error             { return r.did("push-" + o.Path) }
func (r *recorder) MakeDir(o *client.MakeDirOptions) error       { return r.did("mkdir-" + o.Path) }
func (r *recorder) Stop(*client.ServiceOptions) (string, error)  { return "stopped", r.did("stop") }

// ListFiles finds one file, with a content that nobody wants.
func (r *recorder) ListFiles(o *client.ListFilesOptions) ([]*client.FileInfo, error) {
	if err := r.did("look-" + o.Path); err != nil {
		return nil, err
	}
	if o.Path == "/config/there" {
		return []*client.FileInfo{{}}, nil
	}
	return nil, &client.Error{Kind: "not-found"}
}
func (r *recorder) Pull(o *client.PullOptions) error {
	if err := r.did("pull-" + o.Path); err != nil {
		return err
	}
	_, err := io.WriteString(o.Target, "old")
	return err
}

// WaitChange is a step of its own, called as the change is called here.
func (r *recorder) WaitChange(change string, _ *client.WaitChangeOptions) (*client.Change, error) {
	err := r.did(change)
	if err != nil && r.inChange {
		return &client.Change{Err: err.Error()}, nil
	}
	if err == nil && change == "stopped" {
		delete(r.active, r.container)
	}
	return &client.Change{}, err
}
func (r *recorder) Services(*client.ServicesOptions) (infos []*client.ServiceInfo, _ error) {
	for _, name := range r.active[r.container] {
		infos = append(infos, &client.ServiceInfo{Name: name, Current: client.StatusActive})
	}
	return infos, r.did("services")
}

func (r *recorder) env() Env {
	return Env{Cluster: r, Pebble: func(container string) (Pebble, error) {
		r.container = container
		return r, r.did("pebble-" + container)
	}}
}

// busy is a recorder with something running in both containers of everything.
func busy(fail map[int]error) *recorder {
	return &recorder{active: map[string][]string{"old": {"old"}, "new": {"new"}}, fail: fail}
}

// everything is a hook in which each kind of step is made: one workload stops, another starts on other files.
func everything() Desired {
	return Desired{
		Protect: vpnk8slib.Plan{
			{Manager: "policy", Apply: &vpnk8slib.Object{}},
			{Manager: "template", Apply: &vpnk8slib.Object{Kind: "StatefulSet", Spec: struct{}{}}},
			{Manager: "state", Apply: &vpnk8slib.Object{}},
		},
		Workloads: []Workload{
			{
				Container: "new", Mode: Running,
				Dirs:  []Dir{{Path: "/config"}},
				Files: []File{{Path: "/config/new", Content: "b", Mode: 0o600}, {Path: "/config/there", Content: "c"}},
				Layer: Layer{Services: map[string]Service{"new": {Override: "replace", Command: "sleep 1", Startup: "enabled"}}},
			},
			{Container: "old", Mode: Stopped, Layer: Layer{Checks: map[string]Check{OverlayCheck: Overlay("true")}}},
		},
		Release: vpnk8slib.Plan{{Delete: vpnk8slib.Ref{Kind: "NetworkPolicy", Name: "old-policy", Namespace: "downloads"}}},
		Publish: map[string]map[string]string{"vpn-gateway": {"config": "{}"}},
		Units:   map[string]map[string]string{"vpn-gateway:1": {"address": "10.42.0.7"}},
		Secrets: []SecretWant{{Label: "api-key", Content: map[string]string{"key": "value"}, Again: "new"}, {Label: "token", Content: map[string]string{"key": "new"}}},
		Ports:   []int{8080},
		Again:   "new",
		Status:  Active("ready"),
	}
}

func world() model {
	return model{
		Leader: true, Relations: map[string]*relation{"vpn-gateway:1": {App: "gluetun"}}, Ports: []string{"9090/tcp"},
		Secrets: map[string]*secret{"secret:1": {Label: "token", Content: map[string]string{"key": "old"}}},
	}
}

// The order of a hook, with what is read in between. Waiting for the end of a stop is a step: what follows relies on it.
var (
	protecting = []string{"apply-policy", "apply-state"}
	stopping   = []string{"pebble-old", "services", "stop", "stopped", "plan", "layer"}
	starting   = []string{
		"pebble-new", "look-/config", "mkdir-/config",
		"look-/config/new", "look-/config/there", "pull-/config/there", "services", "stop", "stopped", "push-/config/new", "push-/config/there", "services",
		"plan", "layer", "services", "replan", "started",
	}
	releasing = []string{"pebble-old", "changes", "delete-old-policy"}
	telling   = []string{
		"secret-get", "secret-add", "secret-get", "secret-info-get", "secret-set",
		"relation-ids", "relation-set", "relation-set",
		"opened-ports", "open-port", "close-port",
		"pebble-new", "notify",
		"status-set",
	}
	rolling = []string{"apply-template"}
	order   = slices.Concat(protecting, stopping, starting, releasing, telling, rolling)
)

// number is a step's, where every step before it is made.
func number(step string) int { return slices.Index(order, step) + 1 }

var errBroken = errors.New("broken on purpose")

func TestApplyInOrder(t *testing.T) {
	after := juju(t, world(), "config-changed")
	require.NoError(t, Apply(t.Context(), busy(nil).env(), Unit{App: "qbittorrent", Leader: true}, everything()))
	assert.Equal(t, order, done())
	m := after()
	assert.Equal(t, []string{"active", "ready"}, m.Status)
	assert.Equal(t, map[string]string{"config": "{}"}, m.Relations["vpn-gateway:1"].Local)
	assert.Equal(t, map[string]string{"key": "new"}, m.Secrets["secret:1"].Content)
	assert.Equal(t, map[string]string{"key": "value"}, m.Secrets["secret:2"].Content)
	assert.Equal(t, []string{"8080/tcp"}, m.Ports)
}

// Every step fails once. No later step is made then, but that workloads which are to stop are stopped.
func TestApplyStopsWhereItFails(t *testing.T) {
	toolsInside(t)
	for i, step := range order {
		for _, inChange := range []bool{false, true} {
			if inChange && step != "started" && step != "stopped" {
				continue
			}
			t.Run(fmt.Sprintf("%d %s, in its change %t", i+1, step, inChange), func(t *testing.T) {
				w := world()
				w.FailAt = i + 1
				after := juju(t, w, "config-changed")
				r := busy(map[int]error{i + 1: errBroken})
				r.inChange = inChange
				err := Apply(t.Context(), r.env(), Unit{App: "qbittorrent", Leader: true}, everything())
				assert.ErrorContains(t, err, "broken on purpose")
				want := slices.Clone(order[:i+1])
				if slices.Contains(protecting, step) {
					want = append(want, stopping...)
				}
				assert.Equal(t, want, done())
				if step != "apply-template" { // which comes when all is told
					assert.Empty(t, after().Status, "never a status and an error")
				}
			})
		}
	}
}

// The protection fails, and then so does the stop: Juju hears of both, and no status hides that something may run
// unprotected.
func TestApplyTellsBothFailures(t *testing.T) {
	toolsInside(t)
	refused := &vpnk8slib.ForbiddenError{Object: "NetworkPolicy", App: "qbittorrent", Err: errors.New("forbidden")}
	for i, step := range stopping {
		t.Run(step, func(t *testing.T) {
			after := juju(t, world(), "config-changed")
			err := Apply(t.Context(), busy(map[int]error{1: refused, 2 + i: errBroken}).env(), Unit{App: "qbittorrent", Leader: true}, everything())
			assert.ErrorIs(t, err, refused)
			assert.ErrorIs(t, err, errBroken)
			assert.Equal(t, slices.Concat(protecting[:1], stopping[:i+1]), done())
			assert.Empty(t, after().Status)
		})
	}
}

// One workload that does not stop keeps no other from it.
func TestApplyStopsAllThatIsToStop(t *testing.T) {
	after := juju(t, world(), "config-changed")
	d := everything()
	d.Workloads = []Workload{{Container: "old", Mode: Stopped}, {Container: "new", Mode: Stopped}}
	r := busy(map[int]error{number("stop"): errBroken})
	assert.ErrorContains(t, Apply(t.Context(), r.env(), Unit{App: "qbittorrent", Leader: true}, d), "cannot set up container old: broken on purpose")
	assert.Equal(t, slices.Concat(protecting, []string{"pebble-old", "services", "stop", "pebble-new", "services", "stop", "stopped"}), done())
	assert.Empty(t, after().Status)
}

// Nothing runs under a Pebble that is not there, and nothing can be started.
func TestApplyWithoutPebble(t *testing.T) {
	down := fmt.Errorf("cannot reach it: %w", errDown)
	t.Run("of what is to stop", func(t *testing.T) {
		juju(t, world(), "config-changed")
		require.NoError(t, Apply(t.Context(), busy(map[int]error{number("pebble-old"): down}).env(), Unit{App: "qbittorrent", Leader: true}, everything()))
		assert.Equal(t, slices.Concat(protecting, stopping[:1], starting, releasing, telling, rolling), done())
	})
	t.Run("of what is to run", func(t *testing.T) {
		after := juju(t, world(), "config-changed")
		err := Apply(t.Context(), busy(map[int]error{number("pebble-new"): down}).env(), Unit{App: "qbittorrent", Leader: true}, everything())
		assert.ErrorContains(t, err, "cannot set up container new")
		assert.ErrorIs(t, err, errDown)
		assert.Equal(t, slices.Concat(protecting, stopping, starting[:1]), done())
		assert.Empty(t, after().Status)
	})
}

// A template that is there is not read a second time.
func TestApplyLeavesATemplateThatIsThere(t *testing.T) {
	juju(t, world(), "config-changed")
	r := busy(nil)
	r.there = true
	require.NoError(t, Apply(t.Context(), r.env(), Unit{App: "qbittorrent", Leader: true}, everything()))
	assert.Equal(t, slices.Concat(protecting, stopping, starting, releasing, telling), done())
}

// A namespace that would not take the pod again is asked before anything: policies are laid, what is to stop stops, and nothing else that
// belongs to another pod is written or told.
func TestApplyAsksTheNamespaceFirst(t *testing.T) {
	after := juju(t, world(), "config-changed")
	r := busy(nil)
	r.level = &vpnk8slib.AdmissionError{Namespace: "downloads", Says: `violates PodSecurity "baseline:latest": privileged`, Err: errors.New("forbidden")}
	d := everything()
	d.Protect = append(vpnk8slib.Plan{{Manager: "killswitch", Apply: &vpnk8slib.Object{Kind: "NetworkPolicy"}}}, d.Protect...)
	require.NoError(t, Apply(t.Context(), r.env(), Unit{App: "qbittorrent", Model: "downloads", Leader: true}, d))
	assert.Equal(t, slices.Concat([]string{"apply-killswitch"}, stopping, []string{"opened-ports", "open-port", "close-port", "pebble-new", "notify", "status-set"}), done())
	m := after()
	assert.Equal(t, []string{"blocked", `cannot patch the pod: namespace downloads violates PodSecurity "baseline:latest": privileged; run: ` +
		"kubectl label --overwrite namespace downloads pod-security.kubernetes.io/enforce=privileged"}, m.Status)
	assert.Empty(t, m.Relations["vpn-gateway:1"].Local)
}

func TestApplyTellsWhatTheClusterRefused(t *testing.T) {
	refused := &vpnk8slib.ForbiddenError{Object: "NetworkPolicy qbittorrent-vpn-killswitch", App: "qbittorrent", Err: errors.New("forbidden")}
	silent := &url.Error{Op: "Get", URL: "https://10.0.0.1", Err: errors.New("connection refused")}
	first := slices.Concat(protecting[:1], stopping, []string{"status-set"})
	tests := []struct {
		summary, step string
		how           error
		words         []string
		steps         []string
	}{
		{"no trust, before anything is laid", "apply-policy", refused, []string{"juju trust qbittorrent --scope=cluster", "NetworkPolicy qbittorrent-vpn-killswitch"}, first},
		{"no trust, after it", "delete-old-policy", refused, []string{"juju trust qbittorrent --scope=cluster"},
			slices.Concat(protecting, stopping, starting, releasing, []string{"status-set"})},
		{"an API server that does not answer", "apply-policy", silent, []string{"kubectl -n downloads delete networkpolicy qbittorrent-vpn-killswitch"},
			slices.Concat(protecting[:1], stopping, []string{"status-set", "pebble-new", "plan", "layer"})}, // nobody tells of its coming back
	}
	for _, test := range tests {
		t.Run(test.summary, func(t *testing.T) {
			after := juju(t, world(), "config-changed")
			r := busy(map[int]error{number(test.step): test.how})
			require.NoError(t, Apply(t.Context(), r.env(), Unit{App: "qbittorrent", Model: "downloads", Leader: true}, everything()))
			assert.Equal(t, test.steps, done())
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
	r := busy(map[int]error{number("stop"): client.ConnectionError{}})
	require.Error(t, Apply(t.Context(), r.env(), Unit{App: "qbittorrent", Leader: true}, everything()))
	assert.Empty(t, after().Status)
}

func TestApplyOfAUnitThatDoesNotLead(t *testing.T) {
	w := world()
	w.Leader = false
	juju(t, w, "config-changed")
	require.NoError(t, Apply(t.Context(), busy(nil).env(), Unit{App: "qbittorrent"}, everything()))
	assert.Equal(t, slices.Concat(stopping, starting, []string{"relation-set", "opened-ports", "open-port", "close-port", "pebble-new", "notify", "status-set"}), done())
}

func TestApplyOfAUnitThatLeaves(t *testing.T) {
	for _, event := range []string{"stop", "remove"} {
		t.Run(event, func(t *testing.T) {
			after := juju(t, world(), event)
			require.NoError(t, Apply(t.Context(), busy(nil).env(), Unit{App: "qbittorrent", Event: event, Leader: true}, everything()))
			assert.Equal(t, []string{"pebble-new", "services", "stop", "stopped", "pebble-old", "services", "stop", "stopped", "status-set"}, done(), "nothing is built up, nothing is taken away")
			assert.Equal(t, []string{"maintenance", "stopping"}, after().Status)
		})
	}
}

func TestApplyLeavesAlone(t *testing.T) {
	juju(t, world(), "config-changed")
	r := busy(nil)
	d := Desired{Workloads: []Workload{{Container: "old", Mode: AsIs}}, Status: Waiting("for the gateway")}
	require.NoError(t, Apply(t.Context(), r.env(), Unit{Leader: true}, d))
	assert.Equal(t, []string{"status-set"}, done(), "no port, no file, no service")
	assert.Equal(t, []string{"old"}, r.active["old"])
}

// What one steady hook of a consumer costs in processes: at most 8, and 2 per related application (design.md 5a).
func TestSteadyHookKeepsTheBudget(t *testing.T) {
	w := world()
	w.Config = map[string]any{"pod-gateway-image": "a/b:c", "vpn-agent-image": "a/c:d"}
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

// A check brings hooks, for as long as one asks for it, and is laid to rest once.
func TestApplySoon(t *testing.T) {
	pod := t.TempDir()
	once := func(s Soon) (period string, steps []string) {
		t.Helper()
		juju(t, world(), "config-changed")
		t.Setenv("JUJU_CHARM_DIR", pod)
		r := &layers{recorder: busy(nil)}
		env := r.env()
		env.Pebble = func(string) (Pebble, error) { return r, nil }
		require.NoError(t, Apply(t.Context(), env, Unit{App: "qbittorrent", Leader: true}, Desired{Soon: s, Status: Waiting("for an image")}))
		if r.added != nil {
			var l Layer
			require.NoError(t, yaml.Unmarshal(r.added.LayerData, &l))
			assert.Equal(t, "/charm/bin/pebble notify vpn.charmarr.io/again", l.Checks["soon"].Exec.Command)
			period = l.Checks["soon"].Period
		}
		return period, done()
	}
	_, steps := once(Soon{})
	assert.Equal(t, []string{"status-set"}, steps, "nobody has asked")
	period, steps := once(Soon{"new", "image"})
	assert.Equal(t, "3s", period)
	assert.Equal(t, []string{"plan", "status-set"}, steps)
	long := time.Now().Add(-patience)
	require.NoError(t, os.Chtimes(filepath.Join(pod, soonFile), long, long))
	period, _ = once(Soon{"new", "image"})
	assert.Equal(t, "30s", period, "it may never come")
	period, _ = once(Soon{"new", "grant"})
	assert.Equal(t, "3s", period, "another wait")
	period, _ = once(Soon{})
	assert.Equal(t, "24h", period)
	_, steps = once(Soon{})
	assert.Equal(t, []string{"status-set"}, steps, "and nothing is asked any more")
}

// layers keeps the layer that was added.
type layers struct {
	*recorder
	added *client.AddLayerOptions
}

func (l *layers) AddLayer(o *client.AddLayerOptions) error {
	l.added = o
	return nil
}
