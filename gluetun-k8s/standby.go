package main

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"github.com/charmarr/charmarr-go/charms/hook"
	"github.com/charmarr/charmarr-go/vpnk8slib"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// One of several units has the tunnel. By the method overlay their agents agree which, by a Lease of Kubernetes', and tell the charm; with
// pod-gateway, which has no agent, it is Juju's leader. The leader lays and publishes in either case: for the one that has the tunnel.

// unitsEndpoint is the relation between units of a gateway.
const unitsEndpoint = "units"

// Checks whose turning brings a hook: whether this unit has the tunnel, and whether the tunnel of the one that has it is up.
const (
	activeCheck    = "active"
	elsewhereCheck = "elsewhere"
)

// relate reads what is in relations. It is the leader's, who publishes, and lays what all units have.
func (o *Observed) relate() error {
	o.Broken = hook.Broken(hook.VPNEndpoint)
	rels, err := hook.Relations(hook.VPNEndpoint)
	if err != nil {
		return err
	}
	o.Consumers = vpnk8slib.Consumers(rels)
	if o.Others, err = hook.Others(unitsEndpoint); err != nil {
		return err
	}
	return o.hear()
}

// place is what this unit's agent says of the agreement; nil where there is none.
func (o Observed) place() *overlay.StandbyState {
	if o.Pod.Agent == nil || o.Pod.Agent.Gateway == nil {
		return nil
	}
	return o.Pod.Agent.Gateway.Standby
}

// silent says whether the agent of one of several units, which alone knows its place, does not answer, or does not know it yet: then nothing is
// known of it, and what runs and what was said stays.
func (o Observed) silent() bool {
	if p := o.place(); p != nil && !p.Known && !p.Active {
		return true
	}
	return o.Config.RoutingMethod == vpnk8slib.Overlay && o.Pod.Overlay && o.Pod.Agent == nil && (!o.Leader || len(o.Others) > 0)
}

// blind says whether nothing is known here of the tunnel: this pod has none, and its agent does not say how another's is.
func (o Observed) blind() bool { return o.silent() && !o.Container.Running }

// has says whether this unit is the one that has the tunnel, or is to have it.
func (o Observed) has() bool {
	if p := o.place(); p != nil {
		return p.Active
	}
	return o.Leader && !o.silent()
}

// elsewhere says whether it is known that it is another one.
func (o Observed) elsewhere() bool {
	p := o.place()
	return !o.has() && !o.silent() && (p == nil || p.Known)
}

// mayGoOn says whether a tunnel that stands here may: another unit may not have it.
func (o Observed) mayGoOn() bool {
	return o.has() || !o.elsewhere() && o.Container.Running
}

// another is the place of another unit that has the tunnel, and says where it is; nil where there is none.
func (o Observed) another() *overlay.StandbyState {
	if p := o.place(); p != nil && o.elsewhere() && p.Held.Pod.IsValid() {
		return p
	}
	return nil
}

// holder is the pod that consumers are led to.
func (o Observed) holder() string {
	if p := o.another(); p != nil {
		return p.Holder
	}
	return o.podName()
}

// podName is the pod of this unit.
func (o Observed) podName() string { return vpnk8slib.App{Unit: o.Name}.Pod() }

// unitOf is the unit of a pod.
func (o Observed) unitOf(pod string) string { return o.App + "/" + strings.TrimPrefix(pod, o.App+"-") }

// whom is the unit to ask for what this one cannot tell: the one that has the tunnel. Empty: it is this one, or nobody knows.
func (o Observed) whom() string {
	switch p := o.place(); {
	case o.has() || o.silent():
		return ""
	case p == nil: // Juju has no name for its leader but this
		return o.App + "/leader"
	case p.Known && p.Error == "" && p.Holder != "" && o.unitOf(p.Holder) != o.Name:
		return o.unitOf(p.Holder)
	default:
		return ""
	}
}

