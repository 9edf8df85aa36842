package hook_test

import (
	"errors"
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/charms/hook"
	"github.com/charmarr/charmarr-go/charms/hook/hooktest"
	"github.com/charmarr/charmarr-go/vpnk8slib"
)

var sleeper = hook.Workload{Container: "app", Layer: hook.Layer{
	Services: map[string]hook.Service{"app": {Override: "replace", Command: "sleep 600", Startup: "enabled"}},
	Checks:   map[string]hook.Check{hook.OverlayCheck: hook.Overlay("true"), "ui": {Override: "replace"}},
}}

func TestVPNFailsClosed(t *testing.T) {
	hooktest.FailsClosed(t, hooktest.Leader("app"), func(u hook.Unit, v hook.VPN, up bool) hook.Desired {
		return v.Desired(u, sleeper, up)
	})
}

// One good world; each row breaks one thing, and says who is told what and what becomes of the workload.
func TestVPNDesired(t *testing.T) {
	const way = "through gateway gateways/gluetun, seen as 192.0.2.2"
	silent := func(v *hook.VPN) { v.Link = vpnk8slib.Link{Relation: "vpn-gateway:1", Err: vpnk8slib.ErrNotReady} }
	unreadable := func(v *hook.VPN) {
		v.Link = vpnk8slib.Link{Relation: "vpn-gateway:1", Err: &vpnk8slib.InvalidError{From: "gluetun", Err: errors.New("vxlan_id must be at least 1")}}
	}
	tests := []struct {
		summary string
		change  func(*hook.Unit, *hook.VPN)
		down    bool // the container
		gate    hook.Gate
		mode    hook.Mode
		kind    string
		message string // a part of it
	}{
		{summary: "all in place", mode: hook.Running, kind: "active", message: way},
		{summary: "another unit leads", change: func(u *hook.Unit, _ *hook.VPN) { u.Leader = false }, mode: hook.Stopped, kind: "waiting", message: "juju scale-application app 1"},
		{summary: "the charm's own gate is closed: a running workload goes on", gate: hook.Gate{Closed: true, Why: hook.Blocked("mend this")}, mode: hook.AsIs, kind: "blocked", message: "mend this"},
		{summary: "the container is not up", down: true, mode: hook.AsIs, kind: "waiting", message: "waiting for container app"},

		{summary: "no relation", change: func(_ *hook.Unit, v *hook.VPN) { v.Link = vpnk8slib.Link{Err: vpnk8slib.ErrNotRelated} },
			mode: hook.Stopped, kind: "blocked", message: "juju integrate app <gateway>:vpn-gateway (or set unsafe-mode=true to run without VPN)"},
		{summary: "no relation, and the operator wants none", change: func(_ *hook.Unit, v *hook.VPN) {
			v.Link, v.Options.UnsafeMode = vpnk8slib.Link{Err: vpnk8slib.ErrNotRelated}, true
		}, mode: hook.Running, kind: "active", message: "unsafe-mode=true: traffic leaves without VPN"},
		{summary: "related, and unsafe-mode left on", change: func(_ *hook.Unit, v *hook.VPN) { v.Options.UnsafeMode = true },
			mode: hook.Running, kind: "active", message: "unsafe-mode=true: removing the relation opens egress"},

		{summary: "the gateway has said nothing yet", change: func(_ *hook.Unit, v *hook.VPN) { silent(v); v.View.Last = nil },
			mode: hook.Stopped, kind: "waiting", message: "waiting for the gateway of vpn-gateway:1"},
		{summary: "the gateway has said nothing yet, and unsafe-mode is on", change: func(_ *hook.Unit, v *hook.VPN) { silent(v); v.View.Last, v.Options.UnsafeMode = nil, true },
			mode: hook.Stopped, kind: "waiting", message: "waiting for the gateway of vpn-gateway:1"},
		{summary: "its data cannot be used", change: func(_ *hook.Unit, v *hook.VPN) { unreadable(v); v.View.Last = nil },
			mode: hook.Stopped, kind: "blocked", message: "cannot use vpn-gateway data from gluetun: vxlan_id must be at least 1"},
		{summary: "its tunnel has not been up yet", change: func(_ *hook.Unit, v *hook.VPN) { v.Link.Gateway.VPNConnected, v.View.Last = false, nil },
			mode: hook.Stopped, kind: "waiting", message: "its VPN tunnel has not been up yet"},
		{summary: "routed before by another relation", change: func(_ *hook.Unit, v *hook.VPN) { silent(v); v.View.Last.Relation = "vpn-gateway:0" },
			mode: hook.Stopped, kind: "waiting", message: "waiting for the gateway of vpn-gateway:1"},

		{summary: "the tunnel is down now", change: func(_ *hook.Unit, v *hook.VPN) { v.Link.Gateway.VPNConnected = false },
			mode: hook.Running, kind: "waiting", message: "the VPN tunnel of gateway gateways/gluetun is down: nothing leaves"},
		{summary: "the gateway is gone, and the overlay with it", change: func(_ *hook.Unit, v *hook.VPN) { silent(v); v.Pod.Overlay = false },
			mode: hook.AsIs, kind: "waiting", message: "gateway gateways/gluetun is silent: nothing leaves until it is back"},
		{summary: "its data broke after a good time", change: func(_ *hook.Unit, v *hook.VPN) { unreadable(v); v.Pod.Overlay = false },
			mode: hook.AsIs, kind: "blocked", message: "vxlan_id must be at least 1"},

		{summary: "this pod is from before the route", change: func(_ *hook.Unit, v *hook.VPN) { v.Pod = vpnk8slib.Pod{} },
			mode: hook.Stopped, kind: "maintenance", message: "restarting this pod with the route to gateway gateways/gluetun"},
		{summary: "this pod has a second way out", change: func(_ *hook.Unit, v *hook.VPN) { v.Pod.Closed = false },
			mode: hook.Stopped, kind: "blocked", message: "kubectl -n downloads delete pod"},
		{summary: "the overlay is not there", change: func(_ *hook.Unit, v *hook.VPN) { v.Pod.Overlay = false },
			mode: hook.AsIs, kind: "waiting", message: "the overlay is not there, nothing leaves"},

		{summary: "no trust", change: func(_ *hook.Unit, v *hook.VPN) {
			v.View, v.ViewErr = vpnk8slib.ClientView{}, &vpnk8slib.ForbiddenError{Object: "NetworkPolicy", App: "app", Err: errors.New("no")}
		}, mode: hook.AsIs, kind: "blocked", message: "juju trust app --scope=cluster"},
		{summary: "the API server does not answer", change: func(_ *hook.Unit, v *hook.VPN) {
			v.View, v.ViewErr = vpnk8slib.ClientView{}, &url.Error{Op: "Get", URL: "https://10.0.0.1", Err: errors.New("no route")}
		}, mode: hook.AsIs, kind: "blocked", message: "kubectl -n downloads delete networkpolicy app-vpn-killswitch"},

		{summary: "a cluster whose networks cannot be found", change: func(_ *hook.Unit, v *hook.VPN) {
			v.View, v.ViewErr = vpnk8slib.ClientView{}, errors.New("cannot discover the cluster's pod network: set cluster-cidrs")
		}, mode: hook.AsIs, kind: "blocked", message: "set cluster-cidrs"},

		{summary: "another policy allows more", change: func(_ *hook.Unit, v *hook.VPN) { v.View.Wider = []string{"allow-all"} },
			mode: hook.Running, kind: "active", message: "NetworkPolicies that allow more for these pods: allow-all"},
		{summary: "policies are not enforced here", change: func(_ *hook.Unit, v *hook.VPN) { v.View.Enforced = vpnk8slib.NotEnforced },
			mode: hook.Running, kind: "active", message: "this cluster does not enforce NetworkPolicies"},
		{summary: "whether they are is not known", change: func(_ *hook.Unit, v *hook.VPN) { v.View.Enforced = vpnk8slib.EnforcementUnknown },
			mode: hook.Running, kind: "active", message: "is unknown"},
	}
	for _, test := range tests {
		t.Run(test.summary, func(t *testing.T) {
			u := hooktest.Leader("app")
			v := hooktest.Routed(t, u)
			if test.change != nil {
				test.change(&u, &v)
			}
			d := v.Desired(u, sleeper, !test.down, test.gate)
			assert.Equal(t, test.kind, d.Status.Kind, d.Status.Message)
			assert.Contains(t, d.Status.Message, test.message)
			require.Len(t, d.Workloads, 1)
			assert.Equal(t, test.mode.String(), d.Workloads[0].Mode.String())
			if v.ViewErr != nil {
				assert.Empty(t, d.Protect, "without a view of the cluster nothing is changed in it")
				assert.Empty(t, d.Release)
			}
		})
	}
}

