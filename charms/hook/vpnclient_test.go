package hook_test

import (
	"encoding/json"
	"errors"
	"net/netip"
	"net/url"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/charms/hook"
	"github.com/charmarr/charmarr-go/charms/hook/hooktest"
	"github.com/charmarr/charmarr-go/vpnk8slib"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
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
	heard := func(v *hook.VPN, c overlay.ClientState) { // and the check has failed
		v.Unheard, v.Pod.Agent = true, &overlay.Report{Guard: v.Pod.Agent.Guard, Client: &c}
	}
	unreadable := func(v *hook.VPN) {
		v.Link = vpnk8slib.Link{Relation: "vpn-gateway:1", Err: &vpnk8slib.InvalidError{From: "gluetun", Err: errors.New("vxlan_id must be at least 1")}}
	}
	unseen := func(v *hook.VPN) {
		v.View, v.ViewErr = vpnk8slib.ClientView{}, &url.Error{Op: "Get", URL: "https://10.0.0.1", Err: errors.New("no route")}
	}
	tests := []struct {
		summary string
		change  func(*hook.Unit, *hook.VPN)
		down    bool // the container
		gate    hook.Gate
		mode    hook.Mode
		kind    string
		message string // a part of it
		again   bool   // another hook is asked for
	}{
		{summary: "all in place", mode: hook.Running, kind: "active", message: way},
		{summary: "the agent cannot resolve names", change: func(_ *hook.Unit, v *hook.VPN) {
			v.Pod.Agent = &overlay.Report{Guard: overlay.GuardState{Standing: true, Raw: true}, Names: "cannot resolve names at 127.0.0.1:4793: address already in use"}
		}, mode: hook.Running, kind: "active", message: way + "; this pod finds no names: cannot resolve names at 127.0.0.1:4793: address already in use"},
		{summary: "its kernel holds no raw sockets", change: func(_ *hook.Unit, v *hook.VPN) {
			v.Pod.Agent = &overlay.Report{Guard: overlay.GuardState{Standing: true, Error: "this node's kernel has no netfilter egress hook"}}
		}, mode: hook.Running, kind: "active", message: way + "; the guard of this pod stands, but does not hold raw sockets: this node's kernel has no netfilter egress hook"},
		{summary: "another unit leads", change: func(u *hook.Unit, _ *hook.VPN) { u.Leader = false }, mode: hook.Stopped, kind: "waiting", message: "juju scale-application app 1"},
		{summary: "the charm's own gate is closed: a running workload goes on", gate: hook.Gate{Closed: true, Why: hook.Blocked("mend this")}, mode: hook.AsIs, kind: "blocked", message: "mend this"},
		{summary: "an option is refused: a running workload goes on", change: func(_ *hook.Unit, v *hook.VPN) { v.OptionsErr = errors.New("cannot use option web-port") },
			mode: hook.AsIs, kind: "blocked", message: "cannot use option web-port"},
		{summary: "the container is not up", down: true, mode: hook.AsIs, kind: "waiting", message: "waiting for container app"},

		{summary: "no relation", change: func(_ *hook.Unit, v *hook.VPN) { v.Link = vpnk8slib.Link{Err: vpnk8slib.ErrNotRelated} },
			mode: hook.Stopped, kind: "blocked", message: "juju integrate app <gateway>:vpn-gateway (or run without VPN: juju config app unsafe-mode=true)"},
		{summary: "no relation, and the operator wants none", change: func(_ *hook.Unit, v *hook.VPN) {
			v.Link, v.Options.UnsafeMode = vpnk8slib.Link{Err: vpnk8slib.ErrNotRelated}, true
		}, mode: hook.Running, kind: "active", message: "unsafe-mode=true: traffic leaves without VPN"},
		{summary: "the relation breaks", change: func(_ *hook.Unit, v *hook.VPN) {
			v.Link, v.Breaking = vpnk8slib.Link{Err: vpnk8slib.ErrNotRelated}, true
		},
			mode: hook.Stopped, kind: "blocked", message: "juju integrate app <gateway>:vpn-gateway"},
		{summary: "the relation breaks, and the operator wants none", change: func(_ *hook.Unit, v *hook.VPN) {
			v.Link, v.Options.UnsafeMode, v.Breaking = vpnk8slib.Link{Err: vpnk8slib.ErrNotRelated}, true, true
		}, mode: hook.Stopped, kind: "maintenance", message: "seeing which gateways are related", again: true},
		{summary: "another relation breaks than the one that leads out", change: func(_ *hook.Unit, v *hook.VPN) { v.Breaking = true },
			mode: hook.Running, kind: "maintenance", message: "seeing which gateways are related", again: true},
		{summary: "the relation that leads out breaks, and another gateway is there", change: func(_ *hook.Unit, v *hook.VPN) { v.View.Last.Relation, v.Breaking = "vpn-gateway:0", true },
			mode: hook.Stopped, kind: "maintenance", message: "seeing which gateways are related", again: true},
		{summary: "related, and unsafe-mode left on", change: func(_ *hook.Unit, v *hook.VPN) { v.Options.UnsafeMode = true },
			mode: hook.Running, kind: "active", message: "unsafe-mode=true: removing the relation opens egress"},

		{summary: "the gateway has said nothing yet", change: func(_ *hook.Unit, v *hook.VPN) { silent(v); v.View.Last = nil },
			mode: hook.Stopped, kind: "waiting", message: "waiting for the gateway of vpn-gateway:1 to publish its data; see: juju status --relations app"},
		{summary: "the gateway has said nothing yet, and unsafe-mode is on", change: func(_ *hook.Unit, v *hook.VPN) { silent(v); v.View.Last, v.Options.UnsafeMode = nil, true },
			mode: hook.Stopped, kind: "waiting", message: "waiting for the gateway of vpn-gateway:1"},
		{summary: "its data cannot be used", change: func(_ *hook.Unit, v *hook.VPN) { unreadable(v); v.View.Last = nil },
			mode: hook.Stopped, kind: "blocked", message: "cannot use vpn-gateway data from gluetun: vxlan_id must be at least 1; see what it says: juju show-unit app/0 --endpoint vpn-gateway"},
		{summary: "its tunnel has not been up yet", change: func(_ *hook.Unit, v *hook.VPN) { v.Link.Gateway.VPNConnected, v.View.Last = false, nil },
			mode: hook.Stopped, kind: "waiting", message: "its VPN tunnel has not been up yet; see: juju status -m gateways gluetun"},
		{summary: "routed before by another relation", change: func(_ *hook.Unit, v *hook.VPN) { silent(v); v.View.Last.Relation = "vpn-gateway:0" },
			mode: hook.Stopped, kind: "waiting", message: "waiting for the gateway of vpn-gateway:1"},

		{summary: "the tunnel is down now", change: func(_ *hook.Unit, v *hook.VPN) { v.Link.Gateway.VPNConnected = false },
			mode: hook.Running, kind: "waiting", message: "the VPN tunnel of gateway gateways/gluetun is down: nothing leaves until it is up; see: juju status -m gateways gluetun"},
		{summary: "the gateway is not heard any more, whatever it has published last", change: func(_ *hook.Unit, v *hook.VPN) { heard(v, overlay.ClientState{Lost: true, Tunnel: true}) },
			mode: hook.Running, kind: "waiting", message: "gateway gateways/gluetun is not heard: nothing leaves until it is back; see: juju status -m gateways gluetun"},
		{summary: "it has said that its tunnel is down, and is not heard any more", change: func(_ *hook.Unit, v *hook.VPN) {
			heard(v, overlay.ClientState{Lost: true})
			v.Link.Gateway.VPNConnected = false
		}, mode: hook.Running, kind: "waiting", message: "gateway gateways/gluetun is not heard: nothing leaves until it is back"},
		{summary: "it says by its heartbeats that the tunnel is down, and has not published it yet", change: func(_ *hook.Unit, v *hook.VPN) { heard(v, overlay.ClientState{}) },
			mode: hook.Running, kind: "waiting", message: "the VPN tunnel of gateway gateways/gluetun is down: nothing leaves until it is up"},
		{summary: "the overlay is not as it should be", change: func(_ *hook.Unit, v *hook.VPN) { heard(v, overlay.ClientState{Tunnel: true, Error: "no such device"}) },
			mode: hook.Running, kind: "waiting", message: "the way to gateway gateways/gluetun is not as it should be, nothing leaves: no such device"},
		{summary: "it is heard again, and the hook of the check that says so is on its way", change: func(_ *hook.Unit, v *hook.VPN) { heard(v, overlay.ClientState{Tunnel: true}) },
			mode: hook.Running, kind: "active", message: "through gateway"},
		{summary: "it moves: no check has failed, so none would bring a hook when it is back", change: func(_ *hook.Unit, v *hook.VPN) {
			heard(v, overlay.ClientState{Lost: true})
			v.Unheard = false
		}, mode: hook.Running, kind: "active", message: "through gateway"},
		{summary: "the gateway says nothing any more, and the overlay is there", change: func(_ *hook.Unit, v *hook.VPN) { silent(v) },
			mode: hook.Running, kind: "waiting", message: "gateway gateways/gluetun is silent: this pod goes on by what it said last; see: juju status -m gateways gluetun"},
		{summary: "the gateway is gone, and the overlay with it", change: func(_ *hook.Unit, v *hook.VPN) { silent(v); v.Pod.Overlay = false },
			mode: hook.AsIs, kind: "waiting", message: "gateway gateways/gluetun is silent: nothing leaves until it is back; see: juju status -m gateways gluetun"},
		{summary: "its data broke after a good time", change: func(_ *hook.Unit, v *hook.VPN) { unreadable(v); v.Pod.Overlay = false },
			mode: hook.AsIs, kind: "blocked", message: "vxlan_id must be at least 1"},

		{summary: "this pod is from before the route", change: func(_ *hook.Unit, v *hook.VPN) { v.Pod = vpnk8slib.Pod{} },
			mode: hook.Stopped, kind: "maintenance", message: "restarting this pod with the route to gateway gateways/gluetun"},
		{summary: "this pod has a second way out", change: func(_ *hook.Unit, v *hook.VPN) { v.Pod.Closed, v.Pod.Agent = false, nil },
			mode: hook.Stopped, kind: "blocked", message: "kubectl -n downloads delete pod"},
		{summary: "a second way out, and its guard stands", change: func(_ *hook.Unit, v *hook.VPN) { v.Pod.Closed = false },
			mode: hook.Running, kind: "active", message: "through gateway"},
		{summary: "its guard does not answer, and an older charm has closed it", change: func(_ *hook.Unit, v *hook.VPN) { v.Pod.Agent = nil },
			mode: hook.AsIs, kind: "waiting", message: "waiting for the guard of this pod to answer; see: kubectl -n downloads logs app-0 -c vpn-agent"},
		{summary: "its guard could not be laid", change: func(_ *hook.Unit, v *hook.VPN) {
			v.Pod = vpnk8slib.Pod{Overlay: true, Agent: &overlay.Report{Guard: overlay.GuardState{Error: "operation not permitted"}}}
		}, mode: hook.Stopped, kind: "waiting", message: "the guard of this pod does not stand: operation not permitted"},
		{summary: "the overlay is not there", change: func(_ *hook.Unit, v *hook.VPN) { v.Pod.Overlay = false },
			mode: hook.AsIs, kind: "waiting", message: "waiting for gateway gateways/gluetun: the overlay is not there, nothing leaves; see: juju status -m gateways gluetun"},
		{summary: "the same, of a gateway of this model", change: func(_ *hook.Unit, v *hook.VPN) {
			v.Pod.Overlay, v.Link.Gateway.Namespace = false, "downloads"
		}, mode: hook.AsIs, kind: "waiting", message: "waiting for gateway gluetun: the overlay is not there, nothing leaves; see: juju status gluetun"},

		{summary: "no trust", change: func(_ *hook.Unit, v *hook.VPN) {
			v.View, v.ViewErr = vpnk8slib.ClientView{}, &vpnk8slib.ForbiddenError{Object: "NetworkPolicy", App: "app", Err: errors.New("no")}
		}, mode: hook.AsIs, kind: "blocked", message: "juju trust app --scope=cluster"},
		{summary: "the API server does not answer", change: func(_ *hook.Unit, v *hook.VPN) { unseen(v) }, mode: hook.AsIs, kind: "blocked", message: "`kubectl -n downloads delete networkpolicy app-vpn-killswitch`, with Cilium also `kubectl -n downloads delete ciliumnetworkpolicy app-vpn-killswitch`"},

		{summary: "it does not answer, and the gateway is silent: what was held goes on", change: func(_ *hook.Unit, v *hook.VPN) { unseen(v); silent(v); v.Pod.Overlay = false },
			mode: hook.AsIs, kind: "blocked", message: "cannot reach the Kubernetes API server"},
		{summary: "it does not answer, and the tunnel is down", change: func(_ *hook.Unit, v *hook.VPN) { unseen(v); v.Link.Gateway.VPNConnected = false },
			mode: hook.AsIs, kind: "blocked", message: "cannot reach the Kubernetes API server"},
		{summary: "it does not answer, and this pod was never closed by us", change: func(_ *hook.Unit, v *hook.VPN) { unseen(v); silent(v); v.Pod.Patched, v.Pod.Agent = false, nil },
			mode: hook.Stopped, kind: "blocked", message: "cannot reach the Kubernetes API server"},
		{summary: "it does not answer, and this pod has a second way out", change: func(_ *hook.Unit, v *hook.VPN) { unseen(v); silent(v); v.Pod.Closed, v.Pod.Agent = false, nil },
			mode: hook.Stopped, kind: "blocked", message: "cannot reach the Kubernetes API server"},
		{summary: "it does not answer, and there is no relation", change: func(_ *hook.Unit, v *hook.VPN) { unseen(v); v.Link = vpnk8slib.Link{Err: vpnk8slib.ErrNotRelated} },
			mode: hook.Stopped, kind: "blocked", message: "cannot reach the Kubernetes API server"},

		{summary: "a cluster whose networks cannot be found", change: func(_ *hook.Unit, v *hook.VPN) {
			v.View, v.ViewErr = vpnk8slib.ClientView{}, errors.New("cannot discover the cluster's pod network: set cluster-cidrs")
		}, mode: hook.AsIs, kind: "blocked", message: "set cluster-cidrs"},

		{summary: "another policy allows more", change: func(_ *hook.Unit, v *hook.VPN) { v.View.Wider = []string{"allow-all"} },
			mode: hook.Running, kind: "active", message: "NetworkPolicies that allow more for these pods: allow-all"},
		{summary: "policies are not enforced here", change: func(_ *hook.Unit, v *hook.VPN) { v.View.Enforced = vpnk8slib.NotEnforced },
			mode: hook.Running, kind: "active", message: "this cluster does not enforce NetworkPolicies: only the guard in this pod protects"},
		{summary: "whether they are is not known", change: func(_ *hook.Unit, v *hook.VPN) { v.View.Enforced = vpnk8slib.EnforcementUnknown },
			mode: hook.Running, kind: "active", message: "is unknown"},
	}
	for _, test := range tests {
		t.Run(test.summary, func(t *testing.T) {
			u := hooktest.Leader("app")
			v := hooktest.Routed(t, u)
			v.App.Unit = u.Name
			if test.change != nil {
				test.change(&u, &v)
			}
			d := v.Desired(u, sleeper, !test.down, test.gate)
			assert.Equal(t, test.kind, d.Status.Kind, d.Status.Message)
			assert.Contains(t, d.Status.Message, test.message)
			require.Len(t, d.Workloads, 1)
			assert.Equal(t, test.again, d.Again == sleeper.Container)
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
		"config": `{"instance_name":"app","routing_methods":["overlay","pod-gateway"],"namespace":"downloads","application":"app"}`,
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
	byOverlay := func(v *hook.VPN) {
		v.Link.Gateway.RoutingMethod, v.Link.Gateway.Overlay = vpnk8slib.Overlay, &vpnk8slib.OverlayData{
			Network: netip.MustParsePrefix("172.16.0.0/20"), Gateway: netip.MustParseAddr("172.16.0.1"), Block: netip.MustParsePrefix("172.16.0.16/28"),
			Pod: netip.MustParseAddr("10.42.0.7"), Beats: 4791,
		}
	}
	assert.ElementsMatch(t, []string{"overlay", "gateway", "ui"}, names(byOverlay), "where somebody in this pod knows whether the gateway is heard")
	assert.ElementsMatch(t, []string{"overlay", "gateway", "ui"}, names(func(v *hook.VPN) {
		byOverlay(v)
		v.View.Last.Gateway, v.Link = v.Link.Gateway, vpnk8slib.Link{Relation: v.Link.Relation, Err: vpnk8slib.ErrNotReady}
	}), "by what it said last")
	assert.ElementsMatch(t, []string{"ui"}, names(func(v *hook.VPN) {
		v.Link, v.Options.UnsafeMode = vpnk8slib.Link{Err: vpnk8slib.ErrNotRelated}, true
	}))
}

// With an option refused, nobody knows what was meant by it. The route stays as it was laid, and what is known of the last
// one is kept; the kill switch is laid all the same, and nothing is taken away.
func TestVPNLaysNoRouteFromHalfTheOptions(t *testing.T) {
	laid := []string{"NetworkPolicy app-vpn-killswitch", "ConfigMap app-vpn-state"}
	unrelated := func(v *hook.VPN) { v.Link = vpnk8slib.Link{Err: vpnk8slib.ErrNotRelated} }
	tests := []struct {
		summary string
		change  func(*hook.VPN)
		steps   []string
	}{
		{"routed", func(*hook.VPN) {}, laid},
		{"held", func(v *hook.VPN) { v.Link.Err = vpnk8slib.ErrNotReady }, laid},
		{"no relation", unrelated, laid},
		{"no relation, and the operator wants no protection", func(v *hook.VPN) { unrelated(v); v.Options.UnsafeMode = true }, nil},
	}
	for _, test := range tests {
		t.Run(test.summary, func(t *testing.T) {
			u := hooktest.Leader("app")
			v := hooktest.Routed(t, u)
			test.change(&v)
			v.OptionsErr = errors.New("cannot use option pod-gateway-image")
			v.Options.PodGatewayImage, v.Options.ClusterCIDRs = "", nil // what was refused is not there
			d := v.Desired(u, sleeper, true)
			var steps []string
			for _, s := range d.Protect {
				steps = append(steps, s.Apply.Ref().String())
				if s.Apply.Kind == "ConfigMap" {
					assert.Contains(t, s.Apply.Data["last-good.json"], "gluetun-0.gluetun-endpoints.gateways", "the last route is still known")
				}
			}
			assert.Equal(t, test.steps, steps)
			assert.Empty(t, d.Release)
			assert.Equal(t, "blocked", d.Status.Kind)
		})
	}
}

// An overlay in the cluster's own network cannot be routed by. What can be laid is laid all the same.
func TestVPNLocksWithoutARoute(t *testing.T) {
	u := hooktest.Leader("app")
	v := hooktest.Routed(t, u)
	overlay, err := vpnk8slib.ParseOverlayNetwork("10.42.9")
	require.NoError(t, err)
	v.Link.Gateway.VXLANIPNetwork = overlay
	d := v.Desired(u, sleeper, true)
	assert.Equal(t, "blocked", d.Status.Kind)
	assert.Contains(t, d.Status.Message, "vxlan-ip-network")
	assert.Equal(t, hook.AsIs.String(), d.Workloads[0].Mode.String())
	require.NotEmpty(t, d.Protect)
	assert.Equal(t, "NetworkPolicy", d.Protect[0].Apply.Kind)
	for _, s := range d.Protect {
		assert.NotEqual(t, "StatefulSet", s.Apply.Kind)
	}
}

// An image is tried before a pod is made of it. A workload that runs goes on, and may start again, in a pod that runs by the same settings.
func TestVPNImages(t *testing.T) {
	u := hooktest.Leader("app")
	settings, names := func() (string, []string) { // as the template has them when the route is laid
		d := hooktest.Routed(t, u).Desired(u, sleeper, true)
		var template struct {
			Spec struct {
				Template struct {
					Metadata struct{ Annotations map[string]string }
					Spec     struct{ InitContainers, Containers []struct{ Name string } }
				}
			}
		}
		for _, s := range d.Protect {
			if s.Apply.Kind == "StatefulSet" {
				text, err := json.Marshal(s.Apply)
				require.NoError(t, err)
				require.NoError(t, json.Unmarshal(text, &template))
			}
		}
		var names []string
		for _, c := range slices.Concat(template.Spec.Template.Spec.InitContainers, template.Spec.Template.Spec.Containers) {
			names = append(names, c.Name)
		}
		return template.Spec.Template.Metadata.Annotations[vpnk8slib.Domain+"config-hash"], names
	}()
	require.NotEmpty(t, settings)
	fresh := func(v *hook.VPN) { v.View.Trials.Settings, v.Pod, v.View.Last = "", vpnk8slib.Pod{}, nil }
	other := func(v *hook.VPN) { v.View.Trials.Settings = "other" }
	tests := []struct {
		summary string
		change  func(*hook.VPN)
		why     string // what became of the trial
		mode    hook.Mode
		kind    string
		message string
	}{
		{"it is tried", func(*hook.VPN) {}, "", hook.Running, "waiting", "trying the image agent:2 in pod app-vpn-trial-"},
		{"it cannot be used", func(*hook.VPN) {}, "ErrImagePull", hook.Running, "blocked", "cannot use the image agent:2: ErrImagePull: juju config app vpn-agent-image=<image>; see: kubectl -n downloads describe pod app-vpn-trial-"},
		{"it is tried for a new pod", fresh, "", hook.Stopped, "waiting", "trying the image agent:2"},
		{"it cannot be used for a new pod", fresh, "ErrImagePull", hook.Stopped, "blocked", "juju config app vpn-agent-image=<image>"},
		{"it is tried for other settings", other, "", hook.AsIs, "waiting", "trying the image agent:2"},
		{"it cannot be used for other settings", other, "ErrImagePull", hook.AsIs, "blocked", "cannot use the image agent:2"},
		{"it is tried in a pod that does not hold", func(v *hook.VPN) { v.Pod = vpnk8slib.Pod{} }, "", hook.Stopped, "waiting", "trying the image agent:2"},
		{"it is tried where another policy allows more", func(v *hook.VPN) { v.View.Wider = []string{"allow-all"} }, "", hook.Running, "waiting", "; NetworkPolicies that allow more for these pods: allow-all"},
	}
	for _, test := range tests {
		t.Run(test.summary, func(t *testing.T) {
			v := hooktest.Routed(t, u)
			v.Options.AgentImage = "agent:2"
			v.View.Trials.Settings, v.View.Trials.Containers = settings, names
			test.change(&v)
			d := v.Desired(u, sleeper, true)
			assert.Equal(t, "app", d.Soon.Container, "nobody tells what becomes of a pod that is made now")
			if test.why != "" {
				for _, s := range d.Protect {
					if s.Apply.Kind == "Pod" {
						v.View.Trials.Pods = []vpnk8slib.Trial{{Pod: s.Apply.Metadata.Name, Why: test.why}}
					}
				}
				require.NotEmpty(t, v.View.Trials.Pods)
				d = v.Desired(u, sleeper, true)
				assert.Empty(t, d.Soon)
			}
			assert.Equal(t, test.kind, d.Status.Kind, d.Status.Message)
			assert.Contains(t, d.Status.Message, test.message)
			assert.Equal(t, test.mode.String(), d.Workloads[0].Mode.String())
			assert.Equal(t, "NetworkPolicy app-vpn-killswitch", d.Protect[0].Apply.Ref().String())
			for _, s := range d.Protect {
				assert.NotEqual(t, "StatefulSet", s.Apply.Kind)
			}
		})
	}
}
