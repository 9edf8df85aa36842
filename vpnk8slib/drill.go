package vpnk8slib

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// Tried is what has become of one kind of packets in a drill, which leave as any workload's do: bound to no interface.
type Tried struct {
	Kind   string // tcp, udp, icmp or dns; the first three with a 6 over IPv6
	To     string
	Mute   bool   // nobody is bound to answer it: many answer no ping, and not every tunnel has IPv6
	Before Answer // with the overlay up
	Down   int    // how often it was tried while the overlay was down
	Out    string // what came back all the same
	Why    error  // why nothing did, the last time
	After  Answer // with the overlay up again
}

// MayDrill says why the overlay of this pod cannot be taken down for a while; nil: it can. Whether anything would protect the pod
// meanwhile the findings say, of which none may have failed.
func (p Pod) MayDrill() error {
	if p.Agent == nil || p.Agent.Client == nil {
		return errors.New("a drill needs the agent that takes the overlay down and lays it again, and the programs of routing-method=pod-gateway are none: juju config <the gateway> routing-method=overlay")
	}
	return nil
}

// Drill takes the overlay of this pod down for so many seconds, tries meanwhile whether anything gets out to where it did just before,
// and whether it does again after. The agent lays the overlay again, also where this process has ended before.
func Drill(ctx context.Context, t EgressTargets, each time.Duration, seconds int) []Finding {
	all, err := ByOverlay.probes(ctx, t, each)
	if err != nil {
		return []Finding{{"drill", Fail, err.Error()}}
	}
	d := drill{each: each, agent: func(ctx context.Context) (time.Time, error) {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		answer, err := overlay.Drill(ctx, overlay.Socket, seconds)
		return answer.Until, err
	}}
	six, untried := ByOverlay.probes6(ctx, t, each, sixBeside())
	tried, err := d.run(ctx, append(all, six...))
	if err != nil {
		return []Finding{{"drill", Fail, err.Error()}}
	}
	return append(drilled(tried), untried...)
}

// drill is how one goes.
type drill struct {
	each  time.Duration                                // for an answer that is to come
	agent func(ctx context.Context) (time.Time, error) // takes the overlay down, and says until when
}

const (
	drillRound  = time.Second            // for answers that are not to come
	drillPause  = 250 * time.Millisecond // between rounds
	drillMargin = 300 * time.Millisecond // before the end, in which nothing is tried: it might come through
)

// run tries all before, again and again while the overlay is down, and after. The first that gets out ends the trying.
func (d drill) run(ctx context.Context, all []probe) ([]Tried, error) {
	tried := make([]Tried, len(all))
	for i, a := range d.round(ctx, all, d.each) {
		tried[i] = Tried{Kind: all[i].kind, To: all[i].to, Mute: all[i].mute, Before: a}
	}
	until, err := d.agent(ctx)
	if err != nil {
		return nil, err
	}
	for out := false; !out && ctx.Err() == nil && time.Until(until) > 2*drillMargin; sleep(ctx, min(drillPause, time.Until(until))) {
		for i, a := range d.round(ctx, all, min(drillRound, time.Until(until)-drillMargin)) {
			tried[i].Down++
			if tried[i].Why = a.Err; a.Err == nil {
				tried[i].Out, out = a.Said, true
			}
		}
	}
	sleep(ctx, time.Until(until))
	for n, again := 0, time.Now().Add(d.each); ; n++ {
		missing := false
		for i, a := range d.round(ctx, all, min(drillRound, d.each)) {
			if n == 0 || tried[i].After.Err != nil {
				tried[i].After = a
			}
			missing = missing || tried[i].Before.Err == nil && tried[i].After.Err != nil
		}
		if !missing || ctx.Err() != nil || time.Now().After(again) {
			return tried, nil
		}
		sleep(ctx, drillPause)
	}
}

// round asks all side by side.
func (d drill) round(ctx context.Context, all []probe, each time.Duration) []Answer {
	ctx, cancel := context.WithTimeout(ctx, each)
	defer cancel()
	answers := make([]Answer, len(all))
	var asked sync.WaitGroup
	for i, p := range all {
		asked.Go(func() { answers[i].Said, answers[i].Err = p.ask(ctx) })
	}
	asked.Wait()
	return answers
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// drilled judges what was tried.
func drilled(all []Tried) (findings []Finding) {
	for _, t := range all {
		findings = append(findings, t.finding())
	}
	return findings
}

func (t Tried) finding() Finding {
	check := "drill-" + t.Kind
	switch {
	case t.Out != "":
		return Finding{check, Fail, fmt.Sprintf("got out while the overlay was down: %s", t.Out)}
	case t.Before.Err != nil && t.Mute:
		return Finding{check, Unknown, fmt.Sprintf("%s answers none with the overlay up either, so that silence shows nothing: %s", t.To, t.Before.Err)}
	case t.Before.Err != nil:
		return Finding{check, Fail, fmt.Sprintf("%s did not answer before the overlay was taken down: %s", t.To, t.Before.Err)}
	case t.Down == 0:
		return Finding{check, Fail, "nothing was tried while the overlay was down: there was no time"}
	case t.After.Err != nil:
		return Finding{check, Fail, fmt.Sprintf("%s does not answer since the overlay is up again: %s", t.To, t.After.Err)}
	default:
		return Finding{check, Pass, fmt.Sprintf("%s: %d tries failed while the overlay was down (the last: %s); it answered before and after", t.To, t.Down, t.Why)}
	}
}
