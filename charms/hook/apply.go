package hook

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"

	"github.com/charmarr/charmarr-go/charms/hook/tracing"
	"github.com/charmarr/charmarr-go/vpnk8slib"
)

// Env is what Apply acts on besides Juju's hook tools.
type Env struct {
	Cluster vpnk8slib.Cluster
	Reader  vpnk8slib.Reader
	Pebble  func(container string) (Pebble, error)
}

// Apply makes d true, in this order: Protect, workloads (those that are to stop first), Release, secrets, publish, ports,
// the calls for other hooks, status, and last of all a pod's template. A protection is in place before a workload starts and goes only
// after it has stopped; the status comes after what it tells of. With the template this pod goes, and the hook should be over by then:
// SIGTERM ends one that runs, and Juju's agent then waits for its end until it is killed, for the pod's whole grace period (seen with
// 3.5's containeragent; worker/uniter/operation/runhook.go, ErrTerminated). Where a step fails, no later one is made, with two exceptions. Every
// workload that is to stop is stopped, even when Protect failed or another one did not stop. And where a policy or a quota refuses Protect or
// Release, Juju is spoken to all the same: whoever relies on this unit hears how it is. No workload is started then, and no template applied.
//
// A refusal for want of trust becomes a Blocked status with the command to run, and no error; any other refusal does in the API server's
// words. So does one of the pod that a template would make, by the namespace's Pod Security level or a policy of the cluster's, which is
// asked for before anything else. Cluster objects, databags and secrets are the leader's. A unit that is leaving stops what runs and changes
// nothing else.
//
// Who takes traces is told when all is done. Where this pod is about to end, it is before that.
func Apply(ctx context.Context, env Env, u Unit, d Desired) error {
	err := tracing.Step(ctx, "apply", func(ctx context.Context) error { return carryOut(ctx, env, u, &d) })
	sendTrace(ctx, u, d.Trace, d.Status, err)
	return err
}

func carryOut(ctx context.Context, env Env, u Unit, d *Desired) error {
	if u.Leaving() {
		*d = leaving(*d)
	}
	if !u.Leader {
		d.Protect, d.Release, d.Publish, d.Secrets, d.Forget = nil, nil, nil, nil, nil
	}
	protect, template := d.Protect.Parted()
	release, bare := d.Release.Parted()
	d.Protect, d.Release = protect, release
	template, refused := missing(ctx, env, template)
	if why, ok := First(Admitted(refused)); !ok { // what it is for is laid and told with it, or not at all
		*d, template, bare = withheld(*d), nil, nil
		d.Status = why
	}
	cluster, err := apply(ctx, env, d)
	if err != nil {
		return errors.Join(cluster, err)
	}
	untold := cluster != nil
	if last := append(template, bare...); !untold && len(last) > 0 {
		sendTrace(ctx, u, d.Trace, d.Status, nil)
		cluster = vpnk8slib.Reconcile(ctx, env.Cluster, last)
	}
	why, ok := First(Trusted(u, cluster), Refused(cluster), Reachable(u, cluster))
	switch d.Status = cmp.Or(why, d.Status); {
	case ok:
		return cluster
	case untold && vpnk8slib.Refused(cluster): // who waits for this unit is to hear how it is all the same
		d.Soon = d.Soon.unsettled()
		return tell(ctx, env, *d)
	default:
		return errors.Join(setStatus(why), soon(env, cmp.Or(Unanswered(cluster, d.container()), d.Soon)))
	}
}

// missing are the templates that are not there yet, and why no pod would follow one of them, if so.
func missing(ctx context.Context, env Env, templates vpnk8slib.Plan) (all vpnk8slib.Plan, refused error) {
	for _, s := range templates {
		there, err := env.Cluster.Admits(ctx, s.Manager, s.Apply)
		if !there {
			all = append(all, s)
		}
		refused = cmp.Or(refused, err)
	}
	return all, refused
}

// withheld is what is done where the namespace refuses the pod: policies are laid, and what is to stop stops. No file is written, no workload
// begins, and nobody is told of what is not to be.
func withheld(d Desired) Desired {
	d.Protect = d.Protect.Policies()
	d.Workloads = slices.DeleteFunc(slices.Clone(d.Workloads), func(w Workload) bool { return w.Mode == Running })
	d.Release, d.Publish, d.Units, d.Secrets, d.Forget = nil, nil, nil, nil, nil
	return d
}

