// Command qbittorrent-k8s is the dispatch of the qBittorrent charm.
package main

import (
	"context"

	"github.com/charmarr/charmarr-go/charms/hook"
)

func main() { hook.Main(run, actions) }

var actions = map[string]hook.Action{hook.VerifyEgressAction: hook.VerifyVPN(vpn), hook.SpeedtestAction: hook.SpeedtestVPN(vpn)}

func run(ctx context.Context) error {
	env, err := hook.NewEnv()
	if err != nil {
		return err
	}
	seen, err := observe(ctx, env)
	if err != nil {
		return err
	}
	return hook.Apply(ctx, env, seen.Unit, Reconcile(seen))
}
