package metrics

import (
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

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
		Clients: map[netip.Addr]overlay.ClientSeen{netip.MustParseAddr("172.16.0.16"): {Name: "vpn-gateway-3"}},
	}
	text = ask(r)
	assert.Contains(t, text, "charmarr_vpn_gateway_tunnel_up 1\n")
	assert.Contains(t, text, "charmarr_vpn_gateway_clients 1\n")
	assert.Contains(t, text, `charmarr_vpn_gateway_refused_heartbeats_total{reason="foreign"} 4`)
	assert.Contains(t, text, `charmarr_vpn_gateway_refused_heartbeats_total{reason="stale"} 5`)
	assert.Contains(t, text, `charmarr_vpn_gateway_dropped_packets_total{reason="spoofed"} 6`)
	assert.NotContains(t, text, "holds_lease", "it is the only unit")

	for want, place := range map[string]overlay.StandbyState{"1": {Known: true, Active: true}, "0": {Known: true}, "-1": {Active: true}} {
		r.Gateway.Standby = &place
		assert.Contains(t, ask(r), "\ncharmarr_vpn_gateway_holds_lease "+want+"\n")
	}
}

// Somebody who looks at a gateway's dashboard sees the tunnel's life, who is led through it, and what is asked for there.
func TestMetricsOfAGateway(t *testing.T) {
	now := time.Now()
	text := ask(overlay.Report{
		Asked: map[string]uint64{"tunnel": 12, "cluster": 3, "nobody": 0},
		Gateway: &overlay.GatewayState{
			Tunnel: true, Exit: netip.MustParseAddr("192.0.2.2"), Lost: map[string]uint64{"silent": 2, "gone": 0},
			Link: &overlay.TunnelLink{MTU: 1320, Received: 5000, Sent: 700, Shaken: now.Add(-50 * time.Second)},
			Clients: map[netip.Addr]overlay.ClientSeen{
				netip.MustParseAddr("172.16.0.16"): {Name: "vpn-gateway-3", App: "qbittorrent", Heard: now},
				netip.MustParseAddr("172.16.0.33"): {Name: "vpn-gateway-4", App: "sonarr", Unit: 1, Heard: now.Add(-time.Minute)},
			},
			Ports: map[string]overlay.Lease{"vpn-gateway-3": {Port: 40001, Until: now.Add(30 * time.Second)}, "vpn-gateway-4": {}},
		},
	})
	for _, line := range []string{
		`charmarr_vpn_dns_queries_total{path="tunnel"} 12`,
		`charmarr_vpn_dns_queries_total{path="nobody"} 0`,
		`charmarr_vpn_gateway_exit_info{address="192.0.2.2"} 1`,
		`charmarr_vpn_gateway_tunnel_reconnects_total{reason="silent"} 2`,
		`charmarr_vpn_gateway_tunnel_reconnects_total{reason="gone"} 0`,
		`charmarr_vpn_gateway_tunnel_mtu_bytes 1320`,
		`charmarr_vpn_gateway_tunnel_received_bytes_total 5000`,
		`charmarr_vpn_gateway_tunnel_sent_bytes_total 700`,
		`charmarr_vpn_gateway_client_routed{app="qbittorrent",name="vpn-gateway-3",unit="0"} 1`,
		`charmarr_vpn_gateway_client_routed{app="sonarr",name="vpn-gateway-4",unit="1"} 0`,
		`charmarr_vpn_gateway_forwarded_port{name="vpn-gateway-3"} 40001`,
		`charmarr_vpn_gateway_port_lease_seconds{name="vpn-gateway-4"} 0`,
	} {
		assert.Contains(t, text, line+"\n")
	}
	assert.Regexp(t, `gateway_tunnel_handshake_age_seconds 5[0-9]`, text)
	assert.Regexp(t, `gateway_port_lease_seconds\{name="vpn-gateway-3"\} (29|30)`, text)

	text = ask(overlay.Report{Gateway: &overlay.GatewayState{
		Exit: netip.MustParseAddr("192.0.2.2"), Link: &overlay.TunnelLink{MTU: 1320},
	}})
	assert.Contains(t, text, "charmarr_vpn_gateway_login_refused 0\n")
	refused := overlay.Report{Gateway: &overlay.GatewayState{Refused: true}}
	assert.Contains(t, ask(refused), "charmarr_vpn_gateway_login_refused 1\n")
	refused.Gateway.Tunnel = true
	assert.Contains(t, ask(refused), "charmarr_vpn_gateway_login_refused 0\n", "what the charm heard is older")
	assert.Contains(t, text, "charmarr_vpn_gateway_tunnel_up 0\n", "a number, also of a tunnel that never was up: an alert can see it")
	assert.NotContains(t, text, "exit_info", "a tunnel that is down has no exit")
	assert.NotContains(t, text, "handshake", "what is not known is not said")
}

