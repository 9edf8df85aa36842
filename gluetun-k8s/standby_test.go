package main

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/charms/hook"
	"github.com/charmarr/charmarr-go/vpnk8slib"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// several is a hook of unit 0, the leader, which has the tunnel; unit 1 stands by.
func several(t *testing.T) Observed {
	o := ready(t)
	o.Config.RoutingMethod = vpnk8slib.Overlay
	o.Pod.Address = netip.MustParseAddr("10.42.0.7")
	o.Pod.Agent = &overlay.Report{Guard: overlay.GuardState{Standing: true, Raw: true}, Gateway: &overlay.GatewayState{
		Tunnel: true, Standby: &overlay.StandbyState{Known: true, Active: true, Holder: "gluetun-0"},
	}}
	o.Leases = vpnk8slib.Leases{Blocks: []overlay.Block{{Name: "vpn-gateway-1", Addresses: netip.MustParsePrefix("172.16.0.16/28")}}, Keys: map[string]string{"vpn-gateway-1": "a key"}}
	o.Secrets = map[string]string{consumer: "secret://0b8a6c2e-0000-4000-8000-000000000001/9m4e2mr0ui3e8a215n4g"}
	o.Standby = vpnk8slib.Standby{Units: []string{"gluetun/1"}, Asked: true, Token: true}
	return o
}

var heldBySecond = overlay.StandbyState{Known: true, Holder: "gluetun-1", Held: overlay.Held{
	Pod: netip.MustParseAddr("10.42.0.9"), Tunnel: true,
	Clients: map[netip.Addr]netip.Addr{netip.MustParseAddr("172.16.0.16"): netip.MustParseAddr("10.42.0.5")},
}}

func TestPlaces(t *testing.T) {
	place := func(o *Observed, p overlay.StandbyState) { o.Pod.Agent.Gateway.Standby = &p }
	second := func(o *Observed) {
		o.Name, o.Leader, o.Consumers, o.Standby, o.Tunnel, o.Container.Running = "gluetun/1", false, nil, vpnk8slib.Standby{}, Tunnel{}, false
		o.View, o.Secret = vpnk8slib.GatewayView{}, nil // as observe leaves them
	}
	tests := []struct {
		summary string
		change  func(*Observed)
		status  hook.Status
		mode    hook.Mode
	}{
		{"the leader has the tunnel", func(*Observed) {}, hook.Active("connected, seen as 192.0.2.2"), hook.Running},
		{"a second unit stands by", func(o *Observed) {
			second(o)
			place(o, overlay.StandbyState{Known: true, Holder: "gluetun-0"})
		}, hook.Active("standby: gluetun-0 has the tunnel"), hook.Stopped},
		{"it has taken over, without the lead", func(o *Observed) {
			o.Name, o.Leader, o.Consumers = "gluetun/1", false, nil
			place(o, overlay.StandbyState{Known: true, Active: true, Holder: "gluetun-1", From: "gluetun-0"})
		}, hook.Active("connected, seen as 192.0.2.2; took over from gluetun-0"), hook.Running},
		{"and lost its key's grant: what stands goes on", func(o *Observed) {
			o.Name, o.Leader, o.Consumers, o.SecretErr = "gluetun/1", false, nil, operatorError{"juju grant-secret"}
			place(o, overlay.StandbyState{Known: true, Active: true, Holder: "gluetun-1"})
		}, hook.Blocked("juju grant-secret"), hook.AsIs},
		{"the leader stands by", func(o *Observed) { place(o, heldBySecond) }, hook.Active("standby: gluetun-1 has the tunnel"), hook.Stopped},
		{"the leader stands by, and an option is wrong: who has the tunnel goes on, not this one", func(o *Observed) {
			place(o, heldBySecond)
			o.ConfigErr = &hook.OptionError{Kind: "option", Name: "vpn-type", Fix: "set one", Example: "wireguard", App: "gluetun"}
		}, hook.Blocked(`cannot use option vpn-type="": set one: juju config gluetun vpn-type=wireguard`), hook.Stopped},
		{"cut off: it could not renew", func(o *Observed) {
			place(o, overlay.StandbyState{Known: true, Holder: "gluetun-0", Error: "cannot write Lease gluetun-vpn-standby: no answer"})
		}, hook.Waiting("no unit is known to have the tunnel; cannot write Lease gluetun-vpn-standby: no answer"), hook.Stopped},
		{"nobody knows yet: what runs goes on", func(o *Observed) {
			place(o, overlay.StandbyState{Error: "cannot read Lease gluetun-vpn-standby: no answer"})
		},
			hook.Waiting("it is not known which unit has the tunnel; cannot read Lease gluetun-vpn-standby: no answer"), hook.AsIs},
		{"nobody knows yet: what does not run does not start", func(o *Observed) {
			second(o)
			place(o, overlay.StandbyState{})
		}, hook.Waiting("it is not known which unit has the tunnel"), hook.Stopped},
		{"a second unit, before its agent is told", func(o *Observed) { second(o); o.Pod.Agent.Gateway.Standby = nil },
			hook.Active("standby: the leader has the tunnel; this unit takes over with the lead, in a minute or so"), hook.Stopped},
	}
	for _, test := range tests {
		t.Run(test.summary, func(t *testing.T) {
			o := several(t)
			test.change(&o)
			o.followHolder()
			d := Reconcile(o)
			assert.Equal(t, test.status, d.Status)
			assert.Equal(t, test.mode, d.Workloads[0].Mode)
			if test.mode != hook.AsIs {
				assert.Contains(t, d.Workloads[0].Layer.Checks, activeCheck, "a hook comes when that turns")
				assert.Contains(t, d.Workloads[0].Layer.Checks, elsewhereCheck)
			}
			assert.NotEqual(t, o.Leader && o.ConfigErr == nil, len(d.Protect) == 0, "the leader lays, whoever has the tunnel")
		})
	}
}

