//go:build datapath

package overlay

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// A tunnel is told to be dead when nothing comes back through it, and whoever else would answer is not asked: here the VPN client's own route
// into it is gone, the pod's leads out by the node, and the guard lets the question through.
func TestADeadTunnelIsNotTakenForTheWayBesideIt(t *testing.T) {
	s := newWorld(t)
	gateway := s.gatewayPod("10.42.0.7", nil)
	gateway.config.Guard.Outside = append(gateway.config.Guard.Outside, gateway.config.Gateway.Probes[0])
	gateway.Configure(gateway.config)
	gateway.Init()
	gateway.Start()
	client := s.clientAgent("10.42.0.5", way, qbittorrentKey)
	s.through(client.NS)
	gateway.Less(t, "tun0", "198.18.0.0/15")
	said, err := s.ask(gateway.NS, "198.18.0.1:443", patience)
	require.NoError(t, err)
	require.Equal(t, "node sees 10.42.0.7", said, "whoever is not bound to the tunnel is answered beside it")

	out := s.node.Count(t, "p0.7")
	s.world.Less(t, "t0.7", "10.2.0.2/32") // its server is silent from now on
	gateway.later("the tunnel is told to be dead", func(r overlay.Report) bool { return r.Gateway != nil && !r.Gateway.Tunnel })
	client.Until("its clients hear of it", func(r overlay.Report) bool { return !r.Client.Lost && !r.Client.Tunnel })
	assert.Zero(t, out.Of("198.18.0.1"), "nobody was asked beside it")
	s.world.Route(t, "t0.7", "10.2.0.2/32")
	gateway.Until("it is back", func(r overlay.Report) bool { return r.Gateway.Tunnel })
}
