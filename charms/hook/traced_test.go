package hook

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"

	"github.com/charmarr/charmarr-go/charms/hook/tracing"
	"github.com/charmarr/charmarr-go/charms/relations"
	"github.com/charmarr/charmarr-go/vpnk8slib"
)

// takes is somebody who takes traces: what it was sent, and where. To be asked is a step of the test.
func takes(t *testing.T, code int) (sent *string, to tracing.Receiver) {
	t.Helper()
	sent = new(string)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		*sent = string(body)
		trace("traced")
		w.WriteHeader(code)
	}))
	t.Cleanup(s.Close)
	return sent, tracing.Receiver{URL: s.URL + "/v1/traces", Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Charm: "qbittorrent-k8s"}
}

// Whoever takes traces is told last of all; but before the pod's template, with which this pod goes.
func TestTraceIsSentLast(t *testing.T) {
	u := Unit{App: "qbittorrent", Leader: true, Event: "config-changed"}
	for _, there := range []bool{false, true} {
		after := juju(t, world(), u.Event)
		d := everything()
		sent, to := takes(t, 200)
		d.Trace = to
		r := busy(nil)
		r.there = there
		require.NoError(t, Apply(tracing.Begin(t.Context()), r.env(), u, d))
		want := slices.Concat(protecting, stopping, starting, releasing, telling, []string{"traced"})
		if !there {
			want = append(want, rolling...)
		}
		assert.Equal(t, want, done())
		assert.NotContains(t, strings.Join(after().Log, "\n"), "trace", "nothing is said of it")
		for _, said := range []string{"qbittorrent-k8s config-changed", `"result","value":{"stringValue":"done"}`, `"status","value":{"stringValue":"active"}`, `"name":"protect"`, `"name":"run"`, `"name":"tell"`} {
			assert.Contains(t, *sent, said)
		}
	}
}

// A hook that fails is told of too, and one that ends well ends well whatever becomes of its trace.
func TestTraceOfAFailure(t *testing.T) {
	u := Unit{App: "qbittorrent", Leader: true, Event: "config-changed"}
	juju(t, world(), u.Event)
	d := everything()
	sent, to := takes(t, 200)
	d.Trace = to
	assert.ErrorIs(t, Apply(tracing.Begin(t.Context()), busy(map[int]error{number("delete-old-policy"): errBroken}).env(), u, d), errBroken)
	assert.Contains(t, *sent, `"result","value":{"stringValue":"failed"}`)
	assert.NotContains(t, *sent, "broken on purpose")

	sent, to = takes(t, 200)
	_, err := Observe(tracing.Begin(t.Context()), Env{}, func(context.Context, Env) (int, error) { return 7, errBroken },
		func(seen int) (Unit, tracing.Receiver) { assert.Equal(t, 7, seen); return u, to })
	assert.ErrorIs(t, err, errBroken)
	assert.Contains(t, *sent, `"name":"observe"`)

	after := juju(t, world(), u.Event)
	d = everything()
	_, d.Trace = takes(t, 503)
	require.NoError(t, Apply(tracing.Begin(t.Context()), busy(nil).env(), u, d))
	assert.Contains(t, done(), "traced")
	assert.Contains(t, after().Log, "--log-level=DEBUG cannot send the trace of this hook: the answer is 503")

	after = juju(t, world(), "stop")
	u.Event = "stop"
	_, d.Trace = takes(t, 200)
	require.NoError(t, Apply(tracing.Begin(t.Context()), busy(nil).env(), u, d))
	assert.NotContains(t, done(), "traced", "a pod that ends waits for nobody")
	assert.NotEmpty(t, after().Status)
}

