// Command gluetun-k8s is the dispatch of the gluetun charm, the VPN gateway.
package main

import (
	"context"

	"github.com/charmarr/charmarr-go/charms/hook"
)

func main() { hook.Main(run, actions) }

func run(ctx context.Context) error {
	env, err := hook.NewEnv()
	if err != nil {
		return err
	}
	seen, err := hook.Observe(ctx, env, observe, Observed.traced)
	if err != nil {
		return err
	}
	err = hook.Apply(ctx, env, seen.Unit, hook.Settle(Reconcile(seen)))
	leave(ctx, seen)
	return err
}
