//go:build datapath

package overlay

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// A client's overlay is down for as long as somebody has asked for, and no longer, whatever becomes of who asked. Nothing leaves meanwhile,
// and connections, with what is bound to the interface, go on after. Who asks the pod from outside the cluster is answered all the time: the
// kubelet in a mesh would end a pod that is silent.
func TestDrill(t *testing.T) {
	s := newWorld(t)
	s.gatewayAgent("10.42.0.7", nil)
	pod := s.clientAgent("10.42.0.5", way, qbittorrentKey)
	s.through(pod.NS)
	c := s.connection(pod.NS)
	index := pod.Index(t, "vxlan0")
	out := s.node.Count(t, "p0.5")
	s.pod = pod.NS
	s.serves()

	drilling, err := overlay.Drill(t.Context(), pod.Socket(), 3) // and that is all that is heard of who asked
	require.NoError(t, err)
	assert.WithinDuration(t, time.Now().Add(3*time.Second), drilling.Until, time.Second)
	assert.WithinDuration(t, drilling.Until, pod.Report().Client.Drill, 0)
	_, err = overlay.Drill(t.Context(), pod.Socket(), 1)
	assert.ErrorContains(t, err, "the overlay is down until", "one at a time: nobody keeps it down by asking again and again")
	for time.Until(drilling.Until) > time.Second {
		_, err = s.ask(pod.NS, "198.18.0.9:443", moment)
		require.Error(t, err)
		said, err := s.ask(pod.NS, "10.43.0.1:443", patience)
		require.NoError(t, err, "what is for the cluster goes on")
		assert.Equal(t, "node sees 10.42.0.5", said)
		for _, from := range callers {
			assert.NoError(t, s.call(from, patience), from)
		}
	}
	assert.Zero(t, out.Of("198.18.0.9"), "LEAK")
	assert.Positive(t, out.Until("10.43.0.1"), "what leaves by the pod's own interface is seen")
	assert.True(t, pod.Report().Guard.Standing)

	s.through(pod.NS)
	assert.WithinDuration(t, drilling.Until, time.Now(), 2*time.Second)
	assert.Zero(t, pod.Report().Client.Drill)
	assert.Equal(t, index, pod.Index(t, "vxlan0"))
	c.say()
}

// An agent that is killed in a drill takes it with it: the next one knows of none, and lays the overlay at once.
func TestTheAgentIsKilledInADrill(t *testing.T) {
	s := newWorld(t)
	s.gatewayAgent("10.42.0.7", nil)
	pod := s.clientAgent("10.42.0.5", way, qbittorrentKey)
	s.through(pod.NS)
	drilling, err := overlay.Drill(t.Context(), pod.Socket(), 30)
	require.NoError(t, err)
	_, err = s.ask(pod.NS, "198.18.0.9:443", moment)
	require.Error(t, err)
	pod.Kill()
	pod.Start()
	s.through(pod.NS)
	assert.True(t, time.Now().Before(drilling.Until))
}
