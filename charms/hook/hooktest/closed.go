package hooktest

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/charms/hook"
	"github.com/charmarr/charmarr-go/vpnk8slib"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// Gateway is what a connected gateway publishes; "gluetun" in the model "gateways".
func Gateway(t *testing.T) vpnk8slib.ProviderData {
	t.Helper()
	d, err := vpnk8slib.DecodeProviderData("gluetun", map[string]string{"config": `{
		"routing_method": "pod-gateway", "gateway_dns_name": "gluetun-0.gluetun-endpoints.gateways.svc.cluster.local",
		"vxlan_id": 42, "vxlan_ip_network": "172.16.0", "vxlan_port": 4790, "cluster_cidrs": "10.42.0.0/16,10.43.0.0/16",
		"cluster_dns_ip": "10.43.0.10", "vpn_connected": true, "external_ip": "192.0.2.2", "instance_name": "gluetun"}`})
	require.NoError(t, err)
	return d
}

// Network is a cluster as discovery finds it.
func Network(t *testing.T) vpnk8slib.Network {
	t.Helper()
	cidrs := func(s string) vpnk8slib.CIDRs {
		c, err := vpnk8slib.ParseCIDRs(s)
		require.NoError(t, err)
		return c
	}
	return vpnk8slib.Network{
		Services: cidrs("10.43.0.0/16,fd43::/112"), Pods: cidrs("10.42.0.0/16,fd42::/48"),
		DNS:        []netip.Addr{netip.MustParseAddr("10.43.0.10")},
		APIServers: []netip.AddrPort{netip.MustParseAddrPort("10.44.0.1:6443")}, Controllers: []netip.AddrPort{netip.MustParseAddrPort("10.44.0.1:17070")},
		Domain: "cluster.local",
	}
}

// Proven are images that the template has.
var Proven = vpnk8slib.Trials{Images: []string{vpnk8slib.PodGatewayImage, vpnk8slib.AgentImage}}

// Leader is the one unit of an application called app, in the model "downloads".
func Leader(app string) hook.Unit {
	return hook.Unit{Name: app + "/0", App: app, Model: "downloads", Event: "config-changed", Leader: true}
}

// Routed is the VPN's half of a world in which everything is in place. Each test breaks one thing.
func Routed(t *testing.T, u hook.Unit) hook.VPN {
	t.Helper()
	gateway := Gateway(t)
	return hook.VPN{
		Options: hook.VPNOptions{PodGatewayImage: "ghcr.io/angelnu/pod-gateway:v1.13.0", AgentImage: vpnk8slib.AgentImage},
		App:     vpnk8slib.App{Name: u.App, Namespace: u.Model, OwnerUID: "6f6b3c5e-0000-4000-8000-000000000001"},
		Link:    vpnk8slib.Link{Relation: "vpn-gateway:1", Gateway: gateway},
		View: vpnk8slib.ClientView{
			Last: &vpnk8slib.LastGood{Relation: "vpn-gateway:1", Gateway: gateway}, Network: Network(t), Enforced: vpnk8slib.Enforced,
			Trials: Proven,
		},
		Pod: vpnk8slib.Pod{Overlay: true, Closed: true, Patched: true, Agent: guarded},
	}
}

// guarded is what the agent of a pod answers whose guard stands.
var guarded = &overlay.Report{Guard: overlay.GuardState{Standing: true, Raw: true}}

// FailsClosed runs a consumer charm's decision in every world that can be made from what a consumer sees of its VPN, and
// asserts what must hold in all of them. It fails too when none of those worlds lets the workload run: a charm that never
// runs would be safe and worthless.
func FailsClosed(t *testing.T, u hook.Unit, decide func(u hook.Unit, v hook.VPN, up bool) hook.Desired) {
	t.Helper()
	worlds, ran := 0, map[bool]int{}
	for w := range everyWorld(t, u) {
		worlds++
		d := decide(w.unit, w.vpn, w.up)
		for _, workload := range d.Workloads {
			unsafe := w.vpn.State() == vpnk8slib.Unprotected
			if workload.Mode != hook.Stopped && !checkRunning(t, w, d, workload, unsafe) {
				return // one world is enough to understand it
			}
			if workload.Mode == hook.Running {
				ran[unsafe]++
			}
		}
		if w.vpn.Breaking && !checkBreaking(t, w, d) {
			return
		}
		for _, s := range d.Protect {
			if w.untried && s.Apply.Kind == "StatefulSet" {
				assert.Fail(t, "a pod is made of an image that nobody has tried", w.String())
				return
			}
		}
		if len(d.Release) > 0 && (w.vpn.State() != vpnk8slib.Unprotected || w.vpn.OptionsErr != nil) {
			assert.Fail(t, "a protection is taken away", w.String())
			return
		}
		if d.Status.Kind == "" || (d.Status.Kind != "active" && d.Status.Message == "") {
			assert.Fail(t, "nobody is told what is missing", "%s: %v", w, d.Status)
			return
		}
	}
	assert.Greater(t, worlds, 1000)
	assert.Positive(t, ran[false], "worlds in which the workload runs behind the VPN")
	assert.Positive(t, ran[true], "worlds in which it runs without")
}

