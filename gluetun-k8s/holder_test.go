package main

import (
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/vpnk8slib"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// Another address, and another port, of the unit that has the tunnel: it says so, Juju brings the leader a hook, and consumers are told in it,
// also where the leader's agent has not read the Lease since.
func TestTheHolderSaysWhatChanges(t *testing.T) {
	const units = "units:0"
	first, then := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC), time.Date(2026, 11, 27, 12, 30, 0, 0, time.UTC)
	port := func(n uint16, since time.Time) map[string]overlay.Lease {
		return map[string]overlay.Lease{"vpn-gateway-1": {Port: n, Since: since, Lifetime: 60, Until: since.Add(time.Minute), Client: netip.MustParseAddr("172.16.0.16")}}
	}
	holder := several(t)
	holder.Name, holder.Leader, holder.Consumers, holder.Peers = "gluetun/1", false, nil, []string{units}
	holder.Pod.Address = heldBySecond.Held.Pod
	holder.Pod.Agent.Gateway.Standby = &overlay.StandbyState{Known: true, Active: true, Holder: "gluetun-1"}
	says := func(seen string, ports map[string]overlay.Lease, since time.Time) string {
		if holder.Tunnel.Seen = (netip.Addr{}); seen != "" {
			holder.Tunnel.Seen = netip.MustParseAddr(seen)
		}
		holder.Pod.Agent.Gateway.Ports, holder.Pod.Agent.Gateway.Since = ports, since
		holder.Says = holder.says(holder.Says, first)
		return Reconcile(holder).Units[units][heldKey]
	}
	leader := func(said string, ports map[string]overlay.Lease, since time.Time) vpnk8slib.ProviderData {
		t.Helper()
		o, p := several(t), heldBySecond
		o.Consumers[0].Data.WantPort = true
		p.Held.Ports, p.Held.Since = ports, since
		o.Pod.Agent.Gateway.Standby = &p
		o.followHolder()
		o.heard(said)
		data, err := vpnk8slib.DecodeProviderData("gluetun", Reconcile(o).Publish[consumer])
		require.NoError(t, err)
		return data
	}
	before := says("192.0.2.8", port(40001, first), first)
	data := leader(before, port(40001, first), first)
	assert.Equal(t, "192.0.2.8", data.ExternalIP.String())
	assert.Equal(t, 40001, data.Port.Number)
	renewed := port(40001, first)
	renewed["vpn-gateway-1"] = overlay.Lease{Port: 40001, Since: first, Lifetime: 60, Until: then}
	assert.Equal(t, before, says("192.0.2.8", renewed, first), "a renewal is no change: it brings nobody a hook")

	after := says("192.0.2.9", port(40002, then), then)
	assert.NotEqual(t, before, after)
	data = leader(after, port(40001, first), first)
	assert.Equal(t, "192.0.2.9", data.ExternalIP.String())
	assert.Equal(t, 40002, data.Port.Number, "the Lease was read before")
	assert.Equal(t, 40002, leader(before, port(40002, then), then).Port.Number, "the Lease is newer")
	lost := says("192.0.2.9", map[string]overlay.Lease{"vpn-gateway-1": {Error: "it grants none"}}, then)
	assert.Nil(t, leader(lost, port(40001, first), first).Port)

	for summary, said := range map[string]string{
		"nothing was said": "", "an earlier pod of the unit has said it": strings.Replace(after, "10.42.0.9", "10.42.0.8", 1), "it cannot be read": "{",
	} {
		data := leader(said, port(40001, first), first)
		assert.False(t, data.ExternalIP.IsValid(), summary)
		assert.Equal(t, 40001, data.Port.Number, summary)
	}

	holder.Pod.Agent.Gateway.Standby = &overlay.StandbyState{Known: true, Holder: "gluetun-0"}
	assert.Equal(t, map[string]string{heldKey: ""}, Reconcile(holder).Units[units], "it stands by, and takes it back")
	holder.Pod.Agent.Gateway.Standby = &overlay.StandbyState{}
	assert.NotContains(t, Reconcile(holder).Units, units, "nobody knows: what was said stays")
	holder.Pod.Agent.Gateway.Standby = nil
	assert.NotContains(t, Reconcile(holder).Units, units, "alone it says nothing")
}

