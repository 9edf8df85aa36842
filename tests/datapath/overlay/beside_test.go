//go:build datapath

package overlay

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/charmarr/charmarr-go/tests/internal/ns"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/gateway"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/guard"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/route"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// A VPN has addresses of its own in 10.0.0.0/8, where clusters are too: only the cluster's exact networks are the cluster's.
func TestTheVPNsOwnAddressesAreBehindTheTunnel(t *testing.T) {
	vpns := []string{"10.64.0.1", "10.2.0.1"} // of Mullvad and of Proton
	s := newWorld(t)
	for _, n := range []*ns.NS{s.node, s.world} {
		for _, a := range vpns {
			n.Own(t, a+"/32")
		}
	}
	g := s.gatewayAgent("10.42.0.7", nil)
	pod := s.clientAgent("10.42.0.5", way, qbittorrentKey)
	s.through(pod.NS)
	plain := s.join("10.42.0.6", "fd42::6")
	for _, a := range vpns {
		g.Route(t, "tun0", a+"/32") // as a VPN client does, for the pod's own
		own, out := s.node.Count(t, "p0.5"), s.node.Count(t, "p0.7")
		said, err := s.ask(plain, a+":443", patience)
		require.NoError(t, err)
		require.Equal(t, "node sees 10.42.0.6", said, "a pod that nobody guards")
		for from, end := range map[string]*ns.NS{"a client": pod.NS, "the gateway": g.NS} {
			said, err = s.ask(end, a+":443", patience)
			require.NoError(t, err, from)
			assert.Equal(t, "world sees 10.2.0.2", said, from)
		}
		// Led astray.
		for from, m := range map[string]*member{"a client": pod, "the gateway": g} {
			before := m.Report().Guard.Dropped[guard.Out]
			_ = m.Do(t, func() error { return bound("udp", route.Bound("eth0"))(netip.MustParseAddrPort(a + ":443")) })
			assert.Greater(t, m.Report().Guard.Dropped[guard.Out], before, from)
		}
		assert.Zero(t, own.Of(a)+out.Of(a), "LEAK")
	}
}

// The gateway's own traffic takes the tunnel or nothing, on whatever port. Its VPN client's way to its server stays.
func TestTheGatewaysOwnTrafficStaysInside(t *testing.T) {
	s := newWorld(t)
	g := s.gatewayAgent("10.42.0.7", nil)
	g.Until("the guard stands", func(r overlay.Report) bool { return r.Guard.Standing })
	out := s.node.Count(t, "p0.7")
	s.sees(g.NS, "world sees 10.2.0.2")
	g.Delete(t, "tun0") // its VPN client is gone
	before := g.Report().Guard.Dropped[guard.Out]
	_, err := s.ask(g.NS, "198.18.0.1:443", moment)
	require.Error(t, err)
	assert.Greater(t, g.Report().Guard.Dropped[guard.Out], before)
	assert.Zero(t, out.Of("198.18.0.1"), "LEAK")
	own := server.Addr().String()
	_ = g.Do(t, func() error { return bound("udp", nil)(netip.AddrPortFrom(server.Addr(), 443)) })
	assert.Zero(t, out.Of(own), "LEAK: another port of its server's")
	require.NoError(t, g.Do(t, func() error { return bound("udp", nil)(server) }))
	assert.Positive(t, out.Until(own), "its VPN client's own packets")

	g.Kill()
	require.NoError(t, g.Do(t, guard.Remove))
	s.sees(g.NS, "node sees 10.42.0.7")
	assert.Positive(t, out.Until("198.18.0.1"), "without the guard")
}

// Without its rule and without the tunnel a client's packets would find the gateway's own way out.
func TestAClientIsNotForwardedBesideTheTunnel(t *testing.T) {
	s := newStage(t)
	s.set(s.pod, way)
	out := s.node.Count(t, "p0.7")
	s.gateway.Delete(t, "tun0")
	_, err := s.ask(s.pod, "198.18.0.1:443", patience)
	require.ErrorIs(t, err, unix.EHOSTUNREACH)
	s.gateway.NoRules(t, "vxlan0")
	before := s.gateway.dropped(t, gateway.Beyond)
	_, err = s.ask(s.pod, "198.18.0.1:443", moment)
	require.Error(t, err)
	assert.Greater(t, s.gateway.dropped(t, gateway.Beyond), before)
	assert.Zero(t, out.Of("198.18.0.1"), "LEAK")

	s.gateway.empty(t, "forward")
	_, _ = s.ask(s.pod, "198.18.0.1:443", moment)
	assert.Positive(t, out.Until("198.18.0.1"), "without the gateway's rules")
}
