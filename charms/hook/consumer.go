package hook

import (
	"context"
	"errors"
	"maps"
)

// Consumer is what one hook of a consumer's charm sees. C is what `juju config` offers there; it embeds VPNOptions.
type Consumer[C interface{ vpn() VPNOptions }] struct {
	Unit
	Config    C
	ConfigErr error // what the operator has to mend in it
	VPN       VPN
	Container Seen
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
	o.VPN, err = SeeVPN(ctx, env, o.Unit, o.Config.vpn())
	return o, err
}

// RunConsumer is one hook of a consumer's, whose workload is in this container.
func RunConsumer[C interface{ vpn() VPNOptions }](container string, decide func(Consumer[C]) Desired) func(context.Context) error {
	return func(ctx context.Context) error {
		env, err := NewEnv()
		if err != nil {
			return err
		}
		o, err := SeeConsumer[C](ctx, env, container)
		if err != nil {
			return err
		}
		return Apply(ctx, env, o.Unit, decide(o))
	}
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
