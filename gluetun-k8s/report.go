package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/charmarr/charmarr-go/charms/hook"
	"github.com/charmarr/charmarr-go/vpnk8slib"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// report is what get-status tells. Nothing in it is from the secret.
type report struct {
	Status  string `json:"status"` // as `juju status` has it
	Message string `json:"message"`

	Holder    string     `json:"holder,omitempty"`   // the unit that has the tunnel, where it is another one: what follows of tunnel and consumers is as that one has told in the Lease
	Tunnel    bool       `json:"tunnel"`             // a packet came back through it just now
	Handshake time.Time  `json:"handshake,omitzero"` // WireGuard's last; absent: none, or not known
	Address   netip.Addr `json:"address,omitzero"`   // that the world sees
	Provider  string     `json:"vpn_provider"`       // and how it is used
	Type      string     `json:"vpn_type"`
	Server    string     `json:"server"`            // what the options say of it
	Gluetun   string     `json:"gluetun,omitempty"` // the image
	Running   bool       `json:"gluetun_running"`   // in this pod
	Method    string     `json:"routing_method"`
	Network   string     `json:"overlay_network"`
	VXLANID   int        `json:"vxlan_id"`
	Guard     *bool      `json:"guard,omitempty"` // it stands; null: with this routing method nobody tells
	Consumers []consumed `json:"consumers"`
	Dropped   dropped    `json:"dropped,omitempty"`   // packets, by who dropped them and why
	Foreign   uint64     `json:"foreign_beats"`       // heartbeats that nobody with a key has made
	NoIPv6    string     `json:"ipv6_error,omitzero"` // why the tunnel's IPv6 is not led through
	Unknown   string     `json:"unknown,omitempty"`   // why not all of this is known here
}

type dropped map[string]uint64

// consumed is a consumer as its gateway sees it.
type consumed struct {
	Name     string   `json:"name"`
	Relation string   `json:"relation"`
	Wrong    string   `json:"error,omitempty"`
	Port     int      `json:"port,omitempty"` // of the provider's, that leads to it
	NoPort   string   `json:"port_error,omitempty"`
	Clients  []client `json:"clients,omitempty"` // its pods
}

type client struct {
	Address netip.Addr `json:"address"` // in the overlay
	Pod     netip.Addr `json:"pod"`
	Heard   *float64   `json:"heard_s,omitempty"` // ago; null: not since this gateway began
}

func getStatus(ctx context.Context, _ hook.Params) (map[string]string, error) {
	env, err := hook.NewEnv()
	if err != nil {
		return nil, err
	}
	o, err := observe(ctx, env)
	if err != nil {
		return nil, err
	}
	status := Reconcile(o).Status
	if !o.Leader { // its hooks have no need of the rest
		var all Observed
		if all, err = see(ctx, env, true); err == nil {
			o = all
		}
	}
	r := reportOf(o, status, time.Now())
	if err = cmp.Or(err, o.ViewErr); err != nil {
		r.Unknown = err.Error()
	}
	text, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	return map[string]string{"table": r.table(), "status": string(text)}, nil
}

// reportOf is what a hook has seen.
func reportOf(o Observed, status hook.Status, now time.Time) report {
	r := report{
		Status: status.Kind, Message: status.Message, Holder: o.whom(), Running: o.Container.Running, Tunnel: o.Tunnel.Up, Handshake: o.Tunnel.Last, Address: o.Tunnel.Seen, Provider: string(o.Config.Provider), Type: o.Config.Type,
		Server: serverOf(o.Config), Gluetun: o.View.Images[container], Method: o.Config.RoutingMethod, VXLANID: o.Config.VXLANID, Network: o.Config.overlay().Prefix().String(),
		Consumers: []consumed{}, Dropped: dropped{},
	}
	agent := o.Pod.Agent
	if agent != nil {
		r.Guard = &agent.Guard.Standing
		r.drops("guard", agent.Guard.Dropped)
		if agent.Gateway != nil {
			r.drops("gateway", agent.Gateway.Dropped)
			r.Foreign, r.NoIPv6 = agent.Gateway.Foreign, agent.Gateway.NoIPv6
		}
	}
	for _, c := range o.Consumers {
		one := consumed{Name: c.Data.InstanceName, Relation: c.Relation, NoPort: vpnk8slib.NoPort(agent, c)}
		if one.Name == "" {
			one.Name = c.App
		}
		if c.Err != nil {
			one.Wrong = c.Err.Error()
		}
		if port := vpnk8slib.PortOf(agent, c); port != nil {
			one.Port = port.Number
		}
		one.Clients = clients(o, c, now)
		r.Consumers = append(r.Consumers, one)
	}
	return r
}

