package hook

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Whether anybody watches is asked once in a pod, and again when Juju says that it has changed.
func TestJoined(t *testing.T) {
	after := juju(t, model{Relations: map[string]*relation{"db:1": {App: "postgres"}}}, "start")
	joined := func(want ...string) {
		t.Helper()
		ids, err := Joined("metrics-endpoint")
		require.NoError(t, err)
		assert.ElementsMatch(t, want, ids)
	}
	asked := func(n int) { t.Helper(); assert.Len(t, after().Calls, n) }
	joined()
	asked(1)
	joined()
	asked(1)
	m := after()
	m.Relations["metrics-endpoint:2"] = &relation{App: "prometheus"}
	writeModel(os.Getenv("TEST_MODEL"), m)
	joined() // the hook that says so comes after this one
	t.Setenv("JUJU_HOOK_NAME", "metrics-endpoint-relation-created")
	t.Setenv("JUJU_RELATION_ID", "metrics-endpoint:2")
	joined("metrics-endpoint:2")
	t.Setenv("JUJU_HOOK_NAME", "update-status")
	joined("metrics-endpoint:2")
	asked(2)
	ids, err := Joined("logging")
	require.NoError(t, err)
	assert.Empty(t, ids, "another endpoint is another question")
	asked(3)
	t.Setenv("JUJU_HOOK_NAME", "metrics-endpoint-relation-broken")
	joined()
	t.Setenv("JUJU_HOOK_NAME", "update-status")
	joined()
	asked(4)
}

// What units say of themselves is read of each.
func TestRemoteUnits(t *testing.T) {
	said := map[string]map[string]string{"loki/0": {"endpoint": "{}"}, "loki/1": {}}
	juju(t, model{Relations: map[string]*relation{"logging:4": {App: "loki", Units: said}}}, "start")
	got, err := RemoteUnits("logging:4")
	require.NoError(t, err)
	assert.Equal(t, said, got)
	_, err = RemoteUnits("logging:5")
	assert.ErrorContains(t, err, "cannot list the units of relation logging:5")
}

// One of them is asked for by name, as another unit of this application is.
func TestUnitSays(t *testing.T) {
	juju(t, model{Relations: map[string]*relation{"units:0": {App: "gluetun", Units: map[string]map[string]string{"gluetun/1": {"held": "{}"}}}}}, "units-relation-changed")
	said, err := UnitSays("units:0", "gluetun/1")
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"held": "{}"}, said)
	_, err = UnitSays("units:1", "gluetun/1")
	assert.ErrorContains(t, err, "cannot read what gluetun/1 says in relation units:1")
}
