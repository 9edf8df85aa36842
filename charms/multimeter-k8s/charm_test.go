package main

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/charms/hook"
	"github.com/charmarr/charmarr-go/charms/hook/hooktest"
	"github.com/charmarr/charmarr-go/vpnk8slib"
)

func ready(t *testing.T) Observed {
	u := hooktest.Leader("multimeter")
	return Observed{Unit: u, VPN: hooktest.Routed(t, u), Container: hook.Seen{Up: true, Running: true, Checks: map[string]bool{"echo": true}}}
}

func TestFailsClosed(t *testing.T) {
	hooktest.FailsClosed(t, hooktest.Leader("multimeter"), func(u hook.Unit, v hook.VPN, up bool) hook.Desired {
		o := ready(t)
		o.Unit, o.VPN, o.ConfigErr, o.Container.Up = u, v, v.OptionsErr, up
		return Reconcile(o)
	})
}

// A wrong option stops nothing that runs in a closed pod, and changes nothing in the pod.
func TestWrongOption(t *testing.T) {
	o := ready(t)
	o.ConfigErr = errors.New("cannot use option pod-gateway-image")
	d := Reconcile(o)
	assert.Equal(t, hook.Blocked("cannot use option pod-gateway-image"), d.Status)
	assert.Equal(t, hook.AsIs, d.Workloads[0].Mode)
	for _, s := range d.Protect {
		assert.NotEqual(t, "StatefulSet", s.Apply.Kind)
	}
}

// A probe leaves where the workload may run, and nowhere else.
func TestMayProbe(t *testing.T) {
	tests := []struct {
		summary string
		change  func(*Observed)
		words   string // empty: it may
	}{
		{"all in place", func(*Observed) {}, ""},
		{"the overlay is gone, the pod is closed: the probe shows that nothing leaves", func(o *Observed) { o.VPN.Pod.Overlay = false }, ""},
		{"without VPN, on the operator's word", func(o *Observed) {
			o.VPN.Link, o.VPN.Options.UnsafeMode = vpnk8slib.Link{Err: vpnk8slib.ErrNotRelated}, true
		}, ""},
		{"no relation", func(o *Observed) { o.VPN.Link = vpnk8slib.Link{Err: vpnk8slib.ErrNotRelated} }, "juju integrate multimeter"},
		{"a pod from before the route", func(o *Observed) { o.VPN.Pod = vpnk8slib.Pod{} }, "restarting this pod"},
		{"a pod with a second way out", func(o *Observed) { o.VPN.Pod.Closed, o.VPN.Pod.Agent = false, nil }, "this pod still has a way out"},
		{"the workload does not run yet", func(o *Observed) { o.Container.Running = false }, "does not yet"},
	}
	for _, test := range tests {
		t.Run(test.summary, func(t *testing.T) {
			o := ready(t)
			test.change(&o)
			err := mayProbe(o)
			if test.words == "" {
				assert.NoError(t, err)
				return
			}
			assert.ErrorContains(t, err, test.words)
		})
	}
}

func TestResults(t *testing.T) {
	r, err := results(`{"outcome":"ok","status":200,"addresses":["192.0.2.2"],"source":"192.0.2.2"}`)
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"outcome": "ok", "status": "200", "addresses": `["192.0.2.2"]`, "source": "192.0.2.2"}, r)
	_, err = results("panic: no")
	assert.ErrorContains(t, err, "panic: no")
}

func TestFamily(t *testing.T) {
	for text, want := range map[string]family{`4`: "4", `"4"`: "4", `6`: "6", `"any"`: "any"} {
		var f family
		require.NoError(t, f.UnmarshalJSON([]byte(text)))
		assert.Equal(t, want, f)
	}
	var f family
	assert.ErrorContains(t, f.UnmarshalJSON([]byte(`5`)), "set any, 4 or 6")
}

func TestCharmcraft(t *testing.T) {
	names := []string{}
	for name := range actions {
		names = append(names, name)
	}
	hooktest.Charmcraft(t, "charmcraft.yaml", Config{}, hooktest.Names{
		Containers: []string{container},
		Resources:  []string{container + "-image"},
		Requires:   map[string]string{hook.VPNEndpoint: "vpn-gateway", hook.TracingEndpoint: "tracing"},
		Actions:    names,
		Params:     map[string]any{"fetch": fetchParams{}, "resolve": resolveParams{}, "listen": listenParams{}, hook.VerifyEgressAction: hook.DrillParams{}, hook.SpeedtestAction: hook.SpeedtestParams{}},
	})
}
