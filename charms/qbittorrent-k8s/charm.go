package main

import (
	"fmt"

	"github.com/charmarr/charmarr-go/charms/hook"
)

const (
	name      = "qbittorrent-k8s"
	container = "qbittorrent"
)

// Observed is what one hook sees.
type Observed = hook.Consumer[Config]

// Reconcile decides what should be so. It reads nothing and changes nothing.
func Reconcile(o Observed) hook.Desired {
	o.VPN.OptionsErr, o.VPN.WantPort = o.ConfigErr, o.Config.WantPort // an option that is refused gives no port back
	if o.ConfigErr == nil {
		o.VPN.Ports = []int{o.Config.WebPort}
	}
	d := o.VPN.Desired(o.Unit, workload(o.Config, o.VPN.Port()), o.Container.Up)
	d.Ports = o.VPN.Ports
	if up, known := o.Container.Checks[webCheck]; known && !up && o.Container.Running && d.Status.Kind == "active" {
		d.Status = hook.Waiting(fmt.Sprintf("waiting for the web UI on port %d", o.Config.WebPort)).With(d.Status.Message)
	}
	return d
}
