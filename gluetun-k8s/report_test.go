package main

import (
	"encoding/json"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/vpnk8slib"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// Whoever asks is told of tunnel, consumers and drops, and of nothing that is secret.
func TestReport(t *testing.T) {
	now := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	o := ready(t)
	o.Config.RoutingMethod, o.Config.PortServer = vpnk8slib.Overlay, server{netip.MustParseAddr("10.2.0.1")}
	o.View.Images = map[string]string{container: "ghcr.io/qdm12/gluetun:v3.41.1"}
	o.Consumers[0].Data.WantPort = true
	o.Leases.Blocks = []overlay.Block{{Name: "vpn-gateway-1", Addresses: netip.MustParsePrefix("172.16.0.16/28")}, {Name: "vpn-gateway-2", Addresses: netip.MustParsePrefix("172.16.0.32/28")}}
	o.Leases.Keys = map[string]string{"vpn-gateway-1": "the key of the lease"}
	o.Pod.Agent = &overlay.Report{
		Guard: overlay.GuardState{Standing: true, Dropped: map[string]uint64{"out": 3, "in": 0}},
		Gateway: &overlay.GatewayState{Tunnel: true, Foreign: 1, Dropped: map[string]uint64{"stranger": 2}, Clients: map[netip.Addr]overlay.ClientSeen{
			netip.MustParseAddr("172.16.0.17"): {Pod: netip.MustParseAddr("10.42.0.5"), Heard: now.Add(-60 * time.Millisecond)},
			netip.MustParseAddr("172.16.0.18"): {Pod: netip.MustParseAddr("10.42.0.6")},
			netip.MustParseAddr("172.16.0.33"): {Pod: netip.MustParseAddr("10.42.0.9")}, // another's
		}, Ports: map[string]overlay.Lease{"vpn-gateway-1": {Port: 40001, Lifetime: 60}}},
	}
	r := reportOf(o, now)
	assert.Equal(t, `status    active connected, seen as 192.0.2.2
tunnel    up, seen as 192.0.2.2
vpn       custom over wireguard, the one that you have named
gluetun   ghcr.io/qdm12/gluetun:v3.41.1
routing   overlay, network 172.16.0.0/20, number 42
guard     stands
dropped   2 by the gateway stranger
dropped   3 by the guard out
consumer  qbittorrent; port 40001; 172.16.0.17 in pod 10.42.0.5 heard 0.1 s ago; 172.16.0.18 in pod 10.42.0.6 not heard yet`, r.table())
	text, err := json.Marshal(r)
	require.NoError(t, err)
	assert.Contains(t, string(text), `"heard_s":0.06`)
	for _, secret := range []string{privateKey, "the key of the lease", "10.2.0.2"} {
		assert.NotContains(t, string(text)+r.table(), secret)
	}

	o = ready(t)
	o.Tunnel = Tunnel{}
	o.Consumers[0].Data.WantPort = true
	r = reportOf(o, now)
	assert.Nil(t, r.Guard, "the routing method's scripts do not say")
	assert.False(t, r.Tunnel)
	assert.Contains(t, r.table(), "guard     unknown")
	assert.Contains(t, r.table(), "consumer  qbittorrent")
}

func TestServerOf(t *testing.T) {
	for says, values := range map[string][]string{
		"the one that you have named": {"provider=custom"},
		"any of the provider's":       {"provider=mullvad"},
		"one of the provider's with server-countries=Sweden,Norway, OWNED_ONLY": {"provider=mullvad", "countries=Sweden,Norway", "overrides=OWNED_ONLY=on\nWIREGUARD_MTU=1400"},
	} {
		c, errs := options(t, values...)
		require.Empty(t, errs)
		assert.Equal(t, says, serverOf(c))
	}
}
