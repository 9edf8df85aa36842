package tracing

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/charms/relations"
)

// collector takes traces, as OpenTelemetry's does, and keeps the last one.
type collector struct {
	URL   string
	asked atomic.Int32
	body  string
}

func collect(t *testing.T, answer http.HandlerFunc) *collector {
	t.Helper()
	c := &collector{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.asked.Add(1)
		assert.Equal(t, http.MethodPost, r.Method)
		assert.Equal(t, "/v1/traces", r.URL.Path)
		assert.Equal(t, "application/json", r.Header.Get("Content-Type"))
		body, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		c.body = string(body)
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	c.URL = s.URL + "/v1/traces"
	return c
}

func taken(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{}") }

var cluster = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

func to(url string) Receiver {
	return Receiver{URL: url, Networks: cluster, Charm: "gluetun-k8s", Labels: map[string]string{"service.name": "gluetun", "juju_unit": "gluetun/0"}}
}

// What somebody sees who looks at a hook: who had it, what it did in which order and how long, and what of it failed.
func TestSend(t *testing.T) {
	c := collect(t, taken)
	before := time.Now()
	ctx := Begin(t.Context())
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "statefulsets") {
			http.Error(w, "the key private-key=AAAA is not valid", http.StatusUnprocessableEntity)
			return
		}
		http.NotFound(w, r)
	}))
	defer api.Close()
	client := http.Client{Transport: Requests(http.DefaultTransport)}
	ask := func(ctx context.Context, method, path string) {
		req, err := http.NewRequestWithContext(ctx, method, api.URL+path, nil)
		require.NoError(t, err)
		resp, err := client.Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
	}
	require.NoError(t, Step(ctx, "observe", func(ctx context.Context) error {
		ask(ctx, "GET", "/api/v1/namespaces/downloads/configmaps/gluetun-vpn-gateway")
		return nil
	}))
	failed := Step(ctx, "apply", func(ctx context.Context) error {
		return Step(ctx, "protect", func(ctx context.Context) error {
			ask(ctx, "PATCH", "/apis/apps/v1/namespaces/downloads/statefulsets/gluetun?fieldManager=x")
			return errors.New("cannot apply StatefulSet gluetun: the key private-key=AAAA is not valid")
		})
	})
	require.Error(t, failed, "a step hands on what comes of it")
	require.NoError(t, Send(ctx, to(c.URL), Outcome{Hook: "config-changed", Failed: true, Status: "blocked"}))
	after := time.Now()

	var got struct {
		ResourceSpans []struct {
			Resource   struct{ Attributes []any }
			ScopeSpans []struct {
				Scope struct{ Name string }
				Spans []struct {
					TraceID, SpanID, ParentSpanID, Name string
					Kind                                int
					StartTimeUnixNano, EndTimeUnixNano  string
					Attributes                          []any
					Status                              map[string]any
				}
			}
		}
	}
	d := json.NewDecoder(strings.NewReader(c.body))
	d.DisallowUnknownFields()
	require.NoError(t, d.Decode(&got), c.body)
	require.Len(t, got.ResourceSpans, 1)
	attribute := func(key, kind string, value any) any {
		return map[string]any{"key": key, "value": map[string]any{kind: value}}
	}
	assert.Equal(t, []any{attribute("juju_unit", "stringValue", "gluetun/0"), attribute("service.name", "stringValue", "gluetun")}, got.ResourceSpans[0].Resource.Attributes)
	require.Len(t, got.ResourceSpans[0].ScopeSpans, 1)
	spans := got.ResourceSpans[0].ScopeSpans[0].Spans
	require.Len(t, spans, 6)
	failure := map[string]any{"code": 2.0}
	code := func(n string) []any { return []any{attribute("http.response.status_code", "intValue", n)} }
	for i, want := range []struct {
		name       string
		parent     int
		kind       int
		attributes []any
		status     map[string]any
	}{
		{"gluetun-k8s config-changed", -1, 1, []any{
			attribute("hook", "stringValue", "config-changed"), attribute("result", "stringValue", "failed"),
			attribute("steps_left_out", "intValue", "0"), attribute("status", "stringValue", "blocked"),
		}, failure},
		{"observe", 0, 1, nil, map[string]any{}},
		{"GET configmaps", 1, 3, code("404"), map[string]any{}},
		{"apply", 0, 1, nil, failure},
		{"protect", 3, 1, nil, failure},
		{"PATCH statefulsets", 4, 3, code("422"), failure},
	} {
		s := spans[i]
		assert.Equal(t, want.name, s.Name)
		assert.Equal(t, want.kind, s.Kind, s.Name)
		assert.Equal(t, want.attributes, s.Attributes, s.Name)
		assert.Equal(t, want.status, s.Status, s.Name)
		assert.Regexp(t, "^[0-9a-f]{32}$", s.TraceID)
		assert.Equal(t, spans[0].TraceID, s.TraceID)
		assert.Regexp(t, "^[0-9a-f]{16}$", s.SpanID)
		parent := ""
		if want.parent >= 0 {
			parent = spans[want.parent].SpanID
		}
		assert.Equal(t, parent, s.ParentSpanID, s.Name)
		began, ended := nanos(t, s.StartTimeUnixNano), nanos(t, s.EndTimeUnixNano)
		assert.False(t, began.Before(before.Truncate(0)) || ended.Before(began) || ended.After(after), s.Name)
	}
	for _, exact := range []string{`"resourceSpans":[`, `"scopeSpans":[`, `"traceId":"`, `"spanId":"`, `"parentSpanId":"`, `"startTimeUnixNano":"1`, `"endTimeUnixNano":"1`} {
		assert.Contains(t, c.body, exact, "this reader does not mind capitals, others do")
	}
	for _, secret := range []string{"AAAA", "private-key", "downloads", "gluetun-vpn-gateway"} {
		assert.NotContains(t, c.body, secret, "neither an error's words nor an object's name")
	}
}

