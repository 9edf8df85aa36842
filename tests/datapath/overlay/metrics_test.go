//go:build datapath

package overlay

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/tests/internal/ns"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// Whoever watches a gateway reads its numbers from the cluster, and when its tunnel is dead above all. Nothing else is told there. A
// client does not read them through the overlay, nor does anybody in the tunnel; and a client's own are nobody's outside its pod.
func TestMetricsAreToldToTheCluster(t *testing.T) {
	s := newWorld(t)
	gateway := s.gatewayAgent("10.42.0.7", nil)
	prometheus := s.join("10.42.0.9", "fd42::9")
	pod := s.clientAgent("10.42.0.5", way, qbittorrentKey)
	s.through(pod.NS)
	gateway.Until("the tunnel is up", func(r overlay.Report) bool { return r.Gateway != nil && r.Gateway.Tunnel })

	_, err := s.get(prometheus, "10.42.0.7:4794", "/metrics", moment)
	require.Error(t, err, "the guard lets in what it is told, and nobody has told it yet")
	gateway.config.Guard.Inbound = []uint16{overlay.MetricsPort}
	gateway.config.Gateway.Exit = netip.MustParseAddr("10.2.0.2")
	gateway.config.Gateway.Blocks[0].App = "qbittorrent"
	gateway.Configure(gateway.config)
	told := func(lines ...string) {
		t.Helper()
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			text, err := s.get(prometheus, "10.42.0.7:4794", "/metrics", moment)
			require.NoError(c, err)
			for _, line := range lines {
				assert.Contains(c, text, "charmarr_vpn_"+line+"\n")
			}
		}, 15*time.Second, 100*time.Millisecond)
	}
	told("gateway_tunnel_up 1", `gateway_exit_info{address="10.2.0.2"} 1`, `gateway_client_routed{app="qbittorrent",name="qbittorrent",unit="2"} 1`,
		"guard_standing 1", `gateway_tunnel_reconnects_total{reason="silent"} 0`)
	for _, path := range []string{"/v1/report", "/", "/debug/pprof/"} {
		text, err := s.get(prometheus, "10.42.0.7:4794", path, patience)
		require.NoError(t, err)
		assert.Contains(t, text, "404 Not Found", path)
	}

	before := gateway.Report()
	_, err = s.get(pod.NS, "172.16.0.1:4794", "/metrics", moment)
	require.Error(t, err, "a client, through the overlay")
	assert.Greater(t, gateway.Report().Gateway.Dropped["local"], before.Gateway.Dropped["local"])
	_, err = s.get(s.world, "10.2.0.2:4794", "/metrics", moment)
	require.Error(t, err, "the world, through the tunnel")
	assert.Greater(t, gateway.Report().Guard.Dropped["in"], before.Guard.Dropped["in"])
	_, err = s.get(prometheus, "10.42.0.5:4794", "/metrics", moment)
	require.Error(t, err, "a client's are told in its own pod")
	text, err := s.get(pod.NS, "127.0.0.1:4794", "/metrics", patience)
	require.NoError(t, err)
	assert.Contains(t, text, "charmarr_vpn_client_gateway_heard 1\n")

	// The provider's end falls silent, and comes back; then the VPN client takes the tunnel away.
	s.world.Route(t, "lo", "10.2.0.2/32")
	told("gateway_tunnel_up 0", "guard_standing 1", `gateway_client_routed{app="qbittorrent",name="qbittorrent",unit="2"} 1`)
	text, err = s.get(prometheus, "10.42.0.7:4794", "/metrics", patience)
	require.NoError(t, err)
	assert.NotContains(t, text, "exit_info")
	s.world.Route(t, "t0.7", "10.2.0.2/32")
	told("gateway_tunnel_up 1", `gateway_tunnel_reconnects_total{reason="silent"} 1`, `gateway_tunnel_reconnects_total{reason="gone"} 0`)
	gateway.Delete(t, "tun0")
	told("gateway_tunnel_up 0")
	text, err = s.get(prometheus, "10.42.0.7:4794", "/metrics", patience)
	require.NoError(t, err)
	assert.NotContains(t, text, "tunnel_mtu")
}

// get asks for a page over HTTP from inside a namespace, and returns all that is answered.
func (s *stage) get(n *ns.NS, at, path string, wait time.Duration) (said string, err error) {
	err = n.Do(s.T, func() error {
		c, err := net.DialTimeout("tcp", at, wait)
		if err != nil {
			return err
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(patience))
		fmt.Fprintf(c, "GET %s HTTP/1.0\r\n\r\n", path)
		b, err := io.ReadAll(c)
		said = string(b)
		return err
	})
	return said, err
}