// Somebody whose client is in trouble sees it at its gateway: the client's own numbers are told in its pod. Of an agent that is older, or that
// does not know, nothing is claimed.
func TestWhatClientsSay(t *testing.T) {
	client := func(unit int, said overlay.Said) overlay.ClientSeen {
		return overlay.ClientSeen{Name: "vpn-gateway-3", App: "qbittorrent", Unit: unit, Said: said}
	}
	text := ask(overlay.Report{
		Guard: overlay.GuardState{Kinds: []overlay.Kind{{Family: "ipv4", Protocol: "udp", Packets: 7}, {Family: "ipv6", Protocol: "icmp"}}},
		Gateway: &overlay.GatewayState{
			Tunnel: true, Country: "Sweden", Listed: time.Now().Add(-time.Hour),
			Link: &overlay.TunnelLink{WireGuard: true, Server: netip.MustParseAddr("198.51.100.7")},
			Clients: map[netip.Addr]overlay.ClientSeen{
				netip.MustParseAddr("172.16.0.16"): client(0, overlay.Said{Guard: overlay.Yes, Policy: overlay.Yes, Leaves: overlay.No}),
				netip.MustParseAddr("172.16.0.17"): client(1, overlay.Said{Guard: overlay.No, Policy: overlay.No, Leaves: overlay.Yes}),
				netip.MustParseAddr("172.16.0.18"): client(2, overlay.Said{Guard: overlay.Unknown, Policy: overlay.Unknown, Leaves: overlay.Unknown}),
				netip.MustParseAddr("172.16.0.19"): client(3, overlay.Said{}),
			},
		},
	})
	for _, line := range []string{
		`killswitch_dropped_packets_total{family="ipv4",proto="udp"} 7`,
		`killswitch_dropped_packets_total{family="ipv6",proto="icmp"} 0`,
		`gateway_server_info{country="Sweden",server="198.51.100.7"} 1`,
		`gateway_tunnel_server_answered 0`,
		`gateway_client_protected{app="qbittorrent",name="vpn-gateway-3",unit="0"} 1`,
		`gateway_client_protected{app="qbittorrent",name="vpn-gateway-3",unit="1"} 0`,
		`gateway_client_policy_enforced{app="qbittorrent",name="vpn-gateway-3",unit="0"} 1`,
		`gateway_client_policy_enforced{app="qbittorrent",name="vpn-gateway-3",unit="1"} 0`,
		`gateway_client_policy_enforced{app="qbittorrent",name="vpn-gateway-3",unit="2"} -1`,
		`gateway_client_leaves{app="qbittorrent",name="vpn-gateway-3",unit="0"} 0`,
		`gateway_client_leaves{app="qbittorrent",name="vpn-gateway-3",unit="1"} 1`,
	} {
		assert.Contains(t, text, "charmarr_vpn_"+line+"\n")
	}
	assert.Regexp(t, `gateway_server_list_age_seconds 36[0-9][0-9]`, text)
	assert.Equal(t, 2, strings.Count(text, "\ncharmarr_vpn_gateway_client_protected{"))
	assert.Equal(t, 3, strings.Count(text, "\ncharmarr_vpn_gateway_client_policy_enforced{"))
	assert.Equal(t, 2, strings.Count(text, "\ncharmarr_vpn_gateway_client_leaves{"))

	text = ask(overlay.Report{Gateway: &overlay.GatewayState{Country: "Sweden", Link: &overlay.TunnelLink{Server: netip.MustParseAddr("198.51.100.7")}}})
	assert.NotContains(t, text, "server_info", "a tunnel that is down leads nowhere")
	assert.NotContains(t, text, "server_answered", "only WireGuard tells")
	assert.NotContains(t, text, "list_age")
	text = ask(overlay.Report{Gateway: &overlay.GatewayState{Tunnel: true, Link: &overlay.TunnelLink{WireGuard: true, Shaken: time.Now()}}})
	assert.Contains(t, text, "charmarr_vpn_gateway_tunnel_server_answered 1\n")
	assert.NotContains(t, text, "server_info", "a server that somebody has named is told to nobody")
}

// What listens for a change of the ports that lead in sees no other line change with every second.
func TestPortsAreToldApart(t *testing.T) {
	for line := range strings.Lines(ask(overlay.Report{Gateway: &overlay.GatewayState{
		Ports: map[string]overlay.Lease{"vpn-gateway-3": {Port: 40001, Until: time.Now().Add(time.Minute)}},
	}})) {
		if strings.HasPrefix(line, "charmarr_vpn_gateway_forwarded_port") {
			assert.Equal(t, "charmarr_vpn_gateway_forwarded_port{name=\"vpn-gateway-3\"} 40001\n", line)
		}
	}
}
