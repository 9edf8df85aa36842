package relations

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Whatever they have against what they were told comes out as one line for a status.
func TestRefusal(t *testing.T) {
	for _, c := range []struct{ summary, event, says, err string }{
		{"nothing is said", "", "", ""},
		{"nothing any more", "{}", "", ""},
		{"all is well", `{"valid": true, "errors": ""}`, "", ""},
		{"all dashboards are", `{"valid": true, "errors": []}`, "", ""},
		{"a null", `{"errors": null}`, "", ""},
		{"rules", `{"errors": "1:5: parse error:\n\tunexpected end"}`, "1:5: parse error: unexpected end", ""},
		{"jobs beside them", `{"errors": "bad", "scrape_job_errors": "exit status 1"}`, "bad; exit status 1", ""},
		{"dashboards", `{"errors": [{"dashboard_id": "file:a", "error": "Incorrect padding"}, {"error": "no id"}, {"dashboard_id": "file:b", "error": null}]}`, "file:a: Incorrect padding; no id", ""},
		{"without a reason", `{"valid": false}`, "it does not say why", ""},
		{"a novel", `{"errors": "` + strings.Repeat("x", 999) + `"}`, strings.Repeat("x", 160) + " ...", ""},
		{"no JSON", "it is bad", "", "event must be an object"},
		{"a list", "[]", "", "event must be an object"},
		{"a number", `{"errors": 3}`, "", "errors of event must be a text"},
		{"numbers", `{"errors": [3]}`, "", "errors of event must be a text"},
	} {
		t.Run(c.summary, func(t *testing.T) {
			says, err := Refusal(map[string]string{"event": c.event})
			assert.Equal(t, c.says, says)
			if c.err == "" {
				require.NoError(t, err)
			} else {
				assert.ErrorContains(t, err, c.err)
			}
		})
	}
}

func TestLogs(t *testing.T) {
	said, err := Logs(gluetun)
	require.NoError(t, err)
	assert.Equal(t, "{}", said["alert_rules"])
	assert.JSONEq(t, `{"model": "downloads", "model_uuid": "f81d4fae-7dec-11d0-a765-00a0c91e6bf6", "application": "gluetun", "unit": "gluetun/0", "charm_name": "gluetun-k8s"}`, said["metadata"])
}
