package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/charmarr/charmarr-go/charms/hook"
)

const container = "qbittorrent"

// Observed is what one hook sees.
type Observed struct {
	hook.Unit
	Config    Config
	ConfigErr error // what the operator has to mend in it
	VPN       hook.VPN
	Container hook.Seen
}

func observe(ctx context.Context, env hook.Env) (o Observed, err error) {
	if o.Unit, err = hook.ReadUnit(); err != nil {
		return o, err
	}
	var wrong *hook.OptionError
	if o.Config, o.ConfigErr = hook.Config[Config](); o.ConfigErr != nil && !errors.As(o.ConfigErr, &wrong) {
		return o, o.ConfigErr
	}
	if o.Container, err = hook.SeeContainer(env, container); err != nil {
		return o, err
	}
	o.VPN, err = hook.SeeVPN(ctx, env, o.Unit, o.Config.VPNOptions)
	return o, err
}

func vpn(ctx context.Context, env hook.Env) (hook.VPN, error) {
	o, err := observe(ctx, env)
	return o.VPN, err
}

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