func TestVPNPublishes(t *testing.T) {
	u := hooktest.Leader("app")
	d := hooktest.Routed(t, u).Desired(u, sleeper, true)
	assert.Equal(t, map[string]map[string]string{"vpn-gateway": {
		"config": `{"instance_name":"app","routing_methods":["pod-gateway"],"namespace":"downloads","application":"app"}`,
	}}, d.Publish)
}

// The overlay's check is laid where a route is to be, so that its coming brings a hook; the workload's own only with it.
func TestVPNChecks(t *testing.T) {
	u := hooktest.Leader("app")
	names := func(change func(*hook.VPN)) (out []string) {
		v := hooktest.Routed(t, u)
		change(&v)
		for name := range v.Desired(u, sleeper, true).Workloads[0].Layer.Checks {
			out = append(out, name)
		}
		return out
	}
	assert.ElementsMatch(t, []string{"overlay", "ui"}, names(func(*hook.VPN) {}))
	assert.ElementsMatch(t, []string{"overlay"}, names(func(v *hook.VPN) { v.Pod = vpnk8slib.Pod{} }))
	assert.Empty(t, names(func(v *hook.VPN) { v.Link = vpnk8slib.Link{Err: vpnk8slib.ErrNotRelated} }))
	assert.ElementsMatch(t, []string{"ui"}, names(func(v *hook.VPN) {
		v.Link, v.Options.UnsafeMode = vpnk8slib.Link{Err: vpnk8slib.ErrNotRelated}, true
	}))
}
