// Package metrics tells what an agent reports in the words of Prometheus.
package metrics

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// Handler answers with a report as it is when somebody asks.
func Handler(report func() overlay.Report) http.Handler {
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(collector(report)) // nothing else is registered that it could contradict
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{})
}

type collector func() overlay.Report

// Describe implements prometheus.Collector: which metrics there are, depends on which end this is.
func (collector) Describe(chan<- *prometheus.Desc) {}

var (
	guardStanding = desc("guard_standing", "1 while the guard is in force.")
	guardRaw      = desc("guard_raw", "1 while raw sockets are held as well.")
	guardRepairs  = desc("guard_repairs_total", "How often the guard was laid again because somebody else had changed it.")
	guardDropped  = desc("guard_dropped_packets_total", "Packets that the guard dropped.", "reason")

	guardKinds = desc("killswitch_dropped_packets_total", "Packets that the guard dropped instead of letting them leave beside the tunnel.", "family", "proto")

	clientHeard   = desc("client_gateway_heard", "1 while the gateway's heartbeats are heard.")
	clientTunnel  = desc("client_tunnel_up", "1 while the gateway says that packets come back through its tunnel.")
	clientMoves   = desc("client_moves_total", "How often the overlay was led to another pod.")
	clientRefused = desc("client_refused_heartbeats_total", "Heartbeats that were not taken: of no gateway with this key, or late, or sent a second time.", "reason")

	gatewayTunnel  = desc("gateway_tunnel_up", "1 while packets come back through the tunnel.")
	gatewayClients = desc("gateway_clients", "Clients that were heard by this gateway or an earlier one.")
	gatewayRefused = desc("gateway_refused_heartbeats_total", "Heartbeats that were not taken: of nobody with a key here, or late, or sent a second time.", "reason")
	gatewayPort    = desc("gateway_forwarded_port", "The port of the provider's that leads to an application; 0: it wants one and there is none.", "name")
	gatewayLease   = desc("gateway_port_lease_seconds", "For how long that port is still good, unless it is renewed.", "name")
	gatewayRouted  = desc("gateway_client_routed", "1 while the agent of a client's pod is heard, and so its packets are taken.", "name", "app", "unit")
	gatewayGuards  = desc("gateway_client_protected", "1 while the guard of a client's pod is in force, as its agent said when it was heard last; absent of an agent that is older than the question.", "name", "app", "unit")
	gatewayPolicy  = desc("gateway_client_policy_enforced", "1 where the cluster enforces NetworkPolicies for a client's pod, as its charm has measured, 0 where it does not, -1 where that is not known; absent of an agent that is older than the question.", "name", "app", "unit")
	gatewayLeaves  = desc("gateway_client_leaves", "1 while something in a client's pod goes on trying to leave beside the overlay, and its guard drops it, as its agent says; absent where that is not known.", "name", "app", "unit")
	gatewayHolds   = desc("gateway_holds_lease", "Of one of several units: 1 while it is the one that has the tunnel, 0 while another may have it, -1 while that is not known.")
	gatewayDropped = desc("gateway_dropped_packets_total", "Packets that the gateway dropped.", "reason")

	tunnelMTU      = desc("gateway_tunnel_mtu_bytes", "The largest packet that the tunnel's interface takes.")
	tunnelReceived = desc("gateway_tunnel_received_bytes_total", "Bytes that came out of the tunnel since its interface was made.")
	tunnelSent     = desc("gateway_tunnel_sent_bytes_total", "Bytes that went into the tunnel since its interface was made.")
	tunnelShaken   = desc("gateway_tunnel_handshake_age_seconds", "How long ago WireGuard, the kernel's or the VPN client's own, last shook hands with the server; absent with OpenVPN.")
	tunnelAnswered = desc("gateway_tunnel_server_answered", "1 once the server has shaken hands since the tunnel's interface was made, 0 before: it knows the key; absent with OpenVPN.")
	tunnelRefused  = desc("gateway_login_refused", "1 while the provider does not take the account, as the VPN client's log has it: OpenVPN's alone, a WireGuard server is silent.")
	tunnelServer   = desc("gateway_server_info", "1 while the tunnel is up, with the server's address where the VPN client has chosen it, and the country that the exit is in as the VPN client was told; empty: not known.", "server", "country")
	tunnelListed   = desc("gateway_server_list_age_seconds", "How old the provider's servers are that the VPN client chooses from; absent where it does not say.")
	tunnelCame     = desc("gateway_tunnel_reconnects_total", "How often the tunnel was lost and came back, by how it was lost: nothing came back, or its interface was gone.", "reason")
	tunnelExit     = desc("gateway_exit_info", "1, with the address that the world sees, while the tunnel is up.", "address")

	namesAsked = desc("dns_queries_total", "Questions for names, by who was asked: the cluster, one behind the tunnel, or nobody: there is no such name, or no way to who knows it.", "path")
)