// holderAddress is that pod's.
func (o Observed) holderAddress() netip.Addr {
	if p := o.another(); p != nil {
		return p.Held.Pod
	}
	return o.Pod.Address
}

// followHolder puts what the unit with the tunnel tells in the place of what is so here: of that the leader tells consumers.
func (o *Observed) followHolder() {
	p := o.place()
	if p == nil || !o.elsewhere() {
		return
	}
	agent, g := *o.Pod.Agent, *o.Pod.Agent.Gateway
	o.Pod.Agent, agent.Gateway = &agent, &g
	g.Tunnel, g.Ports, g.Clients = p.Held.Tunnel, p.Held.Ports, map[netip.Addr]overlay.ClientSeen{}
	for client, pod := range p.Held.Clients {
		g.Clients[client] = overlay.ClientSeen{Pod: pod}
	}
	o.Tunnel = Tunnel{Up: p.Held.Tunnel}
}

// teller is the report that says where clients are; nil while nobody tells: what was kept of them stays.
func (o Observed) teller() *overlay.Report {
	if p := o.place(); p != nil && !p.Active && !(p.Known && p.Held.Pod.IsValid()) {
		return nil
	}
	return o.Pod.Agent
}

// stands is open for the unit that has the tunnel. Of the others it is asked where it is their turn.
func (o Observed) stands(asked bool) hook.Gate {
	p := o.place()
	switch {
	case !asked || o.has():
		return hook.Gate{}
	case p != nil && !p.Known:
		return hook.Gate{Closed: true, Why: hook.Waiting("it is not known which unit has the tunnel").With(p.Error)}
	case o.silent():
		return hook.Gate{Closed: true, Why: hook.Waiting("it is not known which unit has the tunnel: the agent of this pod does not answer")}
	case p == nil:
		return hook.Gate{Closed: true, Why: hook.Active("standby: the leader has the tunnel; this unit takes over with the lead, in a minute or so")}
	case p.Holder == "" || p.Error != "":
		return hook.Gate{Closed: true, Why: hook.Waiting("no unit is known to have the tunnel").With(p.Error)}
	default:
		return hook.Gate{Closed: true, Why: hook.Active(fmt.Sprintf("standby: %s has the tunnel", p.Holder))}
	}
}

// tookOver is what the operator is told of a unit that has the tunnel of another.
func (o Observed) tookOver() string {
	if p := o.place(); p != nil && p.Active && p.From != "" {
		return "took over from " + p.From
	}
	return ""
}

// standbyChecks are Pebble's; none where this unit is the only one.
func (o Observed) standbyChecks() map[string]hook.Check {
	if o.Config.RoutingMethod != vpnk8slib.Overlay || o.Leader && o.place() == nil && len(o.Standby.Units) == 0 {
		return nil
	}
	ask := func(path, every string) hook.Check {
		return hook.Check{Override: "replace", Period: every, Timeout: "900ms", Threshold: 1, HTTP: &hook.HTTPCheck{URL: fmt.Sprintf("http://127.0.0.1:%d%s", overlay.MetricsPort, path)}}
	}
	return map[string]hook.Check{activeCheck: ask(overlay.ActivePath, "1s"), elsewhereCheck: ask(overlay.ElsewherePath, "3s")}
}

// leave lets another unit have the tunnel at once, where this pod is about to end: it may take half a minute until its agent does. A pod that
// ended in the middle of its last hook leaves that hook to the next one, which does not end: its agent is told in the hook after.
func leave(ctx context.Context, o Observed) {
	ctx, cancel := context.WithTimeout(ctx, hook.Look)
	defer cancel()
	switch { // who does not answer has gone, or is not there with this method; that it stays the next hook says again
	case o.Leaving():
		_ = overlay.Leave(ctx, overlay.Socket)
	case o.place() != nil && o.place().Leaving:
		_ = overlay.Stay(ctx, overlay.Socket)
	}
}
