// Package metrics tells what an agent reports in the words of Prometheus.
package metrics

import (
	"net/http"

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

	clientHeard   = desc("client_gateway_heard", "1 while the gateway's heartbeats are heard.")
	clientTunnel  = desc("client_tunnel_up", "1 while the gateway says that packets come back through its tunnel.")
	clientMoves   = desc("client_moves_total", "How often the overlay was led to another pod.")
	clientRefused = desc("client_refused_heartbeats_total", "Heartbeats that were not taken: of no gateway with this key, or late, or sent a second time.", "reason")

	gatewayTunnel  = desc("gateway_tunnel_up", "1 while packets come back through the tunnel.")
	gatewayClients = desc("gateway_clients", "Clients that were heard by this gateway or an earlier one.")
	gatewayRefused = desc("gateway_refused_heartbeats_total", "Heartbeats that were not taken: of nobody with a key here, or late, or sent a second time.", "reason")
	gatewayPort    = desc("gateway_forwarded_port", "The port of the provider's that leads to an application; 0: it wants one and there is none.", "name")
	gatewayDropped = desc("gateway_dropped_packets_total", "Packets that the gateway dropped.", "reason")
)

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("charmarr_vpn_"+name, help, labels, nil)
}

// Collect implements prometheus.Collector.
func (report collector) Collect(out chan<- prometheus.Metric) {
	r := report()
	tell := func(d *prometheus.Desc, kind prometheus.ValueType, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, kind, v, labels...)
	}
	is := func(d *prometheus.Desc, holds bool) {
		v := 0.0
		if holds {
			v = 1
		}
		tell(d, prometheus.GaugeValue, v)
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
	if c := r.Client; c != nil {
		is(clientHeard, !c.Lost)
		is(clientTunnel, c.Tunnel && !c.Lost)
		count(clientMoves, uint64(c.Moves))
		count(clientRefused, c.Foreign, "foreign")
		count(clientRefused, c.Stale, "stale")
	}
	if g := r.Gateway; g != nil {
		is(gatewayTunnel, g.Tunnel)
		tell(gatewayClients, prometheus.GaugeValue, float64(len(g.Clients)))
		count(gatewayRefused, g.Foreign, "foreign")
		count(gatewayRefused, g.Stale, "stale")
		for name, l := range g.Ports {
			tell(gatewayPort, prometheus.GaugeValue, float64(l.Port), name)
		}
		for reason, n := range g.Dropped {
			count(gatewayDropped, n, reason)
		}
	}
}