// heard is for how long a client counts as heard that is not: some of its heartbeats may get lost.
const heard = 2 * time.Second

// policies are the numbers of what a charm has measured.
var policies = map[overlay.Word]float64{overlay.Yes: 1, overlay.No: 0, overlay.Unknown: -1}

// serverOf is the address of a gateway's server; empty where it is not known.
func serverOf(g *overlay.GatewayState) string {
	if g.Link == nil || !g.Link.Server.IsValid() {
		return ""
	}
	return g.Link.Server.String()
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("charmarr_vpn_"+name, help, labels, nil)
}

// Collect implements prometheus.Collector.
func (report collector) Collect(out chan<- prometheus.Metric) {
	r := report()
	tell := func(d *prometheus.Desc, kind prometheus.ValueType, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, kind, v, labels...)
	}
	is := func(d *prometheus.Desc, holds bool, labels ...string) {
		v := 0.0
		if holds {
			v = 1
		}
		tell(d, prometheus.GaugeValue, v, labels...)
	}
	count := func(d *prometheus.Desc, n uint64, labels ...string) {
		tell(d, prometheus.CounterValue, float64(n), labels...)
	}
	is(guardStanding, r.Guard.Standing)
	is(guardRaw, r.Guard.Raw)
	count(guardRepairs, uint64(r.Guard.Repairs))
	for reason, n := range r.Guard.Dropped {
		count(guardDropped, n, reason)
	}
	for _, k := range r.Guard.Kinds {
		count(guardKinds, k.Packets, k.Family, k.Protocol)
	}
	for path, n := range r.Asked {
		count(namesAsked, n, path)
	}
	if c := r.Client; c != nil {
		is(clientHeard, !c.Lost)
		is(clientTunnel, c.Tunnel && !c.Lost)
		count(clientMoves, uint64(c.Moves))
		count(clientRefused, c.Foreign, "foreign")
		count(clientRefused, c.Stale, "stale")
	}
	if g := r.Gateway; g != nil {
		is(gatewayTunnel, g.Tunnel)
		is(tunnelRefused, g.Refused && !g.Tunnel)
		tell(gatewayClients, prometheus.GaugeValue, float64(len(g.Clients)))
		count(gatewayRefused, g.Foreign, "foreign")
		count(gatewayRefused, g.Stale, "stale")
		for _, c := range g.Clients {
			who := []string{c.Name, c.App, strconv.Itoa(c.Unit)}
			is(gatewayRouted, time.Since(c.Heard) < heard, who...)
			if c.Said.Guard == overlay.Yes || c.Said.Guard == overlay.No {
				is(gatewayGuards, c.Said.Guard == overlay.Yes, who...)
			}
			if v, ok := policies[c.Said.Policy]; ok {
				tell(gatewayPolicy, prometheus.GaugeValue, v, who...)
			}
			if c.Said.Leaves == overlay.Yes || c.Said.Leaves == overlay.No {
				is(gatewayLeaves, c.Said.Leaves == overlay.Yes, who...)
			}
		}
		for name, l := range g.Ports {
			tell(gatewayPort, prometheus.GaugeValue, float64(l.Port), name)
			tell(gatewayLease, prometheus.GaugeValue, max(0, time.Until(l.Until).Seconds()), name)
		}
		for reason, n := range g.Lost {
			count(tunnelCame, n, reason)
		}
		if l := g.Link; l != nil {
			tell(tunnelMTU, prometheus.GaugeValue, float64(l.MTU))
			count(tunnelReceived, l.Received)
			count(tunnelSent, l.Sent)
			if l.WireGuard {
				is(tunnelAnswered, !l.Shaken.IsZero())
			}
			if !l.Shaken.IsZero() {
				tell(tunnelShaken, prometheus.GaugeValue, time.Since(l.Shaken).Seconds())
			}
		}
		if server := serverOf(g); g.Tunnel && (server != "" || g.Country != "") {
			is(tunnelServer, true, server, g.Country)
		}
		if !g.Listed.IsZero() {
			tell(tunnelListed, prometheus.GaugeValue, max(0, time.Since(g.Listed).Seconds()))
		}
		if g.Tunnel && g.Exit.IsValid() {
			is(tunnelExit, true, g.Exit.String())
		}
		if s := g.Standby; s != nil && s.Known {
			is(gatewayHolds, s.Active)
		} else if s != nil {
			tell(gatewayHolds, prometheus.GaugeValue, -1)
		}
		for reason, n := range g.Dropped {
			count(gatewayDropped, n, reason)
		}
	}
}
