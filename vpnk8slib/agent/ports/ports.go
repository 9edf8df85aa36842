// Package ports keeps the ports that a tunnel's provider grants: one for each application that wants one. By whom they are granted is a
// source's; what is made of them is the same for all.
package ports

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// Keeper asks for ports, renews them, and tells which there are.
type Keeper struct {
	Log *slog.Logger
	// Tunnel says whether packets come back through the tunnel now. Ports are of one connection to one server: those of another
	// are asked for as soon as it is up.
	Tunnel func() bool

	mu     sync.Mutex
	leases map[string]*lease // by the name of the block
}

type lease struct {
	overlay.Lease
	name   string
	renew  time.Time // zero: nobody has asked yet
	failed int       // attempts in a row
}

const (
	look     = time.Second      // how often it is seen to whether anything is to be done
	lifetime = time.Minute      // asked for, and the most that is believed: a server that is gone keeps the port no longer
	least    = 3 * time.Second  // what is good for less is lost again and again
	again    = 5 * time.Second  // after an answer that did not come, or was no; twice as long each time
	seldom   = time.Minute      // at the least
	renews   = 30 * time.Second // at the latest, however long the lease is good for: another server knows nothing of it
	ours     = 1024             // the first port on which a workload can listen that is not root
)

// Leased are those that there are now, and why there is none where one is wanted. What nobody has asked for yet is left out.
func (k *Keeper) Leased() map[string]overlay.Lease {
	k.mu.Lock()
	defer k.mu.Unlock()
	out := map[string]overlay.Lease{}
	for name, l := range k.leases {
		if !l.renew.IsZero() {
			out[name] = l.now()
		}
	}
	return out
}

// now is a lease without what has run out, or was taken back.
func (l lease) now() overlay.Lease {
	if l.Port == 0 || !time.Now().Before(l.Until) {
		return overlay.Lease{Inner: l.Inner, Error: l.Error}
	}
	return l.Lease
}

// Run keeps them until ctx ends.
func (k *Keeper) Run(ctx context.Context, config func() *overlay.Gateway) error {
	was := false
	for tick := time.NewTicker(look); ; {
		if c := config(); c != nil {
			up := k.Tunnel()
			k.see(ctx, c, up, up && !was)
			was = up
		}
		select {
		case <-ctx.Done():
			tick.Stop()
			return nil
		case <-tick.C:
		}
	}
}

// see does what is to be done. Anew is of a tunnel that has just come up. What is not wanted any more is forgotten: it runs out.
func (k *Keeper) see(ctx context.Context, c *overlay.Gateway, up, anew bool) {
	from := sourceOf(c)
	for _, l := range k.due(c, from, up, anew) {
		asked := time.Now()
		got, err := from.obtain(ctx, l.now(), func(port uint16) bool { return k.given(port, l) })
		if err == nil {
			err = got.check()
		}
		k.note(l, got, asked, err, anew)
	}
}

// due are the leases that are to be asked for now: those that there are, and of those that there are not one, because who is silent
// takes his time. Of a source that answers at once all are, and who had a port last comes before who had none: where there is one
// port only, it is the same application's again.
func (k *Keeper) due(c *overlay.Gateway, from source, up, anew bool) (all []*lease) {
	k.mu.Lock()
	defer k.mu.Unlock()
	had := k.leases
	k.leases = map[string]*lease{}
	if from == nil {
		return nil
	}
	var wait []*lease
	for _, b := range c.Blocks {
		if !b.Port {
			continue
		}
		l := had[b.Name]
		if l == nil {
			l = &lease{name: b.Name}
		}
		if l.Inner = 0; !from.atOnce() { // the others come out at the port itself
			l.Inner = inner(b)
		}
		k.leases[b.Name] = l
		switch {
		case !up || !anew && !from.atOnce() && time.Now().Before(l.renew):
		case l.now().Port != 0:
			all = append(all, l)
		default:
			wait = append(wait, l)
		}
	}
	switch {
	case from.atOnce():
		slices.SortStableFunc(wait, func(a, b *lease) int { return b.Until.Compare(a.Until) })
		return append(all, wait...)
	case len(wait) > 0:
		return append(all, slices.MinFunc(wait, func(a, b *lease) int { return a.renew.Compare(b.renew) }))
	}
	return all
}

// note takes what an attempt has come to. What another server has granted is worth nothing where the one of now grants nothing.
func (k *Keeper) note(l *lease, got grant, asked time.Time, err error, anew bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err != nil {
		if l.Error != err.Error() {
			k.Log.Warn("cannot have a port", "name", l.name, "error", err)
		}
		l.Error, l.renew = err.Error(), time.Now().Add(min(again<<min(l.failed, 8), seldom))
		l.failed++
		if anew || gone(err) {
			l.Port = 0
		}
		return
	}
	if l.now().Port != got.port {
		k.Log.Info("a port is granted", "name", l.name, "port", got.port)
		l.Port, l.Since = got.port, asked
	}
	l.Lifetime, l.Until, l.Error, l.failed = int(got.lifetime/time.Second), asked.Add(got.lifetime), "", 0
	l.renew = asked.Add(min(got.lifetime/2, renews))
}

// given says whether a port leads to another application already.
func (k *Keeper) given(port uint16, to *lease) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, l := range k.leases {
		if l != to && (l.now().Port == port || l.Inner == port) {
			return true
		}
	}
	return false
}
