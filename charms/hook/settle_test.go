package hook

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A tunnel that a hook has found down is back before Pebble's check has seen anything: the hook that tells so comes all the same, and when what
// is told has stood for a while no more hooks come.
func TestSettle(t *testing.T) {
	t.Setenv("JUJU_CHARM_DIR", t.TempDir())
	told := func(kind Status, up string, mode Mode) Soon {
		return Settle(Desired{Workloads: []Workload{{Container: "gluetun", Mode: mode}}, Publish: map[string]map[string]string{"vpn:1": {"up": up}}, Status: kind}).Soon
	}
	stands := func(d time.Duration) {
		t.Helper()
		then := time.Now().Add(-d)
		require.NoError(t, os.Chtimes(inPod(toldFile), then, then))
	}
	again := Soon{"gluetun", settling}
	assert.Equal(t, again, told(Active("connected"), "true", Running))
	stands(settles - time.Second)
	assert.Equal(t, again, told(Active("connected"), "true", Running), "it may turn back yet")
	stands(settles)
	assert.Empty(t, told(Active("connected"), "true", Running))
	assert.Equal(t, again, told(Waiting("waiting for the VPN tunnel"), "false", Running))
	stands(settles)
	assert.Equal(t, again, told(Waiting("waiting for the VPN tunnel"), "true", Running), "consumers are told another thing")
	stands(settles)
	assert.Equal(t, again, told(Waiting("waiting for the VPN tunnel"), "true", Stopped))
	stands(settles)
	assert.Empty(t, told(Waiting("waiting for the VPN tunnel"), "true", Stopped))
	told(Waiting("its server answered at 12:00:07 UTC"), "true", Stopped)
	stands(settles)
	assert.Empty(t, told(Waiting("its server answered at 12:01:13 UTC"), "true", Stopped), "a time that goes on is nothing new")
	told(Waiting("waiting for the VPN tunnel"), "true", Stopped)
	stands(-time.Minute)
	assert.Empty(t, told(Waiting("waiting for the VPN tunnel"), "true", Stopped), "the clock was set back")

	d := Settle(Desired{Workloads: []Workload{{Container: "gluetun"}}, Soon: Soon{"gluetun", "image"}})
	assert.Equal(t, Soon{"gluetun", "image"}, d.Soon, "whoever waits for something has hooks anyway")
	assert.Empty(t, Settle(Desired{Status: Active("")}).Soon, "no Pebble is there that would bring one")
	t.Setenv("JUJU_CHARM_DIR", "/nowhere")
	assert.Empty(t, told(Active("connected"), "true", Running), "for ever it would be looked at otherwise")
}
