// Package hook is what every charm here shares: it reads what Juju says in one hook, and carries out what the charm
// decided. It decides nothing itself but what every consumer of a VPN has in common (VPN).
//
//	observe (reads everything) ──► Reconcile(Observed) Desired (pure) ──► Apply (writes everything)
//
// Every hook runs the same three steps, so no charm has a switch on hook names. A hook tries nothing again in a loop, but for the agent of
// its own pod, which it waits for, for five seconds at most, and a service that is on its way
// down: Juju's next hook, a Pebble check or update-status brings the next look.
//
// It is the only importer of goops and of Pebble's client. Goops keeps its command runner, environment and Pebble in
// process-wide variables and its defects are worked around in juju.go, so nothing else may call it.
package hook

import (
	"context"
	"fmt"
	"os"

	"github.com/charmarr/charmarr-go/charms/hook/tracing"
)

// An Action handles one `juju run`. Its results go back to the operator, also those beside an error; an error fails the action, and
// `juju run`, which prints its words below the results.
type Action func(context.Context, Params) (map[string]string, error)

// Main is the body of every charm's main function. An error that run returns fails the hook, and Juju tries that hook
// again, before any other; what the operator must mend belongs in the unit's status instead.
//
// The status that this process ends with is that of `juju run`, and no other is: Juju puts it in the place of whatever return-code an action
// has set, and with action-fail alone `juju run` ends well. So an action fails as a hook does. Where a reason would stand Juju writes "exit
// status 1" then, and what was printed here below the results. (Juju 3.5, worker/uniter/runner/runner.go, runCharmProcessOnLocal.)
func Main(run func(context.Context) error, actions map[string]Action) {
	if err := dispatch(context.Background(), run, actions); err != nil {
		logError(err)
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func dispatch(ctx context.Context, run func(context.Context) error, actions map[string]Action) error {
	name := actionName()
	if name == "" {
		return run(tracing.Begin(ctx))
	}
	action, ok := actions[name]
	if !ok {
		return fmt.Errorf("cannot run action %q: this charm has none of that name", name)
	}
	params, err := actionParams()
	if err != nil {
		return err
	}
	results, failed := action(ctx, params)
	if len(results) > 0 {
		if err := setActionResults(results); err != nil {
			return err
		}
	}
	return failed
}