func nanos(t *testing.T, text string) time.Time {
	t.Helper()
	n, err := strconv.ParseInt(text, 10, 64)
	require.NoError(t, err)
	return time.Unix(0, n)
}

// A hook is told of once, and only where somebody wants to hear of it.
func TestSendOnce(t *testing.T) {
	c := collect(t, taken)
	ctx := Begin(t.Context())
	require.NoError(t, Send(ctx, to(c.URL), Outcome{}))
	require.NoError(t, Send(ctx, to(c.URL), Outcome{}))
	assert.EqualValues(t, 1, c.asked.Load())
	require.NoError(t, Send(Begin(t.Context()), Receiver{Networks: cluster}, Outcome{}), "nobody takes traces")
	require.NoError(t, Send(t.Context(), to(c.URL), Outcome{}), "an action is no hook")
	assert.EqualValues(t, 1, c.asked.Load())

	did := false
	require.NoError(t, Step(t.Context(), "observe", func(context.Context) error { did = true; return nil }))
	assert.True(t, did, "it is done all the same")
}

// A trace does not grow with what somebody makes a hook do.
func TestStepsAreCounted(t *testing.T) {
	c := collect(t, taken)
	ctx := Begin(t.Context())
	for range most + 50 {
		require.NoError(t, Step(ctx, "protect", func(context.Context) error { return nil }))
	}
	require.NoError(t, Send(ctx, to(c.URL), Outcome{}))
	assert.Equal(t, most, strings.Count(c.body, `"spanId"`))
	assert.Contains(t, c.body, `{"key":"steps_left_out","value":{"intValue":"51"}}`)
	assert.Less(t, len(c.body), 64<<10)
}

