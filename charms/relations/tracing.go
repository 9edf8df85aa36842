package relations

import (
	"encoding/json"
	"fmt"
	"net/url"
)

// otlpHTTP is the protocol of the interface tracing (v2) that is spoken here: OpenTelemetry's own, over HTTP.
const otlpHTTP = "otlp_http"

// TracesWanted is the application's databag of who has traces to send: how it wants to send them.
func TracesWanted() map[string]string { return map[string]string{"receivers": `["` + otlpHTTP + `"]`} }

// TracesURL is where traces are sent to, by the application's databag of who takes them. Empty: it does not say yet, or nothing that was
// asked for.
func TracesURL(databag map[string]string) (string, error) {
	raw := databag["receivers"]
	if raw == "" {
		return "", nil
	}
	var receivers []struct {
		Protocol struct{ Name string }
		URL      string
	}
	if err := json.Unmarshal([]byte(raw), &receivers); err != nil {
		return "", fmt.Errorf("receivers must be an array of objects with a protocol and a url: %w", err)
	}
	for _, r := range receivers {
		if r.Protocol.Name != otlpHTTP { // others are asked for by others
			continue
		}
		u, err := url.Parse(r.URL)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			return "", fmt.Errorf("the receiver %s must have a url such as http://tempo-0.tempo-endpoints.cos.svc.cluster.local:4318", otlpHTTP)
		}
		return u.JoinPath("v1", "traces").String(), nil
	}
	return "", nil
}
