package hook

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A real Pebble starts a service again when its check has failed seven times in a row: once, however long that goes on, and again only
// after the check has succeeded. A check that flaps starts nothing.
func TestAServiceIsStartedAgainByItsCheck(t *testing.T) {
	cases := []struct {
		name  string
		looks []int // how often the check finds all well, then nothing, then all well again, and so on; the last for ever
		again int
	}{
		{"all is well", []int{1}, 0},
		{"it is silent for a moment", []int{2, 1, 1}, 0},
		{"it is silent again and again, never for long", []int{2, 6, 1, 6, 1, 5, 1, 6, 1}, 0},
		{"it dies", []int{2, 7}, 1},
		{"it was never well", []int{0, 7}, 1},
		{"it dies, and does not come back", []int{2, 24}, 1},
		{"it dies after it has flapped", []int{2, 6, 1, 6, 1, 7}, 1},
		{"it dies twice", []int{2, 7, 10, 7}, 2},
		{"it dies, comes back and flaps", []int{2, 7, 6, 6, 1, 6, 1}, 1},
	}
	juju(t, model{}, "config-changed")
	env := startPebble(t, "web")
	home := t.TempDir()
	path := func(name string, n int) string { return filepath.Join(home, fmt.Sprint(name, n)) }
	lines := func(name string, n int) int {
		b, err := os.ReadFile(path(name, n))
		require.True(t, err == nil || os.IsNotExist(err), "%v", err)
		return strings.Count(string(b), "\n")
	}
	// Each look takes the next letter of the case's word, and the last one for ever.
	look := filepath.Join(home, "look")
	require.NoError(t, os.WriteFile(look, []byte(`#!/bin/sh
cd "${0%/*}" && echo >> "looked$1" || exit
exec 3< "looks$1"
while read -r _; do read -r next <&3 && word=$next; done < "looked$1"
[ "$word" = up ]
`), 0o700))
	w := Workload{Container: "web", Mode: Running, Layer: Layer{Services: map[string]Service{}, Checks: map[string]Check{}}}
	longest := 0
	for n, c := range cases {
		var word strings.Builder
		for i, times := range c.looks {
			word.WriteString(strings.Repeat([]string{"up\n", "down\n"}[i%2], times))
		}
		require.NoError(t, os.WriteFile(path("looks", n), []byte(word.String()), 0o600))
		longest = max(longest, strings.Count(word.String(), "\n"))
		check := fmt.Sprint("lasting", n)
		w.Layer.Services[fmt.Sprint("web", n)] = Service{
			Override: "replace", Command: "sh -c 'echo >> " + path("started", n) + "; exec sleep 600'", Startup: "enabled", KillDelay: "2s",
			OnCheckFailure: map[string]string{check: "restart"},
		}
		w.Layer.Checks[check] = Check{Override: "replace", Period: "300ms", Timeout: "30s", Threshold: 7, Exec: &ExecCheck{Command: fmt.Sprint(look, " ", n)}}
	}
	// What is not up yet, which it is after a second, is not started again.
	require.NoError(t, applyWorkload(env, Workload{Container: "web", Mode: Running, Layer: Layer{Services: w.Layer.Services}}))
	require.NoError(t, applyWorkload(env, w))
	for n, c := range cases {
		require.Eventually(t, func() bool { return lines("looked", n) >= longest+5 }, time.Minute, 50*time.Millisecond, c.name)
	}
	for n, c := range cases {
		assert.Eventually(t, func() bool { return lines("started", n) == 1+c.again }, 10*time.Second, 50*time.Millisecond, c.name)
	}
	time.Sleep(2 * time.Second) // Pebble waits before a second start
	for n, c := range cases {
		assert.Equal(t, 1+c.again, lines("started", n), c.name)
	}
	seen, err := SeeContainer(env, "web")
	require.NoError(t, err)
	assert.True(t, seen.Running)
	assert.True(t, seen.Checks["lasting0"])
	assert.False(t, seen.Checks["lasting3"])
}
