//go:build datapath

package overlay

import (
	"encoding/json"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/tests/internal/ns"
	"github.com/charmarr/charmarr-go/vpnk8slib"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// Root asks whom resolv.conf has, as verify-egress does, and the guard leads the question to the agent, as it leads the workload's. Where no
// guard stands it goes nowhere: the cluster hears nothing of it, of what it would else hear.
func TestVerifyAsksForNamesAsTheWorkloadDoes(t *testing.T) {
	s := newWorld(t)
	inside, outside := s.resolver(s.node, "10.43.0.1"), s.resolver(s.world, "198.51.100.7")
	gateway := s.gatewayAgent("10.42.0.7", nil)
	gateway.config.Gateway.Names, gateway.config.Gateway.Resolvers = 5300, []netip.AddrPort{netip.MustParseAddrPort(outsideResolver)}
	gateway.Configure(gateway.config)
	pod := s.clientAgent("10.42.0.5", way, qbittorrentKey, &overlay.Names{
		Port: 5301, Zones: []string{"cluster.local"}, Networks: way.Direct,
		Cluster: []netip.AddrPort{netip.MustParseAddrPort(clusterResolver)}, Outside: []netip.AddrPort{netip.AddrPortFrom(way.Gateway, 5300)},
	})
	require.Eventually(t, func() bool {
		said, err := s.lookup(pod.NS, 1000, "udp", clusterResolver, tracker)
		return err == nil && said == "198.51.100.7"
	}, patience, moment, "names come with the gateway's configuration")
	before, heard := outside.Load(), inside.Load()
	said := s.verified(pod.NS)
	assert.Equal(t, "198.51.100.7", said.Resolver.Said)
	assert.NotEmpty(t, said.Asked)
	assert.Equal(t, before+1, outside.Load())

	bare := s.join("10.42.0.77", "fd42::77")
	control := s.node.Count(t, "p0.77")
	assert.Empty(t, s.verified(bare).Resolver.Said, "nobody guards this pod")
	resolver := netip.MustParseAddrPort(said.Asked)
	assert.Zero(t, control.Of(resolver.Addr().String()), "LEAK")
	_, _ = s.lookup(bare, 0, "udp", resolver.String(), tracker)
	assert.Positive(t, control.Until(resolver.Addr().String()), "whoever asks as programs do would be seen")
	assert.Equal(t, heard, inside.Load())
}

// verifying has this test's program be a charm's in a pod.
const verifying = "VERIFIES_IN_A_POD"

// verified is what a charm sees that verifies in a pod: a program of its own, all of whose threads are there.
func (s *stage) verified(pod *ns.NS) (e vpnk8slib.Egress) {
	s.Helper()
	require.NoError(s, pod.Do(s.T, func() error {
		charm := exec.Command(os.Args[0], "-test.run=^TestIsInAPod$")
		charm.Env = append(os.Environ(), verifying+"=1")
		out, err := charm.Output()
		if err != nil {
			return err
		}
		return json.NewDecoder(strings.NewReader(string(out))).Decode(&e)
	}))
	return e
}

// TestIsInAPod is that program.
func TestIsInAPod(t *testing.T) {
	if os.Getenv(verifying) == "" {
		t.Skip("it is run in a pod")
	}
	e := vpnk8slib.TryEgress(t.Context(), vpnk8slib.ByOverlay, vpnk8slib.EgressTargets{Name: tracker}, time.Second)
	_ = json.NewEncoder(os.Stdout).Encode(map[string]any{"Resolver": map[string]any{"Said": e.Resolver.Said}, "Asked": e.Asked})
}
