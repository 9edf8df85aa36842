package tracing

import (
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"time"
)

// OTLP's encoding in JSON, as far as it is used here: names in camelCase, ids in hexadecimal, numbers of 64 bits as texts.

type request struct {
	Resources []resourceSpans `json:"resourceSpans"`
}

type resourceSpans struct {
	Resource struct {
		Attributes []attribute `json:"attributes"`
	} `json:"resource"`
	Scopes []scopeSpans `json:"scopeSpans"`
}

type scopeSpans struct {
	Scope struct {
		Name string `json:"name"`
	} `json:"scope"`
	Spans []span `json:"spans"`
}

type span struct {
	Trace      string      `json:"traceId"`
	ID         string      `json:"spanId"`
	Parent     string      `json:"parentSpanId,omitempty"`
	Name       string      `json:"name"`
	Kind       int         `json:"kind"`
	Began      string      `json:"startTimeUnixNano"`
	Ended      string      `json:"endTimeUnixNano"`
	Attributes []attribute `json:"attributes,omitempty"`
	Status     status      `json:"status"`
}

// OTLP's numbers for kinds and codes.
const (
	internal = 1
	client   = 3
	isError  = 2
)

type status struct {
	Code int `json:"code,omitempty"`
}

type attribute struct {
	Key   string `json:"key"`
	Value value  `json:"value"`
}

type value struct {
	Text   *string `json:"stringValue,omitempty"`
	Number *string `json:"intValue,omitempty"`
}

func text(key, v string) attribute { return attribute{key, value{Text: &v}} }
func number(key string, v int) attribute {
	n := strconv.Itoa(v)
	return attribute{key, value{Number: &n}}
}

// encode is the hook so far: steps that have not ended end now.
func (h *hook) encode(r Receiver, o Outcome, now time.Time) ([]byte, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var scope scopeSpans
	scope.Scope.Name = "charmarr"
	for i, s := range h.steps {
		out := span{Trace: hex.EncodeToString(h.id[:]), ID: hex.EncodeToString(s.id[:]), Parent: hex.EncodeToString(s.parent[:]), Name: s.name, Kind: internal, Began: nano(s.began), Ended: nano(s.ended)}
		failed := s.failed
		if s.ended.IsZero() {
			out.Ended = nano(now)
		}
		switch {
		case i == 0:
			failed = o.Failed
			out.Name, out.Parent = r.Charm+" "+o.Hook, ""
			out.Attributes = []attribute{text("hook", o.Hook), text("result", o.result()), number("steps_left_out", h.left)}
			if o.Status != "" {
				out.Attributes = append(out.Attributes, text("status", o.Status))
			}
		case s.request:
			out.Kind = client
			if s.code != 0 {
				out.Attributes = []attribute{number("http.response.status_code", s.code)}
			}
		}
		if failed {
			out.Status.Code = isError
		}
		scope.Spans = append(scope.Spans, out)
	}
	all := resourceSpans{Scopes: []scopeSpans{scope}}
	for _, key := range slices.Sorted(maps.Keys(r.Labels)) {
		all.Resource.Attributes = append(all.Resource.Attributes, text(key, r.Labels[key]))
	}
	return json.Marshal(request{[]resourceSpans{all}})
}

func nano(t time.Time) string { return strconv.FormatInt(t.UnixNano(), 10) }

func (o Outcome) result() string {
	if o.Failed {
		return "failed"
	}
	return "done"
}