// checkBreaking asserts that the hook that breaks a relation changes no pod, and that the next one is on its way.
func checkBreaking(t *testing.T, w world, d hook.Desired) bool {
	t.Helper()
	ok := assert.Empty(t, d.Release, "%s", w)
	for _, s := range d.Protect {
		ok = ok && assert.NotEqual(t, "StatefulSet", s.Apply.Kind, "a pod is changed while a relation breaks: %s", w)
	}
	if w.unit.Leader && w.vpn.State() != vpnk8slib.Locked {
		return ok && assert.NotEmpty(t, d.Again, "nothing brings the next hook: %s", w)
	}
	return ok && assert.Empty(t, d.Again, "%s", w)
}

// checkRunning asserts what holds where a workload runs or may go on.
func checkRunning(t *testing.T, w world, d hook.Desired, workload hook.Workload, unsafe bool) bool {
	t.Helper()
	if unsafe {
		return assert.True(t, w.vpn.Options.UnsafeMode && errors.Is(w.vpn.Link.Err, vpnk8slib.ErrNotRelated), "unsafe is the operator's own word, and only without a relation: %s", w)
	}
	ok := assert.True(t, w.unit.Leader, "only the leader's runs: %s", w) &&
		assert.True(t, w.vpn.Pod.Closed && w.vpn.Pod.Patched || w.vpn.Pod.Agent == guarded, "a workload goes on in a closed pod only: %s", w) &&
		assert.Empty(t, d.Release, "%s", w)
	if workload.Mode != hook.Running || !ok {
		return ok
	}
	if !assert.NoError(t, w.vpn.OptionsErr, "a workload starts only with options that mean something: %s", w) {
		return false
	}
	return assert.True(t, w.vpn.Pod.Overlay && w.vpn.Pod.Agent == guarded, "a workload starts in a routed and guarded pod only: %s", w) &&
		assert.NotEmpty(t, d.Protect, "%s", w) &&
		assert.Equal(t, "NetworkPolicy", d.Protect[0].Apply.Kind, "the policy comes first: %s", w)
}

type world struct {
	unit hook.Unit
	vpn  hook.VPN
	up   bool
	link string
	// its images are not proven
	untried bool
}

func (w world) String() string {
	return fmt.Sprintf("state %s, link %s, leader %t, event %s, unsafe %t, up %t, pod %+v, view error %v, options' %v, routed before %t, breaking %t, untried %t",
		w.vpn.State(), w.link, w.unit.Leader, w.unit.Event, w.vpn.Options.UnsafeMode, w.up, w.vpn.Pod, w.vpn.ViewErr, w.vpn.OptionsErr, w.vpn.View.Last != nil, w.vpn.Breaking, w.untried)
}

// everyWorld yields every combination of link, error of the view, last good data and booleans.
func everyWorld(t *testing.T, u hook.Unit) func(yield func(world) bool) {
	good := Routed(t, u)
	down := good.Link
	down.Gateway.VPNConnected = false
	links := map[string]vpnk8slib.Link{
		"good": good.Link, "tunnel down": down, "not related": {Err: vpnk8slib.ErrNotRelated},
		"silent":     {Relation: "vpn-gateway:1", Err: vpnk8slib.ErrNotReady},
		"unreadable": {Relation: "vpn-gateway:1", Err: &vpnk8slib.InvalidError{From: "gluetun", Err: errors.New("it is not JSON")}},
		"another":    {Relation: "vpn-gateway:2", Err: vpnk8slib.ErrNotReady},
	}
	errs := []error{nil, &vpnk8slib.ForbiddenError{Object: "NetworkPolicy", App: u.App, Err: errors.New("forbidden")}, &url.Error{Op: "Get", URL: "https://10.44.0.1", Err: errors.New("no answer")}}
	return func(yield func(world) bool) {
		for name, link := range links {
			for _, viewErr := range errs {
				for bits := range 1 << 11 {
					bit := func(n int) bool { return bits>>n&1 == 1 }
					w := world{unit: u, vpn: good, up: bit(0), link: name}
					w.unit.Leader = bit(1)
					w.vpn.Link, w.vpn.ViewErr = link, viewErr
					w.vpn.Options.UnsafeMode = bit(2)
					w.vpn.Pod = vpnk8slib.Pod{Overlay: bit(3), Closed: bit(4), Patched: bit(5)}
					w.vpn.Breaking = bit(8)
					if w.vpn.Pod.Agent = new(overlay.Report); bit(9) {
						w.vpn.Pod.Agent = guarded
					}
					if bit(7) {
						w.vpn.OptionsErr = errors.New("cannot use option cluster-cidrs")
					}
					if bit(6) || viewErr != nil {
						w.vpn.View.Last = nil
					}
					if w.untried = bit(10); w.untried {
						w.vpn.View.Trials = vpnk8slib.Trials{}
					}
					if viewErr != nil {
						w.vpn.View = vpnk8slib.ClientView{}
					}
					if !yield(w) {
						return
					}
				}
			}
		}
	}
}
