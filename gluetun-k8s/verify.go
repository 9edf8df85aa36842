package main

import (
	"context"
	"errors"
	"time"

	"github.com/charmarr/charmarr-go/charms/hook"
	"github.com/charmarr/charmarr-go/vpnk8slib"
)

var actions = map[string]hook.Action{hook.VerifyEgressAction: hook.VerifyEgress(vpnk8slib.ByTunnel, verify)}

// verify is of a gateway whose VPN client runs: what it says of itself is compared with what its packets show.
func verify(ctx context.Context, env hook.Env) (hook.Judge, error) {
	o, err := observe(ctx, env)
	if err != nil {
		return nil, err
	}
	if !o.Container.Running {
		return nil, errors.New("gluetun does not run: " + Reconcile(o).Status.Message)
	}
	return func(e vpnk8slib.Egress) []vpnk8slib.Finding {
		return vpnk8slib.VerifyTunnel(o.Pod, e, o.Tunnel.Seen, time.Now())
	}, nil
}
