package provision

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
)

// juju36 gives the StatefulSets that Juju 3.5's builder sends what 3.6 sends in their place, on their way to the API
// server. The list of it is in JUJU-3.6.md.
func juju36(next http.RoundTripper) http.RoundTripper { return rewriter{next} }

type rewriter struct{ next http.RoundTripper }

// RoundTrip changes the bodies of writes to StatefulSets.
func (r rewriter) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body == nil || !strings.Contains(req.URL.Path, "/statefulsets") {
		return r.next.RoundTrip(req)
	}
	body, err := io.ReadAll(req.Body)
	_ = req.Body.Close()
	if err != nil {
		return nil, err
	}
	body = rewrite(body)
	req = req.Clone(req.Context())
	req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	return r.next.RoundTrip(req)
}

func rewrite(body []byte) []byte {
	var object map[string]any
	if json.Unmarshal(body, &object) != nil {
		return body
	}
	pod := field(field(field(object, "spec"), "template"), "spec")
	if pod == nil {
		return body // a change of the scale
	}
	// Only a charm that asks for a user has its files shared through a group.
	delete(pod, "securityContext")
	containers, _ := pod["containers"].([]any)
	for _, c := range containers {
		container, ok := c.(map[string]any)
		if !ok {
			continue
		}
		for _, probe := range []string{"livenessProbe", "readinessProbe"} {
			delete(field(container, probe), "initialDelaySeconds")
		}
		if live := field(container, "livenessProbe"); live != nil {
			start := map[string]any{}
			for k, v := range live {
				start[k] = v
			}
			start["periodSeconds"], start["failureThreshold"], start["successThreshold"] = 1, 30, 1
			if own := field(container, "startupProbe"); own != nil {
				start["httpGet"] = own["httpGet"]
			}
			container["startupProbe"] = start
		}
	}
	out, err := json.Marshal(object)
	if err != nil {
		return body
	}
	return out
}

// field is an object in an object; nil when there is none.
func field(object map[string]any, name string) map[string]any {
	out, _ := object[name].(map[string]any)
	return out
}