// The tunnel of the unit that has it falls silent, and comes back. Its Pebble and its agent tell of either, one of them seconds after the other:
// consumers hear it from the first, and what the second said last is no reason to take it back.
func TestWhoeverTellsFirst(t *testing.T) {
	at := func(second int) time.Time { return time.Date(2026, 11, 29, 2, 0, second, 0, time.UTC) }
	holder := several(t)
	holder.Name, holder.Leader, holder.Consumers, holder.Peers = "gluetun/1", false, nil, []string{"units:0"}
	holder.Pod.Address = heldBySecond.Held.Pod
	holder.Pod.Agent.Gateway.Standby = &overlay.StandbyState{Known: true, Active: true, Holder: "gluetun-1"}
	hook := func(second int, up, check bool) {
		holder.Tunnel.Up, holder.Container.Checks = up, map[string]bool{tunnelCheck: check}
		holder.Says = holder.says(holder.Says, at(second))
	}
	lease := heldBySecond
	lease.Held.Turned = at(0)
	told := func() bool {
		t.Helper()
		o, p := several(t), lease
		o.Pod.Agent.Gateway.Standby = &p
		o.followHolder()
		o.heard(Reconcile(holder).Units["units:0"][heldKey])
		data, err := vpnk8slib.DecodeProviderData("gluetun", Reconcile(o).Publish[consumer])
		require.NoError(t, err)
		assert.Equal(t, data.VPNConnected, o.Pod.Agent.Gateway.Tunnel, "what it lays for agents is the same")
		return data.VPNConnected
	}
	hook(1, true, true)
	assert.True(t, told())
	said := Reconcile(holder).Units
	hook(2, false, true)
	assert.Equal(t, said, Reconcile(holder).Units, "one look in vain is no change")
	hook(5, false, false)
	assert.False(t, told(), "the Lease says that it is up, since before")
	said = Reconcile(holder).Units
	hook(6, false, false)
	assert.Equal(t, said, Reconcile(holder).Units, "said anew in each hook it would bring the others one each time")
	lease.Held.Tunnel, lease.Held.Turned = false, at(8)
	assert.False(t, told())
	hook(10, true, false)
	assert.True(t, told(), "the Lease says that it is down, since before")
	lease.Held.Tunnel, lease.Held.Turned = true, at(11)
	assert.True(t, told())
	lease.Held.Tunnel, lease.Held.Turned = false, at(20)
	assert.False(t, told(), "what was said is older")
	lease.Held.Tunnel, lease.Held.Turned = true, at(21)
	assert.True(t, told())

	lease.Renewed = at(26)
	hook(25, false, false)
	assert.False(t, told())
	lease.Renewed = at(35)
	assert.True(t, told(), "its hooks do not come, and its agent says otherwise since")
	hook(36, true, true)
	lease.Held.Tunnel, lease.Held.Turned = false, time.Time{}
	assert.True(t, told(), "an agent that has begun anew does not know yet")
	lease.Renewed = at(56)
	assert.True(t, told())
	lease.Held.Turned = at(34)
	assert.False(t, told(), "its hooks do not come, and its agent says otherwise all the time")
	lease.Renewed = at(45)
	assert.True(t, told(), "its agent may not know it yet")
	hook(37, false, false)
	lease.Held.Tunnel, lease.Held.Turned, lease.Renewed = true, time.Time{}, at(38)
	assert.True(t, told(), "an agent that does not say since when is an older one")
}

