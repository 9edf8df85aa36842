package relations

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTracesWanted(t *testing.T) {
	assert.Equal(t, map[string]string{"receivers": `["otlp_http"]`}, TracesWanted())
}

// Whoever takes traces lists what it takes them by, for all that ask.
func TestTracesURL(t *testing.T) {
	const need = "the receiver otlp_http must have a url"
	http := func(url string) string {
		return `[{"protocol": {"name": "otlp_http", "type": "http"}, "url": "` + url + `"}]`
	}
	tests := []struct{ summary, receivers, url, err string }{
		{"it has just come", "", "", ""},
		{"it takes none yet", "[]", "", ""},
		{"by name", http("http://tempo-0.tempo-endpoints.cos.svc.cluster.local:4318"), "http://tempo-0.tempo-endpoints.cos.svc.cluster.local:4318/v1/traces", ""},
		{"with a slash at the end", http("http://10.43.7.7:4318/"), "http://10.43.7.7:4318/v1/traces", ""},
		{"behind an ingress", http("https://10.64.140.43/cos-tempo"), "https://10.64.140.43/cos-tempo/v1/traces", ""},
		{"IPv6", http("http://[fd43::7]:4318"), "http://[fd43::7]:4318/v1/traces", ""},
		{"among others, which are not looked at", `[{"protocol": {"name": "otlp_grpc", "type": "grpc"}, "url": "tempo:4317"},
			{"protocol": {"name": "otlp_http", "type": "http"}, "url": "http://tempo:4318"}]`, "http://tempo:4318/v1/traces", ""},
		{"of a later version", `[{"protocol": {"name": "quic", "type": "udp", "draft": 3}, "url": ""}, {"protocol": {"name": "otlp_http", "type": "http"}, "url": "http://tempo:4318", "zone": "a"}]`, "http://tempo:4318/v1/traces", ""},
		{"only what others asked for", `[{"protocol": {"name": "zipkin", "type": "http"}, "url": "http://tempo:9411"}]`, "", ""},
		{"no JSON", "http://tempo:4318", "", "receivers must be an array"},
		{"what version 1 wrote", `{"otlp_http": 4318}`, "", "receivers must be an array"},
		{"an address alone", http("10.43.7.7:4318"), "", need},
		{"a port alone", http("http://:4318"), "", need},
		{"with somebody's password", http("http://me:secret@tempo:4318"), "", need},
		{"with a key", http("http://tempo:4318?key=secret"), "", need},
		{"a file", http("file:///etc/passwd"), "", need},
	}
	for _, test := range tests {
		t.Run(test.summary, func(t *testing.T) {
			url, err := TracesURL(map[string]string{"receivers": test.receivers})
			assert.Equal(t, test.url, url)
			if test.err == "" {
				assert.NoError(t, err)
			} else {
				require.ErrorContains(t, err, test.err)
				assert.NotContains(t, err.Error(), "secret", "a status is read by many")
			}
		})
	}
}
