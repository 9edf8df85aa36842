//go:build datapath

package overlay

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/tests/internal/ns"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// Some networks lead out by halves of the world, or by all of IPv6 that is in use: those are default routes too.
func TestADefaultRouteInPieces(t *testing.T) {
	s := newWorld6(t)
	s.gatewayAgent("10.42.0.7", nil)
	pod, plain := s.clientAgent("10.42.0.5", way, qbittorrentKey), s.join("10.42.0.6", "fd42::6")
	s.through(pod.NS)
	pod.Until("it is told of IPv6", func(r overlay.Report) bool { return r.Client.IPv6 })
	for _, n := range []*ns.NS{pod.NS, plain} {
		n.Via(t, "eth0", "0.0.0.0/1", "169.254.1.1")
		n.Via(t, "eth0", "128.0.0.0/1", "169.254.1.1")
		n.Via(t, "eth0", "2000::/3", "fe80::1")
	}
	for to, sees := range map[string]string{"198.18.0.1:443": "10.2.0.2", "[" + somewhere6 + "]:443": "fd10::2"} {
		said, err := s.ask(pod.NS, to, patience)
		if assert.NoError(t, err, to) {
			assert.Equal(t, "world sees "+sees, said)
		}
		said, err = s.ask(plain, to, patience)
		require.NoError(t, err)
		assert.Contains(t, said, "node sees", "a pod that nobody guards")
	}
}
