//go:build datapath

package overlay

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/vpnk8slib/agent/guard"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/route"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// What happens in a client's pod is seen at its gateway: that its guard does not stand, that something in it goes on trying to leave beside
// the overlay, and what its charm has measured.
func TestAGatewayTellsOfItsClients(t *testing.T) {
	s := newWorld(t)
	gateway := s.gatewayAgent("10.42.0.7", nil)
	c := way
	c.Policy = overlay.Unknown
	pod := s.clientAgent("10.42.0.5", c, qbittorrentKey)
	s.through(pod.NS)
	says := func(want overlay.Said, why string) {
		t.Helper()
		require.Eventually(t, func() bool { // its agent counts every ten seconds what is dropped
			r := gateway.Report()
			return r.Gateway != nil && r.Gateway.Clients[way.Address.Addr()].Said == want
		}, 30*time.Second, 50*time.Millisecond, why)
	}
	says(overlay.Said{Guard: overlay.Yes, Policy: overlay.Unknown, Leaves: overlay.No}, "all is well, as far as it is known")

	moves := pod.Report().Client.Moves
	pod.config.Client.Policy = overlay.Yes
	pod.Configure(pod.config)
	says(overlay.Said{Guard: overlay.Yes, Policy: overlay.Yes, Leaves: overlay.No}, "the charm has measured")
	assert.Equal(t, moves, pod.Report().Client.Moves, "nothing is laid anew for it")

	for range 40 { // bound to the pod's own interface, as a program that knows better
		_ = pod.Do(t, func() error { return bound("udp", route.Bound("eth0"))(netip.MustParseAddrPort("198.18.0.1:443")) })
	}
	says(overlay.Said{Guard: overlay.Yes, Policy: overlay.Yes, Leaves: overlay.Yes}, "something goes on trying to leave")

	// Somebody with the right to takes the guard away, and keeps its place. Of one that is taken away by half nothing is heard: what is left of
	// it lets nothing out.
	free := pod.Occupy(t, guard.Table)
	began := time.Now()
	gateway.Until("the guard does not stand", func(r overlay.Report) bool {
		return r.Gateway.Clients[way.Address.Addr()].Said.Guard == overlay.No
	})
	assert.Less(t, time.Since(began), 5*time.Second)
	free()
	gateway.Until("it stands again", func(r overlay.Report) bool {
		return r.Gateway.Clients[way.Address.Addr()].Said.Guard == overlay.Yes
	})
}