func (r *report) drops(by string, all map[string]uint64) {
	for why, n := range all {
		r.Dropped[by+" "+why] = n
	}
}

// clients are the pods of a consumer, by the addresses that it has leased.
func clients(o Observed, c vpnk8slib.Consumer, now time.Time) (all []client) {
	if o.Pod.Agent == nil || o.Pod.Agent.Gateway == nil {
		return nil
	}
	i := slices.IndexFunc(o.Leases.Blocks, func(b overlay.Block) bool { return b.Name == vpnk8slib.LeaseName(c.Relation) })
	if i < 0 {
		return nil
	}
	seen := o.Pod.Agent.Gateway.Clients
	for _, address := range slices.SortedFunc(maps.Keys(seen), netip.Addr.Compare) {
		if !o.Leases.Blocks[i].Addresses.Contains(address) {
			continue
		}
		one := client{Address: address, Pod: seen[address].Pod}
		if heard := seen[address].Heard; !heard.IsZero() {
			ago := float64(now.Sub(heard).Milliseconds()) / 1000
			one.Heard = &ago
		}
		all = append(all, one)
	}
	return all
}

// serverOf is what the options say of the server. Which one of several it is gluetun knows alone; what is from the secret is told to
// nobody, nor are values of custom-overrides.
func serverOf(c Config) string {
	if c.protocol().server {
		return "the one that you have named"
	}
	var by []string
	for _, o := range c.chooses() {
		if len(o.wanted) > 0 {
			by = append(by, o.option+"="+strings.Join(o.wanted, ","))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Overrides)) {
		if mayOverride[name].filter {
			by = append(by, name)
		}
	}
	if by == nil {
		return "any of the provider's"
	}
	return "one of the provider's with " + strings.Join(by, ", ")
}

// table is a report for people.
func (r report) table() string {
	yes := map[bool]string{true: "up", false: "down"}
	address := "unknown"
	if r.Address.IsValid() {
		address = r.Address.String()
	}
	guard := "unknown: the routing method's own script has laid the rules"
	if r.Guard != nil {
		guard = map[bool]string{true: "stands", false: "DOES NOT STAND"}[*r.Guard]
	}
	tunnel, gluetun := yes[r.Tunnel]+", seen as "+address, r.Gluetun
	if !r.Handshake.IsZero() {
		tunnel += ", handshake at " + clock(r.Handshake)
	}
	if r.Holder != "" {
		tunnel = fmt.Sprintf("%s, in %s; more: juju run %s get-status", tunnel, r.Holder, r.Holder)
	}
	if !r.Running {
		gluetun = strings.TrimPrefix(gluetun+", does not run here", ", ")
	}
	lines := [][]string{
		{"status", strings.TrimSpace(r.Status + " " + r.Message)},
		{"tunnel", tunnel},
		{"vpn", r.Provider + " over " + r.Type + ", " + r.Server},
		{"gluetun", gluetun},
		{"routing", fmt.Sprintf("%s, network %s, number %d", r.Method, r.Network, r.VXLANID)},
		{"guard", guard},
	}
	for _, why := range slices.Sorted(maps.Keys(r.Dropped)) {
		if n := r.Dropped[why]; n > 0 {
			lines = append(lines, []string{"dropped", fmt.Sprintf("%d by the %s", n, why)})
		}
	}
	for _, c := range r.Consumers {
		lines = append(lines, []string{"consumer", c.text(r.Holder == "")})
	}
	if r.Unknown != "" {
		lines = append(lines, []string{"unknown", r.Unknown})
	}
	return table(lines)
}

// text is a consumer for people, here where its pods are heard, or elsewhere.
func (c consumed) text(here bool) string {
	out := []string{c.Name}
	switch {
	case c.Wrong != "":
		out = append(out, c.Wrong)
	case c.Port != 0:
		out = append(out, fmt.Sprintf("port %d", c.Port))
	case c.NoPort != "":
		out = append(out, "no port: "+c.NoPort)
	}
	for _, p := range c.Clients {
		heard := " not heard yet"
		switch {
		case p.Heard != nil:
			heard = fmt.Sprintf(" heard %.1f s ago", *p.Heard)
		case !here:
			heard = ""
		}
		out = append(out, fmt.Sprintf("%s in pod %s%s", p.Address, p.Pod, heard))
	}
	return strings.Join(out, "; ")
}
