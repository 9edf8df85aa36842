package hook

import (
	"context"
	"fmt"
	"maps"
	"strings"

	"github.com/charmarr/charmarr-go/charms/hook/tracing"
	"github.com/charmarr/charmarr-go/charms/relations"
	"github.com/charmarr/charmarr-go/vpnk8slib"
)

// TracingEndpoint is the endpoint of whoever takes traces of hooks: Juju lets one application relate to it.
const TracingEndpoint = "charm-tracing"

// SeeTracing reads who takes them. Where nobody does, it is a process in a pod's first hook.
func SeeTracing() ([]vpnk8slib.Relation, error) { return JoinedRelations(TracingEndpoint) }

// TraceTo is where the trace of this hook goes, and why it goes nowhere, if somebody is related who takes traces. An address outside of
// the cluster is refused: a relation that is for looking at things opens no way out. While it is not known what is in the cluster,
// nobody is told anything.
func TraceTo(taken []vpnk8slib.Relation, n vpnk8slib.Network, t relations.Topology) (to tracing.Receiver, why error) {
	if len(n.Cluster()) == 0 || n.Domain == "" {
		return to, nil
	}
	for _, r := range taken {
		url, err := relations.TracesURL(r.Remote)
		if err == nil && url != "" && !relations.Inside(url, n.Cluster(), n.Domain) {
			err = relations.ErrElsewhere
		}
		if err != nil {
			return to, fmt.Errorf("no traces are sent to %s: %w", r.App, err)
		}
		if url != "" {
			return tracing.Receiver{URL: url, Networks: n.Cluster(), Charm: t.Charm, Labels: labels(t)}, nil
		}
	}
	return to, nil
}

// labels are who tells, in OpenTelemetry's words and in Juju's.
func labels(t relations.Topology) map[string]string {
	_, number, _ := strings.Cut(t.Unit, "/")
	all := map[string]string{"service.name": t.App, "service.namespace": t.ModelUUID, "service.instance.id": number, "juju_unit": t.Unit}
	maps.Copy(all, t.Labels())
	return all
}

// Trace adds to what is wanted that whoever takes traces is asked for it, and that this hook's goes there; if not, it says why.
func Trace(taken []vpnk8slib.Relation, n vpnk8slib.Network, t relations.Topology, d *Desired) (note string) {
	for _, r := range taken {
		d.Publish[r.ID] = relations.TracesWanted()
	}
	to, why := TraceTo(taken, n, t)
	if d.Trace = to; why != nil {
		note = why.Error()
	}
	return note
}

// Observe is the first step of a hook, in which see reads everything. Where it fails there is nothing to decide from, and the hook's trace
// goes where traced has it from what was seen until then.
func Observe[S any](ctx context.Context, env Env, see func(context.Context, Env) (S, error), traced func(S) (Unit, tracing.Receiver)) (seen S, err error) {
	err = tracing.Step(ctx, "observe", func(ctx context.Context) (err error) {
		seen, err = see(ctx, env)
		return err
	})
	if err != nil {
		u, to := traced(seen)
		sendTrace(ctx, u, to, Status{}, err)
	}
	return seen, err
}

// sendTrace ends the trace of a hook. What is not sent is no concern of the hook's.
func sendTrace(ctx context.Context, u Unit, to tracing.Receiver, s Status, err error) {
	if err != nil { // Juju tries that hook again, and the status stays as it was
		s = Status{}
	}
	if err := tracing.Send(ctx, to, tracing.Outcome{Hook: u.Event, Failed: err != nil, Status: s.Kind}); err != nil {
		logDebug("cannot send the trace of this hook: %v", err)
	}
}
