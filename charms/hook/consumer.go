package hook

import (
	"context"
	"errors"
	"maps"

	"github.com/charmarr/charmarr-go/charms/hook/tracing"
	"github.com/charmarr/charmarr-go/charms/relations"
	"github.com/charmarr/charmarr-go/vpnk8slib"
)

// Consumer is what one hook of a consumer's charm sees. C is what `juju config` offers there; it embeds VPNOptions.
type Consumer[C interface{ vpn() VPNOptions }] struct {
	Unit
	Config    C
	ConfigErr error // what the operator has to mend in it
	VPN       VPN
	Container Seen
	Traces    []vpnk8slib.Relation // with who takes traces of hooks
}

func (o VPNOptions) vpn() VPNOptions { return o }

// SeeConsumer reads all that a hook of one decides from.
func SeeConsumer[C interface{ vpn() VPNOptions }](ctx context.Context, env Env, container string) (o Consumer[C], err error) {
	if o.Unit, err = ReadUnit(); err != nil {
		return o, err
	}
	var wrong *OptionError
	if o.Config, o.ConfigErr = Config[C](); o.ConfigErr != nil && !errors.As(o.ConfigErr, &wrong) {
		return o, o.ConfigErr
	}
	if o.Container, err = SeeContainer(env, container); err != nil {
		return o, err
	}
	if !o.Leaving() {
		if o.Traces, err = SeeTracing(); err != nil {
			return o, err
		}
	}
	o.VPN, err = SeeVPN(ctx, env, o.Unit, o.Config.vpn())
	heard, checked := o.Container.Checks[GatewayCheck]
	o.VPN.Unheard = checked && !heard
	return o, err
}

// topology is who tells, of a charm of this name.
func (o Consumer[C]) topology(charm string) relations.Topology {
	return relations.Topology{Model: o.Model, ModelUUID: o.ModelUUID, App: o.App, Unit: o.Name, Charm: charm}
}

// RunConsumer is one hook of a consumer's charm of this name, whose workload is in this container.
func RunConsumer[C interface{ vpn() VPNOptions }](charm, container string, decide func(Consumer[C]) Desired) func(context.Context) error {
	see := func(ctx context.Context, env Env) (Consumer[C], error) { return SeeConsumer[C](ctx, env, container) }
	traced := func(o Consumer[C]) (Unit, tracing.Receiver) {
		to, _ := TraceTo(o.Traces, o.VPN.View.Network, o.topology(charm))
		return o.Unit, to
	}
	return func(ctx context.Context) error {
		env, err := NewEnv()
		if err != nil {
			return err
		}
		o, err := Observe(ctx, env, see, traced)
		if err != nil {
			return errors.Join(err, shut(env, container, err))
		}
		return Apply(ctx, env, o.Unit, Settle(o.decide(charm, decide)))
	}
}

// decide is what the charm wants, and that who takes traces is told.
func (o Consumer[C]) decide(charm string, decide func(Consumer[C]) Desired) Desired {
	d := decide(o)
	if note := Trace(o.Traces, o.VPN.View.Network, o.topology(charm), &d); o.VPN.ViewErr == nil {
		d.Status = d.Status.With(note)
	}
	return d
}

// ConsumerActions are those that every consumer has, and its own.
func ConsumerActions[C interface{ vpn() VPNOptions }](container string, own map[string]Action) map[string]Action {
	see := func(ctx context.Context, env Env) (VPN, error) {
		o, err := SeeConsumer[C](ctx, env, container)
		return o.VPN, err
	}
	all := map[string]Action{VerifyEgressAction: VerifyVPN(see), SpeedtestAction: SpeedtestVPN(see)}
	maps.Copy(all, own)
	return all
}
