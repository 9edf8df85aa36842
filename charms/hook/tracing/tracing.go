// Package tracing tells what one hook did, step by step, to whoever takes traces. Steps are kept in memory while the hook runs, and sent
// once, at its end; what nobody takes then is lost. Nothing is written to disk, nothing is tried again, and no hook fails of it.
//
// A step has a name that is written in the code, a beginning and an end, whether it failed, and no more: neither an error's words nor
// anything that somebody set, since either may hold what is secret.
package tracing

import (
	"context"
	"crypto/rand"
	"net/http"
	"strings"
	"sync"
	"time"
)

// most is how many steps of a hook are kept. One that asks for more than a few dozen things does not do well, and its trace need not
// grow with it.
const most = 200

// hook is what is known of one hook.
type hook struct {
	mu    sync.Mutex
	id    [16]byte
	steps []*step // the first one is all of it
	left  int     // steps that are not kept
	sent  bool
}

type step struct {
	id, parent   [8]byte
	name         string
	request      bool
	code         int // of the answer to a request; 0: none
	began, ended time.Time
	failed       bool
}

// here is the step that a context belongs to.
type here struct {
	*hook
	*step
}

type key struct{}

// Begin begins a hook.
func Begin(ctx context.Context) context.Context {
	h := &hook{}
	fill(h.id[:])
	return context.WithValue(ctx, key{}, here{h, h.add([8]byte{}, "", false)})
}

// Step is a step of the hook that ctx belongs to. Without one it is done all the same.
func Step(ctx context.Context, name string, do func(context.Context) error) error {
	at, ok := ctx.Value(key{}).(here)
	if !ok {
		return do(ctx)
	}
	s := at.add(at.id(), name, false)
	err := do(context.WithValue(ctx, key{}, here{at.hook, s}))
	at.end(s, err != nil, 0)
	return err
}

// Requests has every request to the API server be a step of the hook that it is made in.
func Requests(next http.RoundTripper) http.RoundTripper { return requests{next} }

type requests struct{ next http.RoundTripper }

// RoundTrip makes a request. What is not there is an answer like any other.
func (r requests) RoundTrip(req *http.Request) (*http.Response, error) {
	at, ok := req.Context().Value(key{}).(here)
	if !ok {
		return r.next.RoundTrip(req)
	}
	s := at.add(at.id(), req.Method+" "+resource(req.URL.Path), true)
	answer, err := r.next.RoundTrip(req)
	code := 0
	if err == nil {
		code = answer.StatusCode
	}
	at.end(s, err != nil || code >= 400 && code != http.StatusNotFound, code)
	return answer, err
}

// resource is what kind of object a path of the API server's is about: names of objects are in no trace.
func resource(path string) string {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	switch {
	case len(parts) > 2 && parts[0] == "api":
		parts = parts[2:]
	case len(parts) > 3 && parts[0] == "apis":
		parts = parts[3:]
	default:
		return "other"
	}
	if parts[0] == "namespaces" && len(parts) > 2 {
		parts = parts[2:]
	}
	return parts[0]
}

func (h here) id() [8]byte { return h.step.id }

func (h *hook) add(parent [8]byte, name string, request bool) *step {
	s := &step{parent: parent, name: name, request: request, began: time.Now()}
	fill(s.id[:])
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.steps) < most {
		h.steps = append(h.steps, s)
	} else {
		h.left++
	}
	return s
}

func (h *hook) end(s *step, failed bool, code int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s.ended, s.failed, s.code = time.Now(), failed, code
}

func fill(id []byte) { _, _ = rand.Read(id) } // it never fails
