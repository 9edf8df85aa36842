package metrics

import (
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

func ask(r overlay.Report) string {
	w := httptest.NewRecorder()
	Handler(func() overlay.Report { return r }).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	return w.Body.String()
}

// Somebody who is woken by an alert sees what was dropped, why, and whether the way is there.
func TestMetrics(t *testing.T) {
	r := overlay.Report{Guard: overlay.GuardState{Standing: true, Repairs: 2, Dropped: map[string]uint64{"out": 7, "raw": 0}}}
	text := ask(r)
	assert.Contains(t, text, "charmarr_vpn_guard_standing 1\n")
	assert.Contains(t, text, "charmarr_vpn_guard_raw 0\n")
	assert.Contains(t, text, "charmarr_vpn_guard_repairs_total 2\n")
	assert.Contains(t, text, `charmarr_vpn_guard_dropped_packets_total{reason="out"} 7`)
	assert.NotContains(t, text, "client_", "a pod without an end of the overlay has none to tell of")
	assert.NotContains(t, text, "gateway_")

	r.Client = &overlay.ClientState{Lost: true, Tunnel: true, Moves: 3, Foreign: 8, Stale: 9}
	text = ask(r)
	assert.Contains(t, text, "charmarr_vpn_client_gateway_heard 0\n")
	assert.Contains(t, text, "charmarr_vpn_client_tunnel_up 0\n", "who is not heard says nothing of its tunnel")
	assert.Contains(t, text, "charmarr_vpn_client_moves_total 3\n")
	assert.Contains(t, text, `charmarr_vpn_client_refused_heartbeats_total{reason="foreign"} 8`)
	assert.Contains(t, text, `charmarr_vpn_client_refused_heartbeats_total{reason="stale"} 9`)

	r.Client, r.Gateway = nil, &overlay.GatewayState{
		Tunnel: true, Foreign: 4, Stale: 5, Dropped: map[string]uint64{"spoofed": 6},
		Clients: map[netip.Addr]overlay.ClientSeen{netip.MustParseAddr("172.16.0.16"): {}},
	}
	text = ask(r)
	assert.Contains(t, text, "charmarr_vpn_gateway_tunnel_up 1\n")
	assert.Contains(t, text, "charmarr_vpn_gateway_clients 1\n")
	assert.Contains(t, text, `charmarr_vpn_gateway_refused_heartbeats_total{reason="foreign"} 4`)
	assert.Contains(t, text, `charmarr_vpn_gateway_refused_heartbeats_total{reason="stale"} 5`)
	assert.Contains(t, text, `charmarr_vpn_gateway_dropped_packets_total{reason="spoofed"} 6`)
}