// Whoever takes traces and does not answer holds up no hook: Juju waits for it.
func TestNobodyWaitsForAnAnswer(t *testing.T) {
	release := make(chan struct{})
	c := collect(t, func(http.ResponseWriter, *http.Request) { <-release })
	defer close(release)
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections, and says nothing
	require.NoError(t, err)
	defer silent.Close()
	for summary, url := range map[string]string{"it thinks": c.URL, "it listens only": "http://" + silent.Addr().String() + "/v1/traces"} {
		began := time.Now()
		err := Send(Begin(t.Context()), to(url), Outcome{})
		assert.ErrorIs(t, err, context.DeadlineExceeded, summary)
		assert.Less(t, time.Since(began), Limit+400*time.Millisecond, summary)
		assert.NotContains(t, err.Error(), url)
	}
	assert.EqualValues(t, 1, c.asked.Load(), "it is not tried again")

	gone, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, gone.Close())
	began := time.Now()
	assert.Error(t, Send(Begin(t.Context()), to("http://"+gone.Addr().String()+"/v1/traces"), Outcome{}))
	assert.Less(t, time.Since(began), Limit, "who refuses has answered")

	refuses := collect(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "too many", http.StatusTooManyRequests) })
	assert.EqualError(t, Send(Begin(t.Context()), to(refuses.URL), Outcome{}), "the answer is 429")
	assert.EqualValues(t, 1, refuses.asked.Load())
}

// names has every name lead to the loopback, and says which ones were asked for.
func names(t *testing.T) func() []string {
	t.Helper()
	var mu sync.Mutex
	var asked []string
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	server := &dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, q.Question[0].Name)
		m := new(dns.Msg)
		m.SetReply(q)
		if q.Question[0].Qtype == dns.TypeA {
			rr, err := dns.NewRR(q.Question[0].Name + " 60 IN A 127.0.0.1")
			assert.NoError(t, err)
			m.Answer = []dns.RR{rr}
		}
		assert.NoError(t, w.WriteMsg(m))
	})}
	go func() { _ = server.ActivateAndServe() }()
	before := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
	t.Cleanup(func() {
		net.DefaultResolver = before
		_ = server.Shutdown()
	})
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(asked)
	}
}

// Nothing goes to anybody outside of the cluster, whatever the name says and whoever sends us on.
func TestNothingLeavesTheCluster(t *testing.T) {
	c := collect(t, taken)
	asked := names(t)
	_, port, err := net.SplitHostPort(strings.TrimSuffix(strings.TrimPrefix(c.URL, "http://"), "/v1/traces"))
	require.NoError(t, err)
	name := to("http://tempo.cos.svc.cluster.local:" + port + "/v1/traces")
	require.NoError(t, Send(Begin(t.Context()), name, Outcome{}), "a name that leads into it")
	assert.EqualValues(t, 1, c.asked.Load())
	assert.Equal(t, []string{"tempo.cos.svc.cluster.local."}, slices.Compact(asked()))
	name.Networks = []netip.Prefix{netip.MustParsePrefix("10.43.0.0/16")}
	assert.ErrorIs(t, Send(Begin(t.Context()), name, Outcome{}), relations.ErrElsewhere, "the same name, which leads elsewhere")
	far := to(c.URL)
	far.Networks = name.Networks
	assert.ErrorIs(t, Send(Begin(t.Context()), far, Outcome{}), relations.ErrElsewhere)
	assert.EqualValues(t, 1, c.asked.Load())

	sends := collect(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, c.URL, http.StatusTemporaryRedirect) })
	assert.EqualError(t, Send(Begin(t.Context()), to(sends.URL), Outcome{}), "the answer is 307")
	assert.EqualValues(t, 1, c.asked.Load())
	assert.Nil(t, name.transport().Proxy, "and no proxy of the environment's")
}

func TestResource(t *testing.T) {
	for path, want := range map[string]string{
		"/api/v1/namespaces/downloads/configmaps/gluetun-vpn-gateway": "configmaps", "/api/v1/nodes": "nodes", "/api/v1/namespaces/downloads": "namespaces",
		"/apis/apps/v1/namespaces/downloads/statefulsets/gluetun": "statefulsets", "/apis/networking.k8s.io/v1/servicecidrs": "servicecidrs",
		"/readyz": "other", "/api/v1": "other", "": "other",
	} {
		assert.Equal(t, want, resource(path), path)
	}
}

func TestAbsolute(t *testing.T) {
	for host, want := range map[string]string{"tempo.cos.svc.cluster.local": "tempo.cos.svc.cluster.local.", "tempo.": "tempo.", "10.43.7.7": "10.43.7.7", "fd43::7": "fd43::7"} {
		assert.Equal(t, want, absolute(host))
	}
}
