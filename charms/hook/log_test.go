package hook

import (
	"strings"
	"testing"
	"time"

	"github.com/canonical/pebble/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What a service has said is read since its last start: what the one before has said is over.
func TestSeeLog(t *testing.T) {
	juju(t, model{}, "start")
	env := startPebble(t, "web")
	said := func() string {
		t.Helper()
		var all []string
		require.NoError(t, SeeLog(env, "web", "talk", func(text string) { all = append(all, text) }))
		return strings.Join(all, " ")
	}
	assert.Empty(t, said(), "there is no such service")
	say := func(words string) {
		t.Helper()
		require.NoError(t, applyWorkload(env, Workload{Container: "web", Mode: Running, Layer: Layer{Services: map[string]Service{
			"talk": {Override: "replace", Command: `sh -c "sleep 0.2; for w in ` + words + `; do echo $w; done; sleep 1000"`, Startup: "enabled"},
		}}}))
	}
	say("one two")
	require.Eventually(t, func() bool { return said() == "one two" }, 5*time.Second, 20*time.Millisecond)
	say("three")
	require.Eventually(t, func() bool { return said() == "three" }, 5*time.Second, 20*time.Millisecond)
	p, err := env.Pebble("web")
	require.NoError(t, err)
	kept := ""
	require.NoError(t, p.Logs(&client.LogsOptions{N: -1, WriteLog: func(e client.LogEntry) error { kept += e.Message + " "; return nil }}))
	assert.Equal(t, "one two three ", kept, "Pebble has all of it")
}
