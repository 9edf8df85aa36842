//go:build integration

package integration

import (
	"context"
	"log/slog"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/charmarr/charmarr-go/vpnk8slib"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/standby"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// Two agents of a gateway agree on a Lease of a real API server, by a token that opens nothing else.
func TestStandby(t *testing.T) {
	const name, account = "gluetun", "gluetun-vpn-standby"
	ns := server.Namespace(t)
	server.Juju(t, ns, name, "ensure", "-containers=gluetun=ghcr.io/qdm12/gluetun:v3.41.1", "-trust")
	wire := server.Wire(t, server.Token(t, ns, name))
	kube, err := vpnk8slib.NewKube(wire.Config)
	require.NoError(t, err)
	network, err := vpnk8slib.Discover(t.Context(), kube, told())
	require.NoError(t, err)
	hook := func() (writes []string, generation int64) {
		t.Helper()
		gateway := vpnk8slib.Gateway{
			App: vpnk8slib.App{Name: name, Namespace: ns, Unit: name + "/0"}, Data: vpnk8slib.ReadLink(app, gateway(id)).Gateway, Network: network,
			Workload: name, Trials: proven, Endpoint: vpnk8slib.Endpoint{Addr: netip.MustParseAddr("198.51.100.200"), Ports: []uint16{51820}},
			Pod: netip.MustParseAddr("10.42.0.7"), Probes: []netip.AddrPort{netip.MustParseAddrPort("1.1.1.1:443")},
		}
		gateway.Data.RoutingMethod = vpnk8slib.Overlay
		gateway.Standby, err = vpnk8slib.ObserveStandby(t.Context(), kube, gateway.App, []string{name + "/1"})
		require.NoError(t, err)
		protect, err := vpnk8slib.GatewayPlans(gateway)
		require.NoError(t, err)
		wire.Take()
		require.NoError(t, vpnk8slib.Reconcile(t.Context(), kube, protect))
		_, writes = wire.Take()
		s, err := server.Admin.AppsV1().StatefulSets(ns).Get(t.Context(), name, metav1.GetOptions{})
		require.NoError(t, err)
		return writes, s.Generation
	}
	agents := server.Wire(t, "")
	writes, generation := hook()
	assert.Len(t, writes, 7, "what they agree by, settings, template: %v", writes)
	secret, err := server.Admin.CoreV1().Secrets(ns).Get(t.Context(), account, metav1.GetOptions{})
	require.NoError(t, err)
	assert.Empty(t, secret.Data, "no controller runs here that would put a token in")
	secret.Data = map[string][]byte{"token": []byte(server.Token(t, ns, account)), "ca.crt": agents.CA}
	_, err = server.Admin.CoreV1().Secrets(ns).Update(t.Context(), secret, metav1.UpdateOptions{})
	require.NoError(t, err)
	writes, _ = hook()
	assert.Len(t, writes, 1, "the agents are told: %v", writes)
	writes, again := hook()
	assert.Empty(t, writes)
	assert.Equal(t, generation, again, "no pod is rolled")

	dir := t.TempDir()
	for file, text := range secret.Data {
		require.NoError(t, os.WriteFile(filepath.Join(dir, file), text, 0o600))
	}
	host, err := url.Parse(agents.Config.Host)
	require.NoError(t, err)
	rule := &overlay.Standby{Namespace: ns, Lease: account}
	agent := func(pod string, first bool) (k *standby.Keeper, end func()) {
		ctx, cancel := context.WithCancel(t.Context())
		k = &standby.Keeper{
			Log: slog.New(slog.DiscardHandler), Pod: pod, Server: host.Host, Dir: dir, Folder: t.TempDir(),
			Held: func() overlay.Held { return overlay.Held{Pod: netip.MustParseAddr("10.42.0.7"), Tunnel: true} },
		}
		k.Follow(rule, first)
		ended := make(chan struct{})
		go func() { defer close(ended); _ = k.Run(ctx) }()
		return k, func() { cancel(); <-ended }
	}
	first, end := agent("gluetun-0", true)
	require.Eventually(t, first.Active, 10*time.Second, 10*time.Millisecond, "%v", first.State())
	second, endSecond := agent("gluetun-1", false)
	require.Eventually(t, func() bool { return second.State().Known }, 10*time.Second, 10*time.Millisecond)
	seen := second.State()
	assert.WithinDuration(t, time.Now(), seen.Renewed, 10*time.Second)
	seen.Renewed = time.Time{}
	assert.Equal(t, &overlay.StandbyState{Known: true, Holder: "gluetun-0", Held: overlay.Held{Pod: netip.MustParseAddr("10.42.0.7"), Tunnel: true}}, seen)
	writes, _ = hook()
	assert.Empty(t, writes, "what the agents write is not the charm's")
	for began := time.Now(); time.Since(began) < 2*standby.Lasts; time.Sleep(10 * time.Millisecond) {
		require.True(t, first.Active())
		require.False(t, second.Active())
	}
	end()
	require.Eventually(t, second.Active, 5*time.Second, 10*time.Millisecond, "it was given back")
	endSecond()

	// The same token, asked for anything else.
	theirs, err := vpnk8slib.NewKube(server.Wire(t, string(secret.Data["token"])).Config)
	require.NoError(t, err)
	var into map[string]any
	require.NoError(t, theirs.Get(t.Context(), vpnk8slib.Ref{Kind: "Lease", Name: account, Namespace: ns}, &into))
	for _, ref := range []vpnk8slib.Ref{{Kind: "Lease", Name: "another", Namespace: ns}, {Kind: "Secret", Name: account, Namespace: ns}, {Kind: "Pod", Name: "gluetun-0", Namespace: ns}} {
		var forbidden *vpnk8slib.ForbiddenError
		require.ErrorAs(t, theirs.Get(t.Context(), ref, &into), &forbidden, "%s", ref)
	}
}