// What this unit has said before counts in its pod alone.
func TestSaidBefore(t *testing.T) {
	o := several(t)
	o.Name, o.Peers, o.Pod.Address = "gluetun/1", []string{"units:0"}, heldBySecond.Held.Pod
	tools := t.TempDir()
	asked := filepath.Join(tools, "asked")
	t.Setenv("PATH", tools+":"+os.Getenv("PATH"))
	before := func(pod netip.Addr, said ofTunnel) ofTunnel {
		held, err := json.Marshal(saidByHolder{Pod: pod, ofTunnel: said})
		require.NoError(t, err)
		databag, err := json.Marshal(map[string]string{heldKey: string(held)})
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(tools, "relation-get"), []byte("#!/bin/sh\necho \"$*\" > "+asked+"\ncat <<'EOF'\n"+string(databag)+"\nEOF\n"), 0o700))
		got, err := o.saidBefore()
		require.NoError(t, err)
		return got
	}
	said := ofTunnel{Up: true, Turned: time.Date(2026, 11, 28, 23, 0, 0, 0, time.UTC), Exit: netip.MustParseAddr("192.0.2.8")}
	assert.Equal(t, said, before(o.Pod.Address, said))
	o.place().Active = false
	require.NoError(t, os.Remove(asked))
	require.NoError(t, o.speak(said.Turned.Add(time.Minute)))
	assert.Zero(t, o.Says, "it stands by")
	assert.NoFileExists(t, asked, "Juju is asked nothing")
	o.place().Active, o.Tunnel = true, Tunnel{}
	require.NoError(t, o.speak(said.Turned.Add(time.Minute)))
	assert.Equal(t, said, o.Says, "gluetun does not run in this hook: nothing is known that is newer")
	words, err := os.ReadFile(asked)
	require.NoError(t, err)
	assert.Contains(t, strings.Fields(string(words)), "gluetun/1", "what this one has said")
	assert.Zero(t, before(netip.MustParseAddr("10.42.0.99"), said), "an earlier pod of the unit said it")
	o.Peers = nil
	assert.Zero(t, before(o.Pod.Address, said), "it is alone")
}

// The provider refuses the account of a unit that does not lead: its own status says so, and the leader has it told by that unit's agent, which
// reads what the leader lays.
func TestTheHolderIsRefused(t *testing.T) {
	const units = "units:0"
	holder := several(t)
	holder.Name, holder.Leader, holder.Consumers, holder.Peers = "gluetun/1", false, nil, []string{units}
	holder.Pod.Address = heldBySecond.Held.Pod
	holder.Pod.Agent.Gateway.Standby = &overlay.StandbyState{Known: true, Active: true, Holder: "gluetun-1"}
	says := func(refused bool) string {
		holder.Tunnel = Tunnel{Refused: refused}
		holder.Says = holder.says(holder.Says, time.Now())
		return Reconcile(holder).Units[units][heldKey]
	}
	lays := func(said string, up bool) bool {
		t.Helper()
		o, p := several(t), heldBySecond
		p.Held.Tunnel = up
		o.Pod.Agent.Gateway.Standby = &p
		o.followHolder()
		o.heard(said)
		for _, step := range Reconcile(o).Protect {
			if step.Apply == nil || step.Apply.Data["agent.json"] == "" {
				continue
			}
			config, err := overlay.ParseConfig([]byte(step.Apply.Data["agent.json"]))
			require.NoError(t, err)
			return config.Gateway.Refused
		}
		require.Fail(t, "it lays no file for agents")
		return false
	}
	refused := says(true)
	assert.Equal(t, "blocked", Reconcile(holder).Status.Kind)
	assert.True(t, lays(refused, false))
	assert.False(t, lays(says(false), false))
	assert.False(t, lays(refused, true), "by the Lease its tunnel is up since")
	assert.False(t, lays(strings.Replace(refused, "10.42.0.9", "10.42.0.8", 1), false), "an earlier pod of the unit has said it")
}
