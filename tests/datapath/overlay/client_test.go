//go:build datapath

package overlay

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// The world is reached through the gateway, the cluster as before, and whoever asks the pod is answered where he asked.
func TestTheWay(t *testing.T) {
	s := newStage(t)
	said, err := s.ask(s.pod, "198.18.0.1:443", patience)
	require.NoError(t, err)
	require.Equal(t, "node sees 10.42.0.5", said, "before")

	s.guarded(s.pod, way)
	said, err = s.ask(s.pod, "198.18.0.1:443", patience)
	require.NoError(t, err)
	assert.Equal(t, "world sees 10.2.0.2", said)
	said, err = s.ask(s.pod, "10.43.0.1:443", patience)
	require.NoError(t, err)
	assert.Equal(t, "node sees 10.42.0.5", said)
	_, err = s.ask(s.pod, "[2001:db8:113::1]:443", moment)
	assert.ErrorIs(t, err, unix.EHOSTUNREACH, "there is no IPv6 in this overlay: it is refused, not lost")

	s.serves()
	out := s.node.Count(t, "p0.5")
	// A kubelet asks from the node's own address, which no network of the cluster holds, and so do clients of a NodePort.
	for _, from := range append([]string{"169.254.1.1"}, callers...) {
		require.NoError(t, s.call(from, patience), from)
		assert.Positive(t, out.Of(from), "%s is answered where it asked", from)
	}
	s.pod.Delete(t, "vxlan0")
	for _, from := range callers {
		assert.NoError(t, s.call(from, patience), "%s, while there is no overlay", from)
	}
	s.pod.NoRule(t, replies)
	for _, from := range callers {
		assert.Error(t, s.call(from, moment), "%s, without the rule for answers", from)
	}
	s.set(s.pod, way)
	for _, from := range callers {
		assert.NoError(t, s.call(from, patience), from)
	}
}

// Set up again, nothing changes, and connections go on; with another gateway's pod they go on too.
func TestSetUpAgain(t *testing.T) {
	s := newStage(t)
	s.set(s.pod, way)
	index := s.pod.Index(t, "vxlan0")
	s.set(s.pod, way)
	assert.Equal(t, index, s.pod.Index(t, "vxlan0"))
	said, err := s.ask(s.pod, "198.18.0.1:443", patience)
	require.NoError(t, err)
	require.Equal(t, "world sees 10.2.0.2", said)

	moved := way
	moved.Peer = netip.MustParseAddr("10.42.0.8")
	s.set(s.pod, moved)
	_, err = s.ask(s.pod, "198.18.0.1:443", patience)
	assert.Error(t, err, "there is nobody")
	s.set(s.pod, way)
	assert.Equal(t, index, s.pod.Index(t, "vxlan0"))
	_, err = s.ask(s.pod, "198.18.0.1:443", patience)
	assert.NoError(t, err)

	other := way
	other.VNI, other.Direct = 43, way.Direct[:1]
	s.set(s.pod, other)
	assert.NotEqual(t, index, s.pod.Index(t, "vxlan0"), "another overlay is another interface")
	_, err = s.ask(s.pod, "10.43.0.1:443", patience)
	assert.Error(t, err, "what is not direct any more takes the overlay")
}

// Without its interface the way is closed, even without the guard: the CNI's own routes lead nowhere.
func TestTheWayFailsClosed(t *testing.T) {
	s := newStage(t)
	s.set(s.pod, way)
	s.pod.Delete(t, "vxlan0")
	_, err := s.ask(s.pod, "198.18.0.1:443", patience)
	assert.ErrorIs(t, err, unix.EHOSTUNREACH)
	s.pod.Default(t, "eth0", "169.254.1.1") // somebody lays the route once more
	_, err = s.ask(s.pod, "198.18.0.1:443", patience)
	assert.ErrorIs(t, err, unix.EHOSTUNREACH)
	said, err := s.ask(s.pod, "10.43.0.1:443", patience)
	require.NoError(t, err)
	assert.Equal(t, "node sees 10.42.0.5", said)
	s.set(s.pod, way)
	said, err = s.ask(s.pod, "198.18.0.1:443", patience)
	require.NoError(t, err)
	assert.Equal(t, "world sees 10.2.0.2", said)
}

// A node that filters strictly by the way back, as some distributions do, and pods that have it from there: who asks from outside the
// cluster is answered all the same.
func TestWhoAsksFromOutsideWhereTheFilterIsStrict(t *testing.T) {
	s := newStage(t)
	for _, of := range []string{"all", "default", "eth0"} {
		s.pod.Sysctl(t, "net/ipv4/conf/"+of+"/rp_filter", "1")
	}
	s.serves()
	all := func(wait time.Duration) (answered int) {
		for _, from := range callers {
			if s.call(from, wait) == nil {
				answered++
			}
		}
		return answered
	}
	s.guarded(s.pod, way)
	require.Equal(t, len(callers), all(patience))
	s.through(s.pod)
	// Behind a mesh's redirect the port is not the one on which the pod is asked: the mark alone says that it is an answer.
	s.asked(s.pod, way)
	require.Equal(t, len(callers)-sixes, all(time.Second), "there is no IPv6 in this overlay")
	s.pod.Sysctl(t, "net/ipv4/conf/eth0/rp_filter", "1")
	require.Zero(t, all(moment), "this filter holds those of IPv4")
	s.asked(s.pod, way)
	require.Equal(t, len(callers)-sixes, all(time.Second))
	s.set(s.pod, way)
	require.Equal(t, len(callers), all(patience))
}
