package main

import (
	"encoding/json"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/charmarr/charmarr-go/charms/hook"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// The unit that has the tunnel learns of another port, and of another address that the world sees, by hooks of its own; only the leader may
// tell consumers. So it says them in its databag of the relation between units: where that changes, Juju brings the leader a hook at once.

// heldKey is the key in that databag.
const heldKey = "held"

// saidByHolder is what a unit says of the tunnel that it has: of the address that the world sees, and of an account that is refused, nobody
// else tells; the rest the Lease tells as well. Either may know it seconds before the other: what is so since later counts, by the clock of
// that unit, which wrote both.
type saidByHolder struct {
	Pod netip.Addr `json:"pod"` // in which it was said: what an earlier pod of the unit said is void
	ofTunnel
	Ports map[string]overlay.Lease `json:"ports,omitempty"`
	Since time.Time                `json:"since,omitzero"` // when the ports became these
}

// ofTunnel is how the tunnel is.
type ofTunnel struct {
	Up      bool       `json:"up"`
	Turned  time.Time  `json:"turned,omitzero"` // since when; zero: it was neither yet
	Exit    netip.Addr `json:"exit,omitzero"`
	Refused bool       `json:"refused,omitempty"` // the provider does not take the account
}

// sooner is how long before the Lease a unit may know how its tunnel is. One whose hooks have ended since cannot say that it is otherwise.
const sooner = 10 * time.Second

// counts says whether it is newer than what the Lease says. An agent that has found the tunnel up, and does not say when, is older than this.
func (t ofTunnel) counts(p overlay.StandbyState) bool {
	if p.Held.Tunnel && p.Held.Turned.IsZero() {
		return false
	}
	unknown := p.Held.Turned.IsZero() // an agent that has begun anew, and has not seen the tunnel up: who saw it is believed
	return t.Turned.After(p.Held.Turned) && (t.Up && unknown || p.Renewed.Sub(t.Turned) < sooner)
}

// speak finds what the unit that has the tunnel says of it. Juju is not asked by the others, who say nothing.
func (o *Observed) speak(now time.Time) error {
	if p := o.place(); p == nil || !p.Active {
		return nil
	}
	before, err := o.saidBefore()
	o.Says = o.says(before, now)
	return err
}

// say adds what this unit says to the others: nothing where it is known to stand by, or alone.
func (o Observed) say(d *hook.Desired) {
	p := o.place()
	if p == nil || !p.Known {
		return
	}
	text := ""
	if p.Active {
		g := o.Pod.Agent.Gateway
		said := saidByHolder{Pod: o.Pod.Address, ofTunnel: o.Says, Ports: maps.Clone(g.Ports), Since: g.Since}
		for name, l := range said.Ports { // without what every renewal changes, and every client
			l.Until, l.Client = time.Time{}, netip.Addr{}
			said.Ports[name] = l
		}
		if whole, err := json.Marshal(said); err == nil { // of what was read as JSON
			text = string(whole)
		}
	}
	for _, id := range o.Peers {
		if d.Units == nil {
			d.Units = map[string]map[string]string{}
		}
		d.Units[id] = map[string]string{heldKey: text}
	}
}

// saidBefore is what this unit said last of the tunnel in this pod.
func (o Observed) saidBefore() (last ofTunnel, err error) {
	for _, id := range o.Peers {
		databag, err := hook.UnitSays(id, o.Name)
		if err != nil {
			return last, err
		}
		var said saidByHolder
		if json.Unmarshal([]byte(databag[heldKey]), &said) == nil && said.Pod == o.Pod.Address {
			last = said.ofTunnel
		}
	}
	return last, nil
}

// says is what this unit says of its tunnel now. It is down when Pebble's check says so as well: one look in vain is no change. What was said
// before has the time at which it became so: said anew in each hook, it would bring the others one each time.
func (o Observed) says(before ofTunnel, now time.Time) ofTunnel {
	up, known := o.Container.Checks[tunnelCheck]
	if !o.Tunnel.Up && (!known || up) {
		before.Refused = o.Tunnel.Refused
		return before
	}
	said := ofTunnel{Up: o.Tunnel.Up, Turned: now.UTC(), Exit: o.Tunnel.Seen, Refused: o.Tunnel.Refused}
	if said.Up == before.Up && !before.Turned.IsZero() {
		said.Turned = before.Turned
	}
	return said
}

// hear takes what the unit that has the tunnel says of it, where that is another one.
func (o *Observed) hear() error {
	p := o.another()
	if p == nil || !slices.Contains(o.Others, o.unitOf(p.Holder)) {
		return nil
	}
	for _, id := range o.Peers {
		databag, err := hook.UnitSays(id, o.unitOf(p.Holder))
		if err != nil {
			return err
		}
		o.heard(databag[heldKey])
	}
	return nil
}

// heard takes it from a databag. What cannot be read is as good as nothing.
func (o *Observed) heard(text string) {
	var said saidByHolder
	p := o.another()
	if json.Unmarshal([]byte(text), &said) != nil || said.Pod != p.Held.Pod {
		return
	}
	up := p.Held.Tunnel
	if said.counts(*p) {
		up = said.Up
	}
	o.Tunnel, o.Pod.Agent.Gateway.Tunnel = Tunnel{Up: up}, up
	if up {
		o.Tunnel.Seen = said.Exit
	} else {
		o.Tunnel.Refused = said.Refused
	}
	if said.Since.After(p.Held.Since) { // the Lease has been read a moment before
		o.Pod.Agent.Gateway.Ports = said.Ports
	}
}
