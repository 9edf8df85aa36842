package main

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/charmarr/charmarr-go/charms/hook"
)

// A hook sees what Pebble's checks have not seen: it may turn back before they look, and then nothing else would bring a hook.
func TestUnturned(t *testing.T) {
	tests := []struct {
		summary string
		change  func(*Observed, map[string]bool)
		soon    bool
	}{
		{"all is well", func(*Observed, map[string]bool) {}, false},
		{"one look in vain", func(o *Observed, _ map[string]bool) { o.Tunnel.Up = false }, true},
		{"the check has seen it", func(o *Observed, c map[string]bool) { o.Tunnel.Up, c[tunnelCheck] = false, false }, false},
		{"it is back, and the check follows", func(_ *Observed, c map[string]bool) { c[tunnelCheck] = false }, false},
		{"there is no check yet", func(o *Observed, c map[string]bool) { o.Tunnel.Up = false; delete(c, tunnelCheck) }, false},
		{"another unit has the tunnel, and it is up", func(o *Observed, c map[string]bool) {
			o.Pod.Agent.Gateway.Standby, c[activeCheck] = &heldBySecond, false
			o.Container.Running = false
		}, false},
		{"another unit's was down for a moment, as the leader has told", func(o *Observed, c map[string]bool) {
			p := heldBySecond
			p.Held.Tunnel = false
			o.Pod.Agent.Gateway.Standby, c[activeCheck] = &p, false
			o.Container.Running = false
		}, true},
		{"another unit's is down", func(o *Observed, c map[string]bool) {
			p := heldBySecond
			p.Held.Tunnel = false
			o.Pod.Agent.Gateway.Standby, c[activeCheck], c[elsewhereCheck] = &p, false, false
			o.Container.Running = false
		}, false},
		{"this one could not renew its Lease for a moment, and stops", func(o *Observed, _ map[string]bool) {
			o.Pod.Agent.Gateway.Standby = &heldBySecond
			o.Container.Running = false
		}, true},
	}
	for _, test := range tests {
		t.Run(test.summary, func(t *testing.T) {
			o := several(t)
			o.Container.Checks = map[string]bool{tunnelCheck: true, activeCheck: true, elsewhereCheck: true}
			test.change(&o, o.Container.Checks)
			o.followHolder()
			assert.Equal(t, test.soon, Reconcile(o).Soon != hook.Soon{})
		})
	}
}
