package main

import (
	"errors"

	"github.com/charmarr/charmarr-go/charms/hook"
)

const (
	name      = "multimeter-k8s"
	container = "multimeter"
	program   = "/usr/bin/multimeter" // in the workload's image
	echoPort  = 8080
	user      = 1000 // no workload of a consumer's pod runs as root
)

// Observed is what one hook sees.
type Observed = hook.Consumer[Config]

// Reconcile decides what should be so. It reads nothing and changes nothing.
func Reconcile(o Observed) hook.Desired {
	w := hook.Workload{Container: container, Layer: hook.Layer{
		Services: map[string]hook.Service{"multimeter": {
			Summary:  "an echo that answers with the caller's address",
			Override: "replace",
			Command:  program + " serve",
			Startup:  "enabled",
			UserID:   hook.ID(user),
			GroupID:  hook.ID(user),
		}},
		Checks: map[string]hook.Check{
			hook.OverlayCheck: hook.Overlay(program + " over " + hook.OverlayInterface),
			"echo": {
				Override: "replace", Period: "10s", Timeout: "3s", Threshold: 3,
				HTTP: &hook.HTTPCheck{URL: "http://127.0.0.1:8080/"},
			},
		},
	}}
	o.VPN.OptionsErr = o.ConfigErr
	o.VPN.Ports = []int{echoPort}
	d := o.VPN.Desired(o.Unit, w, o.Container.Up)
	d.Ports = o.VPN.Ports
	if up, known := o.Container.Checks["echo"]; known && !up && o.Container.Running && d.Status.Kind == "active" {
		d.Status = hook.Waiting("waiting for the echo on port 8080").With(d.Status.Message)
	}
	return d
}

// mayProbe says why no packet may be sent now: a probe leaves under the same conditions as any other workload.
func mayProbe(o Observed) error {
	d := Reconcile(o)
	if d.Workloads[0].Mode == hook.Stopped || !o.Container.Running {
		return errors.New("cannot probe: the workload may not run now, or does not yet: " + d.Status.Message)
	}
	return nil
}
