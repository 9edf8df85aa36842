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

// An end takes at once what fits into its pod's own interface with the encapsulation around it, and no more than the gateway tells of its
// tunnel: the lesser of the two, also when one of them becomes another.
func TestWhatAnEndTakesAtOnce(t *testing.T) {
	s := newWorld(t)
	s.mtu = 1450
	pod := s.join("10.42.0.5", "fd42::5")
	for _, test := range []struct{ told, takes int }{{1420, 1400}, {0, 1400}, {1401, 1400}, {1399, 1399}, {1320, 1320}, {1420, 1400}} {
		c := way
		c.MTU = test.told
		s.set(pod, c)
		assert.Equal(t, test.takes, pod.Takes(t, "vxlan0"), "told %d", test.told)
	}
	wide := way
	wide.MTU = 1420
	pod.MTU(t, "eth0", 1500)
	s.set(pod, wide)
	assert.Equal(t, 1420, pod.Takes(t, "vxlan0"), "a wider interface")
	pod.MTU(t, "eth0", 1400)
	s.set(pod, wide)
	assert.Equal(t, 1350, pod.Takes(t, "vxlan0"), "a narrower one")
	wide.Peer = netip.MustParseAddr("fd42::7")
	s.set(pod, wide)
	assert.Equal(t, 1330, pod.Takes(t, "vxlan0"), "IPv6 around it takes twenty more")

	gateway := s.gatewayPod("10.42.0.7", nil)
	gateway.config.Gateway.MTU = 1420
	gateway.Configure(gateway.config)
	gateway.Start()
	wide.Peer = way.Peer
	client := s.clientAgent("10.42.0.6", wide, qbittorrentKey)
	s.through(client.NS)
	assert.Equal(t, 1400, client.Takes(t, "vxlan0"), "an agent's end")
	assert.Equal(t, 1400, gateway.Takes(t, "vxlan0"), "the gateway's end")
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