// The leader tells consumers of the unit that has the tunnel, as that one's agent says.
func TestTheLeaderPublishesForTheHolder(t *testing.T) {
	o := several(t)
	o.Consumers[0].Data.WantPort = true
	p := heldBySecond
	p.Held.Ports = map[string]overlay.Lease{"vpn-gateway-1": {Port: 40001, Lifetime: 60}}
	o.Pod.Agent.Gateway.Standby = &p
	o.followHolder()
	read := func() vpnk8slib.ProviderData {
		t.Helper()
		data, err := vpnk8slib.DecodeProviderData("gluetun", Reconcile(o).Publish[consumer])
		require.NoError(t, err)
		return data
	}
	data := read()
	assert.Equal(t, "gluetun-1.gluetun-endpoints.downloads.svc.cluster.local", data.GatewayDNSName)
	assert.Equal(t, "10.42.0.9", data.Overlay.Pod.String())
	assert.True(t, data.VPNConnected)
	assert.Equal(t, 40001, data.Port.Number)
	assert.Contains(t, o.teller().Gateway.Clients, netip.MustParseAddr("172.16.0.16"))

	p.Held.Tunnel = false
	o.followHolder()
	assert.False(t, read().VPNConnected)

	o.Pod.Agent.Gateway.Standby = &overlay.StandbyState{}
	assert.Nil(t, o.teller(), "nobody tells where clients are: what was kept stays")
	o.Pod.Agent.Gateway.Standby = &overlay.StandbyState{Known: true}
	assert.Nil(t, o.teller())
}

// The leader has other hooks until the token is there, of which nothing tells; and none where it is not asked for.
func TestATokenIsWaitedFor(t *testing.T) {
	o := several(t)
	o.Standby.Asked, o.Standby.Token = false, false
	assert.Equal(t, container, Reconcile(o).Soon.Container)
	o.Standby.Asked = true
	assert.Equal(t, container, Reconcile(o).Soon.Container)
	o.View.Network.Controllers = nil // so that nothing can be laid
	assert.Empty(t, Reconcile(o).Soon)
	assert.Empty(t, Reconcile(several(t)).Soon)
}

// An agent that does not answer tells no place: what runs and what was said stays, in the leader and in another unit.
func TestASilentAgentChangesNothing(t *testing.T) {
	for _, leads := range []bool{true, false} {
		o := several(t)
		said := Reconcile(o).Publish
		o.Pod.Agent, o.Leader, o.Others, o.Said = nil, leads, []string{"gluetun/1"}, said
		o.Container.Running = true
		o.followHolder()
		d := Reconcile(o)
		assert.Equal(t, hook.AsIs, d.Workloads[0].Mode, leads)
		assert.Equal(t, hook.Waiting("it is not known which unit has the tunnel: the agent of this pod does not answer"), d.Status)
		if leads {
			assert.Equal(t, said[consumer]["config"], d.Publish[consumer]["config"])
		}
	}
}

