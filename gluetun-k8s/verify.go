package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/charmarr/charmarr-go/charms/hook"
	"github.com/charmarr/charmarr-go/vpnk8slib"
)

// verify is of a gateway whose VPN client runs: what it says of itself is compared with what its packets show, and with the rules that
// stand in its pod.
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
	run := func(command ...string) (string, error) {
		return hook.Exec(ctx, env, container, hook.Look, hook.ExecAs{}, command...)
	}
	kept, _ := vpnk8slib.ParseCIDRs(o.LetOut) // by this charm; what cannot be read is no reason to let anything pass
	g, ports := gateway(o, published(o)), vpnk8slib.LeasedPorts(o.Pod.Agent)
	return hook.Verifiable{Way: vpnk8slib.ByTunnel(o.Config.Resolvers[0]), Ports: ports, Judge: func(e vpnk8slib.Egress) []vpnk8slib.Finding {
		s := vpnk8slib.TunnelSeen{Pod: o.Pod, Egress: e, Tables: g.ListTables(o.Pod, run), Ports: ports, Started: seen, Kept: kept, Unsettled: unsettled(o)}
		s.Names.Said, s.Names.Err = run("cat", "/etc/resolv.conf")
		return g.VerifyTunnel(s)
	}}, nil
}
