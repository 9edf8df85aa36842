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

// sooner is how long before the Lease that unit may know that its tunnel is down. What the Lease says later counts.
const sooner = 20 * time.Second

// saidByHolder is what a unit says of the tunnel that it has. Of the ports the Lease tells as well, of the address nobody else.
type saidByHolder struct {
	Pod  netip.Addr `json:"pod"` // in which it was said: what an earlier pod of the unit said is void
	Exit netip.Addr `json:"exit,omitzero"`
	// Down is when nothing came back through the tunnel: its Pebble knows seconds before the Lease says so, and a change brings it a hook.
	Down time.Time `json:"down,omitzero"`
	// Refused is that the provider does not take the account.
	Refused bool                     `json:"refused,omitempty"`
	Ports   map[string]overlay.Lease `json:"ports,omitempty"`
	Since   time.Time                `json:"since,omitzero"` // when the ports became these
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
		said := saidByHolder{
			Pod: o.Pod.Address, Exit: o.Tunnel.Seen, Down: o.Tunnel.Down, Refused: o.Tunnel.Refused, Ports: maps.Clone(g.Ports), Since: g.Since,
		}
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

// downSince is when this unit said first that its tunnel is down: said anew in each hook it would bring the others one each time.
func (o Observed) downSince(now time.Time) (time.Time, error) {
	for _, id := range o.Peers {
		databag, err := hook.UnitSays(id, o.Name)
		if err != nil {
			return now, err
		}
		var said saidByHolder
		if json.Unmarshal([]byte(databag[heldKey]), &said) == nil && said.Pod == o.Pod.Address && !said.Down.IsZero() {
			return said.Down, nil
		}
	}
	return now, nil
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
	switch {
	case !p.Held.Tunnel:
		o.Tunnel.Refused = said.Refused
	case time.Since(said.Down) < sooner:
		o.Tunnel, o.Pod.Agent.Gateway.Tunnel = Tunnel{}, false
	default:
		o.Tunnel.Seen = said.Exit
	}
	if said.Since.After(p.Held.Since) { // the Lease has been read a moment before
		o.Pod.Agent.Gateway.Ports = said.Ports
	}
}