// Somebody takes connections and never answers: the hook ends well, in time, with its status, and the log says what became of the trace.
func TestHookEndsWithoutAnAnswer(t *testing.T) {
	toolsInside(t)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer silent.Close()
	u := Unit{App: "qbittorrent", Leader: true, Event: "config-changed"}
	after := juju(t, world(), u.Event)
	d := everything()
	d.Trace = tracing.Receiver{URL: "http://" + silent.Addr().String() + "/v1/traces", Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	began := time.Now()
	require.NoError(t, Apply(tracing.Begin(t.Context()), busy(nil).env(), u, d))
	took := time.Since(began)
	assert.GreaterOrEqual(t, took, tracing.Limit)
	assert.Less(t, took, 4*tracing.Limit)
	assert.Equal(t, order, done(), "what comes after is done all the same")
	assert.Equal(t, []string{"active", "ready"}, after().Status)
	assert.Contains(t, after().Log, "--log-level=DEBUG cannot send the trace of this hook: context deadline exceeded")
}

// Where nobody takes traces, a hook asks once in a pod, and later none; where somebody does, its address is read in each.
func TestSeeTracing(t *testing.T) {
	after := juju(t, model{Relations: map[string]*relation{"db:1": {App: "postgres"}}}, "start")
	see := func() []vpnk8slib.Relation {
		t.Helper()
		seen, err := SeeTracing()
		require.NoError(t, err)
		return seen
	}
	assert.Empty(t, see())
	assert.Empty(t, see())
	assert.Equal(t, []string{"relation-ids"}, after().Calls)

	said := map[string]string{"receivers": `[{"protocol":{"name":"otlp_http","type":"http"},"url":"http://tempo:4318"}]`}
	after = juju(t, model{Relations: map[string]*relation{"charm-tracing:3": {App: "tempo", Remote: said}}}, "charm-tracing-relation-changed")
	assert.Equal(t, []vpnk8slib.Relation{{ID: "charm-tracing:3", App: "tempo", Remote: said}}, see())
	t.Setenv("JUJU_HOOK_NAME", "update-status")
	assert.Len(t, see(), 1)
	assert.Equal(t, []string{"relation-ids", "relation-list", "relation-get", "relation-get"}, after().Calls)
	t.Setenv("JUJU_HOOK_NAME", "charm-tracing-relation-broken")
	t.Setenv("JUJU_RELATION_ID", "charm-tracing:3")
	assert.Empty(t, see(), "who is being taken away is told nothing")
}

// Traces go to whoever is related, in this cluster and nowhere else.
func TestTraceTo(t *testing.T) {
	n := vpnk8slib.Network{Services: vpnk8slib.CIDRs{netip.MustParsePrefix("10.43.0.0/16")}, Pods: vpnk8slib.CIDRs{netip.MustParsePrefix("10.42.0.0/16")}, Domain: "cluster.local"}
	topology := relations.Topology{Model: "downloads", ModelUUID: "f81d4fae-7dec-11d0-a765-00a0c91e6bf6", App: "gluetun", Unit: "gluetun/2", Charm: "gluetun-k8s"}
	related := func(receivers string) []vpnk8slib.Relation {
		return []vpnk8slib.Relation{{ID: "charm-tracing:3", App: "tempo", Remote: map[string]string{"receivers": receivers}}}
	}
	at := func(url string) []vpnk8slib.Relation {
		return related(`[{"protocol": {"name": "otlp_http", "type": "http"}, "url": "` + url + `"}]`)
	}
	tests := []struct {
		summary   string
		taken     []vpnk8slib.Relation
		network   vpnk8slib.Network
		url, note string
	}{
		{"nobody is related", nil, n, "", ""},
		{"it says nothing yet", related(""), n, "", ""},
		{"a Service's name", at("http://tempo.cos.svc.cluster.local:4318"), n, "http://tempo.cos.svc.cluster.local:4318/v1/traces", ""},
		{"a Service's address", at("http://10.43.7.7:4318"), n, "http://10.43.7.7:4318/v1/traces", ""},
		{"a pod's, with TLS", at("https://10.42.0.9:4318"), n, "https://10.42.0.9:4318/v1/traces", ""},
		{"in the internet", at("http://203.0.113.9:4318"), n, "", "no traces are sent to tempo: it is not in this cluster"},
		{"in the local network", at("http://192.168.1.9:4318"), n, "", "no traces are sent to tempo: it is not in this cluster"},
		{"a name of the internet's", at("https://otlp.example.com"), n, "", "no traces are sent to tempo: it is not in this cluster"},
		{"on this pod's loopback", at("http://127.0.0.1:4318"), n, "", "no traces are sent to tempo: it is not in this cluster"},
		{"rubbish", related("3"), n, "", "no traces are sent to tempo: receivers must be an array of objects with a protocol and a url: json: cannot unmarshal number into Go value of type []struct { Protocol struct { Name string }; URL string }"},
		{"while it is not known what is in the cluster", at("http://10.43.7.7:4318"), vpnk8slib.Network{}, "", ""},
	}
	for _, test := range tests {
		t.Run(test.summary, func(t *testing.T) {
			d := Desired{Publish: map[string]map[string]string{}}
			assert.Equal(t, test.note, Trace(test.taken, test.network, topology, &d))
			assert.Equal(t, test.url, d.Trace.URL)
			if test.url != "" {
				assert.Equal(t, n.Cluster(), vpnk8slib.CIDRs(d.Trace.Networks))
				assert.Equal(t, map[string]string{
					"service.name": "gluetun", "service.instance.id": "2", "service.namespace": topology.ModelUUID, "juju_unit": "gluetun/2",
					"juju_application": "gluetun", "juju_model": "downloads", "juju_model_uuid": topology.ModelUUID, "juju_charm": "gluetun-k8s",
				}, d.Trace.Labels)
			}
			want := map[string]map[string]string{}
			if test.taken != nil {
				want["charm-tracing:3"] = map[string]string{"receivers": `["otlp_http"]`}
			}
			assert.Equal(t, want, d.Publish, "it is asked whatever it says")
		})
	}
}

// A consumer's hooks are told of as a gateway's are; where they cannot be, its status says so whatever else it says.
func TestTracesOfAConsumer(t *testing.T) {
	o := Consumer[VPNOptions]{Unit: Unit{Name: "qbittorrent/0", App: "qbittorrent", Model: "downloads", Leader: true}}
	o.VPN.View.Network = vpnk8slib.Network{Pods: vpnk8slib.CIDRs{netip.MustParsePrefix("10.42.0.0/16")}, Domain: "cluster.local"}
	at := func(url string) {
		o.Traces = []vpnk8slib.Relation{{ID: "charm-tracing:3", App: "tempo", Remote: map[string]string{"receivers": `[{"protocol": {"name": "otlp_http"}, "url": "` + url + `"}]`}}}
	}
	decided := func() Desired {
		return o.decide("qbittorrent-k8s", func(o Consumer[VPNOptions]) Desired {
			return o.VPN.Desired(o.Unit, Workload{Container: "app"}, true)
		})
	}
	plain := decided()
	assert.Empty(t, plain.Trace, "nobody takes any")
	at("http://10.42.0.9:4318")
	d := decided()
	assert.Equal(t, "http://10.42.0.9:4318/v1/traces", d.Trace.URL)
	assert.Equal(t, "qbittorrent-k8s", d.Trace.Charm)
	assert.Equal(t, "qbittorrent/0", d.Trace.Labels["juju_unit"])
	assert.Contains(t, d.Publish, "charm-tracing:3")
	assert.Contains(t, d.Publish, VPNEndpoint)
	assert.Equal(t, plain.Status, d.Status)
	at("http://203.0.113.9:4318")
	assert.Equal(t, plain.Status.With("no traces are sent to tempo: it is not in this cluster"), decided().Status)
	assert.Empty(t, decided().Trace)
	o.VPN.ViewErr = context.DeadlineExceeded
	assert.NotContains(t, decided().Status.Message, "traces", "it is not known now where the cluster ends")
}

// Requests to the API server are steps of the hook in which they are made.
func TestRequestsAreTraced(t *testing.T) {
	juju(t, model{}, "update-status")
	api := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(api.Close)
	env, err := reach(&rest.Config{Host: api.URL})
	require.NoError(t, err)
	sent, to := takes(t, 200)
	require.NoError(t, dispatch(t.Context(), func(ctx context.Context) error {
		_, err := Observe(ctx, env, func(ctx context.Context, env Env) (struct{}, error) {
			err := env.Reader.Get(ctx, vpnk8slib.Ref{Kind: "ConfigMap", Name: "gluetun-vpn-gateway", Namespace: "downloads"}, &struct{}{})
			assert.True(t, apierrors.IsNotFound(err), "%v", err)
			return struct{}{}, nil
		}, nil)
		require.NoError(t, err)
		return Apply(ctx, env, Unit{App: "gluetun", Event: "update-status"}, Desired{Status: Active(""), Trace: to})
	}, nil))
	for _, step := range []string{"qbittorrent-k8s update-status", "observe", "GET configmaps", "apply", "tell"} {
		assert.Contains(t, *sent, `"name":"`+step+`"`)
	}
	assert.NotContains(t, *sent, "gluetun-vpn-gateway")
}
