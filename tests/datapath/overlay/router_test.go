//go:build datapath

package overlay

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/tests/internal/ns"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/gateway"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/guard"
)

// Whoever shares a network with a pod may name it as its router. Neither end of the overlay is one for strangers, also where the kernel
// would forward.
func TestAPodIsNoRouterForStrangers(t *testing.T) {
	s := newStage(t)
	seen := s.world.Count(t, "t0.7")
	for _, pod := range []*ns.NS{s.pod, s.gateway.NS} {
		pod.Forward(t)
	}
	s.world.Own(t, "203.0.113.0/24")
	s.gateway.Route(t, "tun0", "203.0.113.0/24")
	send := func(to string) {
		t.Helper()
		require.NoError(t, s.node.Do(t, func() error { return bound("udp", nil)(netip.MustParseAddrPort(to + ":9000")) }))
		time.Sleep(moment)
	}
	dropped := func(counter string) uint64 { return s.gateway.dropped(t, counter) }

	s.node.Via(t, "p0.7", "203.0.113.0/24", "10.42.0.7")
	before := dropped(gateway.Forward)
	send("203.0.113.1")
	assert.Zero(t, seen.Of("203.0.113.1"), "LEAK: a stranger uses the tunnel")
	assert.Greater(t, dropped(gateway.Forward), before)
	s.gateway.empty(t, "forward")
	send("203.0.113.2")
	assert.Positive(t, seen.Until("203.0.113.2"), "without the gateway's rules")
	require.NoError(t, s.gateway.Do(t, s.gateway.Remove))
	require.NoError(t, s.gateway.setUp(t))

	s.node.Via(t, "p0.5", "203.0.113.0/24", "10.42.0.5")
	s.set(s.pod, way)
	before = dropped(gateway.Spoofed)
	send("203.0.113.3")
	assert.Greater(t, dropped(gateway.Spoofed), before, "without its guard a client forwards to the gateway")
	s.guarded(s.pod, way)
	before = dropped(gateway.Spoofed)
	send("203.0.113.4")
	assert.Equal(t, before, dropped(gateway.Spoofed))
	assert.Positive(t, s.dropped(s.pod, guard.Forward))
}
