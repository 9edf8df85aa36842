package main

import (
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/charmarr/charmarr-go/charms/hook"
	"github.com/charmarr/charmarr-go/charms/hook/tracing"
	"github.com/charmarr/charmarr-go/charms/relations"
	"github.com/charmarr/charmarr-go/vpnk8slib"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// Endpoints of those who watch: metrics and alerts, a dashboard, logs. Traces have the one that all charms here have for them.
const (
	metricsEndpoint   = "metrics-endpoint"
	dashboardEndpoint = "grafana-dashboard"
	loggingEndpoint   = "logging"
)

//go:embed alerts.yaml
var alertRules string

//go:embed dashboard.json
var dashboard []byte

// Watchers are relations with who watches this gateway. All of them are asked and answered over the pod's own interface: a tunnel that
// is dead is what they are for.
type Watchers struct {
	Metrics, Dashboards []string
	Loki                map[string]map[string]string // what each unit of a Loki says, by a name for it
	Traces              []vpnk8slib.Relation         // with who takes traces of hooks
}

func seeWatchers() (w Watchers, err error) {
	for endpoint, ids := range map[string]*[]string{metricsEndpoint: &w.Metrics, dashboardEndpoint: &w.Dashboards} {
		if *ids, err = hook.Joined(endpoint); err != nil {
			return w, err
		}
	}
	if w.Traces, err = hook.SeeTracing(); err != nil {
		return w, err
	}
	loki, err := hook.Joined(loggingEndpoint)
	if err != nil {
		return w, err
	}
	for _, id := range loki {
		units, err := hook.RemoteUnits(id)
		if err != nil {
			return w, err
		}
		for unit, said := range units {
			if w.Loki == nil {
				w.Loki = map[string]map[string]string{}
			}
			w.Loki[strings.NewReplacer(":", "-", "/", "-").Replace(id+"-"+unit)] = said
		}
	}
	return w, nil
}

func topology(o Observed) relations.Topology {
	return relations.Topology{Model: o.Model, ModelUUID: o.ModelUUID, App: o.App, Unit: o.Name, Charm: "gluetun-k8s"}
}

// watched adds what those who watch are told, and says what they cannot be.
func watched(o Observed, d *hook.Desired) (notes []string) {
	notes = append(notes, scraped(o, d))
	for _, id := range o.Watchers.Dashboards {
		said, err := relations.Dashboard{Topology: topology(o), Name: "gluetun", JSON: dashboard}.Application()
		if err != nil {
			return append(notes, err.Error())
		}
		d.Publish[id] = said
	}
	notes = append(notes, hook.Trace(o.Watchers.Traces, o.View.Network, topology(o), d))
	for _, name := range slices.Sorted(maps.Keys(o.Watchers.Loki)) {
		if _, err := loki(o, o.Watchers.Loki[name]); err != nil {
			notes = append(notes, fmt.Sprintf("no logs are sent to %s: %s", name, err))
		}
	}
	return notes
}

// traced is where this hook's trace goes, by what was seen of it.
func (o Observed) traced() (hook.Unit, tracing.Receiver) {
	to, _ := hook.TraceTo(o.Watchers.Traces, o.View.Network, topology(o))
	return o.Unit, to
}

// scraped adds where metrics are told and what to be alarmed by. With another routing method there is no agent to tell them: who
// asked it before is not left to ask nobody.
func scraped(o Observed, d *hook.Desired) (note string) {
	if len(o.Watchers.Metrics) == 0 || refused(o, "routing-method") {
		return ""
	}
	scrape := relations.Scrape{Topology: topology(o), Port: overlay.MetricsPort, Rules: alertRules}
	app, err := scrape.Application()
	if err != nil {
		return err.Error()
	}
	unit := scrape.Unit(o.Pod.Address.String(), inCluster(o, strings.ReplaceAll(o.Name, "/", "-")))
	if o.Config.RoutingMethod != vpnk8slib.Overlay {
		app, unit = relations.Withdrawn(app), relations.Withdrawn(unit)
		note = fmt.Sprintf("there are metrics with routing-method=overlay only: juju config %s routing-method=overlay", o.App)
	}
	d.Units = map[string]map[string]string{}
	for _, id := range o.Watchers.Metrics {
		d.Publish[id] = app
		if o.Pod.Address.IsValid() {
			d.Units[id] = unit
		}
	}
	return note
}

// inCluster is the name of a unit's pod in the cluster's DNS; empty where the domain is not known.
func inCluster(o Observed, pod string) string {
	if o.View.Network.Domain == "" {
		return ""
	}
	return fmt.Sprintf("%s.%s-endpoints.%s.svc.%s", pod, o.App, o.Model, o.View.Network.Domain)
}

// logTargets are where gluetun's words go.
func logTargets(o Observed) map[string]hook.LogTarget {
	labels := topology(o).Labels()
	labels["product"], labels["juju_unit"], labels["charm"] = "Juju", o.Name, labels["juju_charm"]
	delete(labels, "juju_charm")
	targets := map[string]hook.LogTarget{}
	for name, said := range o.Watchers.Loki {
		if url, err := loki(o, said); err == nil && url != "" {
			targets[name] = hook.LokiTarget(url, labels)
		}
	}
	return targets
}

// loki is where a unit of a Loki takes logs; empty where it does not say. Whatever is not in the cluster would be reached through the
// tunnel, by the very words that say that it is down.
func loki(o Observed, said map[string]string) (string, error) {
	url, err := relations.LokiURL(said)
	if err == nil && url != "" && !relations.Inside(url, o.View.Network.Cluster(), o.View.Network.Domain) {
		return "", relations.ErrElsewhere
	}
	return url, err
}
