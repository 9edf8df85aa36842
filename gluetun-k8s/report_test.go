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
	now := noon
	o := ready(t)
	o.Tunnel.Handshake = Handshake{true, noon.Add(-time.Minute), false}
	o.Config.RoutingMethod, o.Config.PortServer = vpnk8slib.Overlay, by("10.2.0.1")
	o.View.Images = map[string]string{container: "ghcr.io/qdm12/gluetun:v3.41.1"}
	o.Consumers[0].Data.WantPort = true
	o.Leases.Blocks = []overlay.Block{{Name: "vpn-gateway-1", Addresses: netip.MustParsePrefix("172.16.0.16/28")}, {Name: "vpn-gateway-2", Addresses: netip.MustParsePrefix("172.16.0.32/28")}}
	o.Leases.Keys = map[string]string{"vpn-gateway-1": "the key of the lease"}
	o.Pod.Agent = &overlay.Report{
		Guard: overlay.GuardState{Standing: true, Raw: true, Dropped: map[string]uint64{"out": 3, "in": 0}},
		Gateway: &overlay.GatewayState{Tunnel: true, Foreign: 1, Dropped: map[string]uint64{"stranger": 2}, Clients: map[netip.Addr]overlay.ClientSeen{
			netip.MustParseAddr("172.16.0.17"): {Pod: netip.MustParseAddr("10.42.0.5"), Heard: now.Add(-60 * time.Millisecond)},
			netip.MustParseAddr("172.16.0.18"): {Pod: netip.MustParseAddr("10.42.0.6")},
			netip.MustParseAddr("172.16.0.33"): {Pod: netip.MustParseAddr("10.42.0.9")}, // another's
		}, Ports: map[string]overlay.Lease{"vpn-gateway-1": {Port: 40001, Lifetime: 60}}},
	}
	r := reportOf(o, Reconcile(o).Status, now)
	assert.Equal(t, `status    active connected, seen as 192.0.2.2
tunnel    up, seen as 192.0.2.2, handshake at 11:59:00 UTC
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
	r = reportOf(o, Reconcile(o).Status, now)
	assert.Nil(t, r.Guard, "the routing method's scripts do not say")
	assert.False(t, r.Tunnel)
	assert.Contains(t, r.table(), "guard     unknown")
	assert.Contains(t, r.table(), "consumer  qbittorrent")
}

// A unit that stands by tells of the tunnel as the one that has it does, and names that one.
func TestReportOfAStandby(t *testing.T) {
	for _, leads := range []bool{true, false} {
		o := several(t)
		o.Leader, o.Container.Running, o.Others, o.Tunnel = leads, false, []string{"gluetun/1"}, Tunnel{}
		p := heldBySecond
		o.Pod.Agent.Gateway.Standby = &p
		o.followHolder()
		o.heard(`{"pod":"10.42.0.9","exit":"192.0.2.9"}`)
		r := reportOf(o, Reconcile(o).Status, time.Now())
		assert.Equal(t, "gluetun/1", r.Holder)
		assert.Equal(t, `status    active standby: gluetun-1 has the tunnel
tunnel    up, seen as 192.0.2.9, in gluetun/1; more: juju run gluetun/1 get-status
vpn       custom over wireguard, the one that you have named
gluetun   does not run here
routing   overlay, network 172.16.0.0/20, number 42
guard     stands
consumer  qbittorrent; 172.16.0.16 in pod 10.42.0.5`, r.table(), leads)
	}
}

// Whoever is asked for what another unit knows names that one; with pod-gateway it is the leader.
func TestWhom(t *testing.T) {
	for whom, o := range map[string]func(*Observed){
		"":          func(*Observed) {},
		"gluetun/1": func(o *Observed) { p := heldBySecond; o.Pod.Agent.Gateway.Standby = &p },
		"gluetun/leader": func(o *Observed) {
			o.Config.RoutingMethod, o.Leader, o.Pod.Agent = "pod-gateway", false, nil
		},
	} {
		seen := several(t)
		o(&seen)
		assert.Equal(t, whom, seen.whom())
	}
	for summary, p := range map[string]overlay.StandbyState{
		"nobody knows":               {},
		"nobody has it":              {Known: true},
		"it cannot ask any more":     {Known: true, Holder: "gluetun-1", Error: "no answer"},
		"a pod of this unit, before": {Known: true, Holder: "gluetun-0"},
	} {
		o := several(t)
		o.Pod.Agent.Gateway.Standby = &p
		assert.Empty(t, o.whom(), summary)
	}
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