func leaving(d Desired) Desired {
	stopped := Desired{Status: Maintenance("stopping")}
	for _, w := range d.Workloads {
		stopped.Workloads = append(stopped.Workloads, Workload{Container: w.Container, Mode: Stopped})
	}
	return stopped
}

// apply keeps what the cluster refused apart from every other failure: only the cluster's is told in a status.
func apply(ctx context.Context, env Env, d *Desired) (cluster, err error) {
	protected := reconcile(ctx, env, "protect", d.Protect)
	if _, image := Laid(protected); image.Kind != "" { // all else is laid, and goes on; the next hook tries again, and nothing hastens it
		d.Soon, protected = d.Soon.unsettled(), nil
		if d.Status.Kind != "blocked" {
			d.Status = image
		}
	}
	if stopped := stopWorkloads(env, d.Workloads); protected != nil || stopped != nil {
		return protected, stopped
	}
	for _, w := range d.Workloads {
		if w.Mode == Stopped { // above
			continue
		}
		if err := tracing.Step(ctx, "run", func(context.Context) error { return setUp(env, w) }); err != nil {
			return nil, err
		}
	}
	if err := allEnded(env, *d); err != nil {
		return nil, err
	}
	if err := reconcile(ctx, env, "release", d.Release); err != nil {
		return err, nil
	}
	return nil, tell(ctx, env, *d)
}

func reconcile(ctx context.Context, env Env, step string, p vpnk8slib.Plan) error {
	return tracing.Step(ctx, step, func(ctx context.Context) error { return vpnk8slib.Reconcile(ctx, env.Cluster, p) })
}

// stopWorkloads stops all that is to stop: one that does not is no reason to leave another running.
func stopWorkloads(env Env, workloads []Workload) error {
	var errs []error
	for _, w := range workloads {
		if w.Mode == Stopped {
			errs = append(errs, setUp(env, w))
		}
	}
	return errors.Join(errs...)
}

func setUp(env Env, w Workload) error {
	if err := applyWorkload(env, w); err != nil {
		return fmt.Errorf("cannot set up container %s: %w", w.Container, err)
	}
	return nil
}

// tell is the half of Apply that speaks to Juju.
func tell(ctx context.Context, env Env, d Desired) error {
	return tracing.Step(ctx, "tell", func(context.Context) error { return say(env, d) })
}

func say(env Env, d Desired) error {
	for _, s := range d.Secrets {
		did, err := ownSecret(s)
		if err != nil {
			return err
		}
		if did == added && s.Again != "" {
			d.Again = s.Again
		}
	}
	for _, label := range d.Forget {
		if err := forgetSecret(label); err != nil {
			return err
		}
	}
	for _, where := range slices.Sorted(maps.Keys(d.Publish)) {
		if err := publish(where, d.Publish[where]); err != nil {
			return err
		}
	}
	for _, id := range slices.Sorted(maps.Keys(d.Units)) {
		if err := publishUnit(id, d.Units[id]); err != nil {
			return err
		}
	}
	if d.Ports != nil {
		if err := setPorts(d.Ports); err != nil {
			return err
		}
	}
	if d.Again != "" {
		if err := again(env, d.Again); err != nil {
			return err
		}
	}
	if err := soon(env, d.Soon); err != nil {
		return err
	}
	return setStatus(d.Status)
}

// forbidden finds the refusal for want of trust in an error; nil when there is none.
func forbidden(err error) *vpnk8slib.ForbiddenError {
	var f *vpnk8slib.ForbiddenError
	if errors.As(err, &f) {
		return f
	}
	return nil
}

// unreachable says whether a request got no answer at all, from whatever it was sent to.
func unreachable(err error) bool {
	var onTheWay *url.Error // what net/http wraps every failure in that is not an answer
	var network net.Error
	return errors.As(err, &onTheWay) || errors.As(err, &network) || errors.Is(err, context.DeadlineExceeded)
}
