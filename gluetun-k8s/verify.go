package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/charmarr/charmarr-go/charms/hook"
	"github.com/charmarr/charmarr-go/vpnk8slib"
)

// verify is of a gateway whose VPN client runs: what it says of itself is compared with what its packets show.
func verify(ctx context.Context, env hook.Env) (v hook.Verifiable, err error) {
	seen := time.Now() // the agent is asked first of all: who was heard since, was heard just now, however long the rest took
	o, err := observe(ctx, env)
	if err != nil {
		return v, err
	}
	if !o.Container.Running {
		return v, errors.New("gluetun does not run: " + Reconcile(o).Status.Message)
	}
	if len(o.Config.Resolvers) == 0 {
		return v, fmt.Errorf("nobody is asked for clients' names: juju config %s dns-resolvers=1.1.1.1", o.App)
	}
	return hook.Verifiable{Way: vpnk8slib.ByTunnel(o.Config.Resolvers[0]), Judge: func(e vpnk8slib.Egress) []vpnk8slib.Finding {
		return vpnk8slib.VerifyTunnel(o.Pod, e, o.View.Network, o.Tunnel.Seen, seen)
	}}, nil
}
