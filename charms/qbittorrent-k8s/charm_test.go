package main

import (
	"errors"
	"maps"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/charmarr/charmarr-go/charms/hook"
	"github.com/charmarr/charmarr-go/charms/hook/hooktest"
	"github.com/charmarr/charmarr-go/vpnk8slib"
)

// ready is a hook that sees everything in place; each test breaks one thing.
func ready(t *testing.T) Observed {
	u := hooktest.Leader("qbittorrent")
	o := Observed{
		Unit:      u,
		Config:    Config{WebPort: 8080, PUID: 1000, PGID: 1000, Timezone: "Etc/UTC"},
		VPN:       hooktest.Routed(t, u),
		Container: hook.Seen{Up: true, Running: true, Checks: map[string]bool{"web": true}},
	}
	o.Config.VPNOptions = o.VPN.Options
	return o
}

func TestReconcile(t *testing.T) {
	const active = "through gateway gateways/gluetun, seen as 192.0.2.2"
	tests := []struct {
		summary string
		change  func(*Observed)
		status  hook.Status
		mode    hook.Mode
	}{
		{"all in place", func(*Observed) {}, hook.Active(active), hook.Running},
		{"the web UI does not answer", func(o *Observed) { o.Container.Checks["web"] = false }, hook.Waiting("waiting for the web UI on port 8080; " + active), hook.Running},
		{"stopped, so its web UI cannot answer", func(o *Observed) { o.Container.Checks["web"], o.Container.Running = false, false }, hook.Active(active), hook.Running},
		{"a wrong option: what runs goes on", func(o *Observed) { o.ConfigErr = errors.New("cannot use option puid") }, hook.Blocked("cannot use option puid"), hook.AsIs},
		{"a wrong option and no relation", func(o *Observed) {
			o.ConfigErr = errors.New("cannot use option puid")
			o.VPN.Link = vpnk8slib.Link{Err: vpnk8slib.ErrNotRelated}
		}, hook.Blocked("cannot use option puid"), hook.Stopped},
	}
	for _, test := range tests {
		t.Run(test.summary, func(t *testing.T) {
			o := ready(t)
			test.change(&o)
			d := Reconcile(o)
			assert.Equal(t, test.status, d.Status)
			assert.Equal(t, test.mode, d.Workloads[0].Mode)
			if o.ConfigErr != nil {
				for _, s := range d.Protect {
					assert.NotEqual(t, "StatefulSet", s.Apply.Kind, "no route is laid from half the options")
				}
			}
		})
	}
}

func TestFailsClosed(t *testing.T) {
	hooktest.FailsClosed(t, hooktest.Leader("qbittorrent"), func(u hook.Unit, v hook.VPN, up bool) hook.Desired {
		o := ready(t)
		o.Unit, o.VPN, o.Config.VPNOptions, o.ConfigErr, o.Container.Up = u, v, v.Options, v.OptionsErr, up
		return Reconcile(o)
	})
}

func TestWorkloadFollowsTheOptions(t *testing.T) {
	o := ready(t)
	o.Config.WebPort, o.Config.PUID, o.Config.PGID, o.Config.Timezone = 9090, 1234, 4321, "Europe/Berlin"
	d := Reconcile(o)
	assert.Equal(t, []int{9090}, d.Ports)
	w := d.Workloads[0]
	s := w.Layer.Services["qbittorrent"]
	assert.Equal(t, "/usr/bin/qbittorrent-nox --profile=/config --webui-port=9090", s.Command)
	assert.Equal(t, "Europe/Berlin", s.Environment["TZ"])
	assert.Equal(t, "http://127.0.0.1:9090/", w.Layer.Checks["web"].HTTP.URL)
	for _, id := range []*int{s.UserID, w.Files[0].UserID, w.Dirs[0].UserID} {
		assert.Equal(t, 1234, *id)
	}
	for _, id := range []*int{s.GroupID, w.Files[0].GroupID, w.Dirs[0].GroupID} {
		assert.Equal(t, 4321, *id)
	}
}

// It listens where peers come, and goes on to while there is no port for a time: for the same one it is not started again.
func TestListensOnThePortThatLeadsHere(t *testing.T) {
	command := func(o Observed) string { return Reconcile(o).Workloads[0].Layer.Services["qbittorrent"].Command }
	o := ready(t)
	o.VPN.Link.Gateway.Port = &vpnk8slib.Port{Number: 40001, Since: time.Unix(1, 0), Lifetime: 60}
	plain := command(o)
	assert.NotContains(t, plain, "torrenting", "nobody wants it")
	o.Config.WantPort = true
	assert.Equal(t, plain+" --torrenting-port=40001", command(o))
	d := Reconcile(o)
	assert.Contains(t, d.Publish[hook.VPNEndpoint]["config"], `"want_port":true`)
	assert.Equal(t, hook.Active("through gateway gateways/gluetun, seen as 192.0.2.2, port 40001"), d.Status)
	seen := o.VPN.Link.Gateway.ExternalIP
	o.VPN.Link.Gateway.ExternalIP = netip.Addr{} // gluetun asks once for each tunnel, and may ask in vain
	assert.Equal(t, hook.Active("through gateway gateways/gluetun, port 40001"), Reconcile(o).Status)
	o.VPN.Link.Gateway.ExternalIP = seen

	o.VPN.Link.Gateway.Port = nil
	assert.Equal(t, plain, command(o), "never 0")
	const none = "through gateway gateways/gluetun, seen as 192.0.2.2; no port leads here yet; see: juju status -m gateways gluetun"
	assert.Equal(t, hook.Active(none), Reconcile(o).Status)
	o.VPN.View.Last.Port = 40001
	o.VPN.View.Last.Relation = "vpn-gateway:9"
	assert.Equal(t, plain, command(o), "another gateway's")
	o.VPN.View.Last.Relation = o.VPN.Link.Relation
	assert.Equal(t, plain+" --torrenting-port=40001", command(o))
	assert.Equal(t, hook.Active(none), Reconcile(o).Status)
	o.ConfigErr = errors.New("cannot use option puid")
	assert.Contains(t, Reconcile(o).Publish[hook.VPNEndpoint]["config"], `"want_port":true`, "an option that is refused gives no port back")
}

func TestCharmcraft(t *testing.T) {
	hooktest.Charmcraft(t, "charmcraft.yaml", Config{}, hooktest.Names{
		Containers: []string{container},
		Resources:  []string{container + "-image"},
		Requires:   map[string]string{hook.VPNEndpoint: "vpn-gateway", hook.TracingEndpoint: "tracing"},
		Actions:    slices.Collect(maps.Keys(actions)),
		Params:     map[string]any{hook.VerifyEgressAction: hook.DrillParams{}, hook.SpeedtestAction: hook.SpeedtestParams{}},
	})
}
