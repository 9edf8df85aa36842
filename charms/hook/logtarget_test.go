package hook

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/canonical/pebble/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What a service says goes to a Loki once somebody relates one, without a restart of the service, and no more when the relation is gone.
func TestLogsGoWhereTheyAreWanted(t *testing.T) {
	juju(t, model{}, "start")
	arrived := make(chan string, 100)
	loki := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case arrived <- r.URL.Path:
		default:
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	defer loki.Close()
	env := startPebble(t, "web")
	p, err := env.Pebble("web")
	require.NoError(t, err)
	watched := &counting{Pebble: p}
	env.Pebble = func(string) (Pebble, error) { return watched, nil }
	w := Workload{Container: "web", Mode: Running, Layer: Layer{Services: map[string]Service{
		"talk": {Override: "replace", Command: `sh -c "while :; do echo word; sleep 0.1; done"`, Startup: "enabled"},
	}}}
	set := func(targets map[string]LogTarget) {
		t.Helper()
		w.Layer.LogTargets = targets
		require.NoError(t, applyWorkload(env, w))
	}
	set(nil)
	started := func() time.Time {
		t.Helper()
		infos, err := p.Services(&client.ServicesOptions{})
		require.NoError(t, err)
		require.Len(t, infos, 1)
		return infos[0].CurrentSince
	}
	since := started()
	targets := map[string]LogTarget{"logging-4-loki-0": LokiTarget(loki.URL+"/loki/api/v1/push", map[string]string{"juju_unit": "web/0"})}
	set(targets)
	select {
	case path := <-arrived:
		assert.Equal(t, "/loki/api/v1/push", path)
	case <-time.After(10 * time.Second):
		require.Fail(t, "nothing arrives")
	}
	watched.changes = nil
	set(targets)
	assert.Empty(t, watched.changes, "a steady hook changes nothing")

	set(nil)
	watched.changes = nil
	set(nil)
	assert.Empty(t, watched.changes, "nor when it is turned off")
	time.Sleep(1500 * time.Millisecond) // Pebble sends what it has gathered within a second
	for len(arrived) > 0 {
		<-arrived
	}
	select {
	case <-arrived:
		assert.Fail(t, "somebody still sends")
	case <-time.After(1500 * time.Millisecond):
	}
	assert.Equal(t, since, started(), "the service went on meanwhile")
	set(targets)
	select {
	case <-arrived:
	case <-time.After(10 * time.Second):
		assert.Fail(t, "nothing arrives again")
	}
}
