package main

import (
	"context"
	"flag"
	"io"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/charmarr/charmarr-go/vpnk8slib/agent/names"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// patience is how long an init container waits for the gateway's address: its pod may not be there, and Juju's agent waits for us.
const patience = 2 * time.Second

func runGuard(ctx context.Context, flags *flag.FlagSet, args []string, _, errs io.Writer) error {
	r := newResident(flags, errs, near)
	once := flags.Bool("once", false, "lay the guard, say so if it cannot be laid, and end: for an init container before those that the guard is to hold")
	rootAsks := flags.Bool("root-asks", false, "leave root's questions for names to the cluster's resolver: for an init container that no agent stays beside")
	if err := flags.Parse(args); err != nil {
		return err
	}
	var found looked
	rules := func() (overlay.Guard, error) {
		g, err := r.rules()
		g.RootAsks = *rootAsks
		if err == nil {
			g = found.with(g)
		}
		return g, err
	}
	r.guard.Keep(rules) // before anybody is asked for anything
	if *once {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		if found.look(ctx) {
			r.guard.Keep(rules)
		}
		return nil
	}
	return r.stay(ctx, func(*overlay.Report) {}, r.guarding(rules),
		func(ctx context.Context) error {
			for ; ctx.Err() == nil; pause(ctx, 2*time.Second) {
				if found.look(ctx) {
					r.guard.Keep(rules)
				}
			}
			return nil
		},
		r.names(func() bool { return true })) // whether the way is there, another's routes say
}

// looked is where a routing method without heartbeats has its gateway's pods, as their name says.
type looked struct {
	mu   sync.Mutex
	name string
	pods []netip.Addr
}

// with admits those pods. It notes whose name is to be looked up.
func (l *looked) with(g overlay.Guard) overlay.Guard {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.name != g.Gateway {
		l.name, l.pods = g.Gateway, nil
	}
	g.Gateways = slices.Clone(g.Gateways)
	for _, pod := range l.pods {
		if slices.ContainsFunc(g.Cluster, func(p netip.Prefix) bool { return p.Contains(pod) }) { // whatever somebody has a name lead to
			g.Gateways = append(g.Gateways, pod)
		}
	}
	return g
}

// look says whether the pods are others than before. A name that is not there now, as in the moment between two pods, changes nothing.
func (l *looked) look(ctx context.Context) (changed bool) {
	l.mu.Lock()
	name := l.name
	l.mu.Unlock()
	if name == "" {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	pods, err := names.Own.LookupNetIP(ctx, "ip", overlay.Absolute(name))
	if err != nil || len(pods) == 0 {
		return false
	}
	for i := range pods {
		pods[i] = pods[i].Unmap()
	}
	slices.SortFunc(pods, netip.Addr.Compare)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.name != name || slices.Equal(l.pods, pods) {
		return false
	}
	l.pods = pods
	return true
}
