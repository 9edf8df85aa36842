//go:build datapath

package overlay

import (
	"net"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/vpnk8slib/agent/guard"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/route"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// A program that is bound to the pod's own interface, and one that asks over IPv6, ask the agent or nobody.
func TestQuestionsByOtherWays(t *testing.T) {
	const six = "[fd42::53]:53"
	s := newWorld(t)
	s.node.Addr(t, "lo", "fd42::53/128")
	inside := s.resolver(s.node, "10.43.0.1")
	s.resolver(s.world, "198.51.100.7")
	g := s.gatewayAgent("10.42.0.7", nil)
	g.config.Gateway.Names, g.config.Gateway.Resolvers = 5300, []netip.AddrPort{netip.MustParseAddrPort(outsideResolver)}
	g.Configure(g.config)
	names := &overlay.Names{
		Port: 5301, Zones: []string{"cluster.local"}, Networks: way.Direct,
		Cluster: []netip.AddrPort{netip.MustParseAddrPort(clusterResolver)}, Outside: []netip.AddrPort{netip.AddrPortFrom(way.Gateway, 5300)},
	}
	pod, plain := s.clientAgent("10.42.0.5", way, qbittorrentKey, names), s.join("10.42.0.6", "fd42::6")
	pod.Until("the tunnel is up", func(r overlay.Report) bool { return r.Client != nil && !r.Client.Lost && r.Client.Tunnel })
	require.Eventually(t, func() bool {
		said, err := s.lookup(pod.NS, 1000, "udp", clusterResolver, tracker)
		return err == nil && said == "198.51.100.7"
	}, patience, moment)
	for _, w := range []struct {
		name, transport, resolver string
		by                        *net.Dialer
	}{
		{"bound", "udp", clusterResolver, &net.Dialer{Timeout: moment, Control: route.Bound("eth0")}},
		{"bound, by TCP", "tcp", clusterResolver, &net.Dialer{Timeout: moment, Control: route.Bound("eth0")}},
		{"bound, over IPv6", "udp", six, &net.Dialer{Timeout: moment, Control: route.Bound("eth0")}},
		{"over IPv6", "udp", six, &net.Dialer{Timeout: patience}},
		{"over IPv6, by TCP", "tcp", six, &net.Dialer{Timeout: patience}},
	} {
		said, err := s.lookupBy(plain, 1000, w.by, w.transport, w.resolver, tracker)
		require.NoError(t, err, w.name)
		require.Equal(t, "10.43.0.1", said, "without an agent the cluster hears it: %s", w.name)
		require.EqualValues(t, 1, inside.Swap(0), w.name)
		for _, uid := range []int{1000, 0} {
			before := s.dropped(pod.NS, guard.Out)
			said, err = s.lookupBy(pod.NS, uid, w.by, w.transport, w.resolver, tracker)
			if w.by.Control != nil {
				assert.Error(t, err, w.name)
				assert.Greater(t, s.dropped(pod.NS, guard.Out), before, w.name)
			} else if assert.NoError(t, err, w.name) {
				assert.Equal(t, "198.51.100.7", said, w.name)
			}
			assert.Zero(t, inside.Load(), "LEAK: the cluster heard of a name from outside: %s", w.name)
		}
	}
}
