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
	Metrics, Dashboards, Logs []string
	Loki                      map[string]map[string]string // what each unit of a Loki says, by a name for it
	Traces                    []vpnk8slib.Relation         // with who takes traces of hooks
	Heard                     []vpnk8slib.Relation         // what the applications of the first three say of what the leader told them; read by the leader
}

func seeWatchers(leader bool) (w Watchers, err error) {
	for _, e := range []struct {
		name string
		ids  *[]string
	}{{metricsEndpoint, &w.Metrics}, {dashboardEndpoint, &w.Dashboards}, {loggingEndpoint, &w.Logs}} {
		if *e.ids, err = hook.Joined(e.name); err != nil {
			return w, err
		}
		if !leader { // who told them nothing
			continue
		}
		heard, err := hook.JoinedRelations(e.name)
		if err != nil {
			return w, err
		}
		w.Heard = append(w.Heard, heard...)
	}
	if w.Traces, err = hook.SeeTracing(); err != nil {
		return w, err
	}
	for _, id := range w.Logs {
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
	for _, id := range o.Watchers.Logs {
		said, err := relations.Logs(topology(o))
		if err != nil {
			return append(notes, err.Error())
		}
		d.Publish[id] = said
	}
	notes = append(notes, o.Watchers.refusals()...)
	notes = append(notes, hook.Trace(o.Watchers.Traces, o.View.Network, topology(o), d))
	for _, name := range slices.Sorted(maps.Keys(o.Watchers.Loki)) {
		if _, err := loki(o, o.Watchers.Loki[name]); err != nil {
			notes = append(notes, fmt.Sprintf("no logs are sent to %s: %s", name, err))
		}
	}
	return notes
}

// refusals are what those who watch have against what they were told: rules or a dashboard that they cannot use would be missed by nobody.
func (w Watchers) refusals() (notes []string) {
	of := map[string]string{metricsEndpoint: "the alert rules or where to ask for metrics", dashboardEndpoint: "the dashboard", loggingEndpoint: "the rules over logs"}
	for _, r := range w.Heard {
		endpoint, _, _ := strings.Cut(r.ID, ":")
		why, err := relations.Refusal(r.Remote)
		switch {
		case err != nil:
			notes = append(notes, fmt.Sprintf("cannot read what %s says of %s: %s", r.App, of[endpoint], err))
		case why != "":
			notes = append(notes, fmt.Sprintf("%s does not take %s: %s", r.App, of[endpoint], shown(why)))
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
	unit := scrape.Unit(o.Pod.Address.String(), inCluster(o, o.podName()))
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
