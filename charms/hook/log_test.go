package hook

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What a service has said is read across its starts, since a moment that somebody names.
func TestSeeLog(t *testing.T) {
	juju(t, model{}, "start")
	env := startPebble(t, "web")
	said := func(since time.Time) string {
		t.Helper()
		var all []string
		require.NoError(t, SeeLog(env, "web", "talk", since, func(text string) { all = append(all, text) }))
		return strings.Join(all, " ")
	}
	assert.Empty(t, said(time.Time{}), "there is no such service")
	say := func(words string) {
		t.Helper()
		require.NoError(t, applyWorkload(env, Workload{Container: "web", Mode: Running, Layer: Layer{Services: map[string]Service{
			"talk": {Override: "replace", Command: `sh -c "for w in ` + words + `; do echo $w; done; sleep 1000"`, Startup: "enabled"},
		}}}))
	}
	say("one two")
	require.Eventually(t, func() bool { return said(time.Time{}) == "one two" }, 5*time.Second, 20*time.Millisecond)
	later := time.Now()
	say("three")
	require.Eventually(t, func() bool { return said(time.Time{}) == "one two three" }, 5*time.Second, 20*time.Millisecond)
	assert.Equal(t, "three", said(later))
	assert.NoError(t, SeeLog(env, "elsewhere", "talk", later, func(string) { assert.Fail(t, "there is no such container") }))
}
