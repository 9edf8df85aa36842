package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/charmarr/charmarr-go/charms/hook"
)

// againParams are of both actions that start gluetun again.
type againParams struct {
	Timeout int `json:"timeout" validate:"min=10,max=120"` // seconds
}

// again makes the actions reconnect, and rotate-server, which wants another address. They start gluetun's process again: its control API
// could end the tunnel and begin it, but does neither while it waits after a crash; and a start brings the charm the hook by which
// consumers learn of another address. It chooses anew among the servers that the options leave it, at random. Nothing leaves meanwhile,
// as after a crash.
func again(another bool) hook.Action {
	return hook.Seeing(observe, func(ctx context.Context, env hook.Env, p againParams, o Observed) (map[string]string, error) {
		if err := mayStartAgain(o, another); err != nil {
			return nil, err
		}
		ctx, cancel := context.WithTimeout(ctx, time.Duration(p.Timeout)*time.Second)
		defer cancel()
		return reconnection{
			restart: func() error { return hook.Restart(env, container) },
			tunnel:  func(ctx context.Context) Tunnel { return seeTunnel(ctx, o.Config.ProbeTargets, apiKey(o.Secret)) },
			pause:   time.Second,
		}.run(ctx, o.Tunnel.Seen, another)
	})
}

// mayStartAgain says why gluetun cannot be started again, or would choose the same server.
func mayStartAgain(o Observed, another bool) error {
	status := Reconcile(o).Status
	switch {
	case !o.Container.Running:
		return errors.New("gluetun does not run: " + status.Message)
	case unsettled(o) != nil: // it would be started as it was, or with half of what was changed
		return errors.New("gluetun is not started again: " + status.Message)
	case another && (o.Config.protocol().server || o.Config.EndpointIP.IsValid()):
		return fmt.Errorf("there is one server only, because you have named it (vpn-provider=%s, vpn-endpoint-ip): juju run %s reconnect connects with it again", o.Config.Provider, o.Name)
	default:
		return nil
	}
}

// reconnection is how one goes.
type reconnection struct {
	restart func() error
	tunnel  func(context.Context) Tunnel
	pause   time.Duration // between two looks
}

// tries is how often another server is asked for: of two, the same comes half of the time.
const tries = 4

// run starts it again and waits for its tunnel, and again where the address should be another one and is not.
func (r reconnection) run(ctx context.Context, before netip.Addr, another bool) (map[string]string, error) {
	results := map[string]string{"before": seenAs(before)}
	began := time.Now()
	for n := 1; ; n++ {
		if err := r.restart(); err != nil {
			return results, err
		}
		now, up := r.wait(ctx)
		results["restarts"], results["seconds"] = fmt.Sprint(n), fmt.Sprintf("%.1f", time.Since(began).Seconds())
		results["address"] = seenAs(now)
		results["changed"] = changed(before, now)
		switch {
		case !up:
			return results, errors.New("gluetun was started again, and its tunnel is not up yet; nothing leaves until it is")
		case !another || results["changed"] != "no":
			return results, nil
		case n == tries:
			return results, fmt.Errorf("seen as %s after %d starts as well: what the options leave may be one server, or several behind one address; see list-servers", now, n)
		}
	}
}

// changed says whether an address is another one. Who was not seen before, because the tunnel was down, may have been the same.
func changed(before, now netip.Addr) string {
	switch {
	case !before.IsValid() || !now.IsValid():
		return "unknown"
	case before == now:
		return "no"
	default:
		return "yes"
	}
}

// wait waits for a tunnel, and for the address that it is seen as, which gluetun asks for a moment later.
func (r reconnection) wait(ctx context.Context) (seen netip.Addr, up bool) {
	const moment = 10 // looks
	for patience := moment; ctx.Err() == nil && patience > 0; {
		t := r.tunnel(ctx)
		if t.Up && t.Seen.IsValid() {
			return t.Seen, true
		}
		if up = up || t.Up; up {
			patience--
		}
		select {
		case <-ctx.Done():
		case <-time.After(r.pause):
		}
	}
	return seen, up
}

// seenAs is an address for people.
func seenAs(a netip.Addr) string {
	if !a.IsValid() {
		return "unknown"
	}
	return a.String()
}