// A leader that stands by does not know how the other one's tunnel is while its agent is silent, nor its ports: both stay as they were told.
func TestASilentAgentOfOneThatStandsBy(t *testing.T) {
	o := several(t)
	o.Consumers[0].Data.WantPort = true
	said, err := vpnk8slib.DecodeProviderData("gluetun", Reconcile(o).Publish[consumer])
	require.NoError(t, err)
	require.True(t, said.VPNConnected)
	said.Port = &vpnk8slib.Port{Number: 40001, Since: time.Unix(1795808000, 0).UTC(), Lifetime: 60}
	databag, err := said.Encode()
	require.NoError(t, err)
	o.Pod.Agent, o.Others, o.Said = nil, []string{"gluetun/1"}, map[string]map[string]string{consumer: databag}
	o.Tunnel, o.Container.Running = Tunnel{}, false
	o.followHolder()
	assert.Equal(t, databag["config"], Reconcile(o).Publish[consumer]["config"])
	o.Container.Running = true // its own tunnel, which is down
	assert.NotEqual(t, databag["config"], Reconcile(o).Publish[consumer]["config"])
}

// One unit alone is as ever: it is asked for nothing more.
func TestAloneThereIsNothingToAgreeOn(t *testing.T) {
	o := several(t)
	o.Standby, o.Pod.Agent.Gateway.Standby = vpnk8slib.Standby{}, nil
	d := Reconcile(o)
	assert.Equal(t, hook.Active("connected, seen as 192.0.2.2"), d.Status)
	assert.NotContains(t, d.Workloads[0].Layer.Checks, activeCheck)
	assert.NotContains(t, d.Workloads[0].Layer.Checks, elsewhereCheck)
	assert.Len(t, d.Protect, 4)
}

// One that may have the tunnel no more lets go by itself.
func TestStartLetsGo(t *testing.T) {
	const lease, alone = "charmarr_vpn_gateway_holds_lease ", "charmarr_vpn_guard_standing 1"
	for summary, test := range map[string]struct {
		before, after string
		ends          bool
	}{
		"another one may have it":                  {lease + "1", lease + "0", true},
		"the agent's answer breaks off":            {lease + "1", "charmarr_vpn_gateway_clients 1", true},
		"the agent is gone":                        {lease + "1", "", true},
		"the agent cannot tell any more":           {lease + "1", lease + "-1", true},
		"it has it":                                {lease + "1", lease + "1", false},
		"the other unit has gone":                  {lease + "1", alone, false},
		"it was always alone, and its agent fails": {alone, "", false},
		"a second unit is just there":              {alone, lease + "-1", false},
	} {
		for _, up := range []string{"exit 0", "exit 1"} {
			t.Run(summary+", tunnel: "+up, func(t *testing.T) {
				t.Parallel()
				programs := started()
				programs["charm-probe.sh"] = up
				programs["wget"] = `echo wget >> asked; [ -s metrics ] && cat metrics`
				programs["gluetun-entrypoint"] = "until [ -e end ]; do /bin/sleep 0.05; done"
				s := newScripts(t, programs)
				s.write("metrics", test.before+"\n")
				ended := make(chan error, 1)
				go func() { _, err := s.run(startScript, startPaths...); ended <- err }()
				asked := func(n int) {
					t.Helper()
					before := len(s.read("asked"))
					require.Eventually(t, func() bool { return len(s.read("asked")) >= before+n*len("wget\n") || s.stopped() }, 15*time.Second, 10*time.Millisecond)
				}
				asked(3)
				require.False(t, s.stopped())
				text := ""
				if test.after != "" {
					text = test.after + "\n"
				}
				whole := s.write("metrics.new", text)
				require.NoError(t, os.Rename(whole, filepath.Join(s.dir, "metrics")))
				if test.ends {
					require.Eventually(t, s.stopped, 15*time.Second, 10*time.Millisecond, s.read("asked"))
				} else {
					asked(7)
					assert.False(t, s.stopped())
				}
				s.write("end", "")
				require.NoError(t, <-ended)
			})
		}
	}
}

func (s scripts) stopped() bool { return strings.Contains(s.read("done"), "pebble stop gluetun\n") }
