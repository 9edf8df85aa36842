// Package ports keeps the ports that a tunnel's provider grants: one for each application that wants one.
package ports

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/charmarr/charmarr-go/vpnk8slib/agent/natpmp"
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

// What cannot be used of what was granted.
var (
	errUneven = errors.New("it gives other ports for TCP than for UDP")
	errTaken  = errors.New("its only port leads to another application already")
	errBrief  = fmt.Errorf("it gives ports for less than %s", least)
	errRoots  = fmt.Errorf("it gives a port under %d, on which only root could listen", ours)
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

// now is a lease without what has run out.
func (l lease) now() overlay.Lease {
	if l.Port != 0 && !time.Now().Before(l.Until) {
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
	router := natpmp.Router{Addr: netip.AddrPortFrom(c.Ports, natpmp.Port), Device: c.Tunnel}
	for _, l := range k.due(c, up, anew) {
		asked := time.Now()
		got, err := obtain(ctx, router, l.now())
		k.note(l, got, asked, err, anew)
	}
}

// due are the leases that are to be asked for now: those that there are, and of those that there are not one, because who is silent
// takes his time.
func (k *Keeper) due(c *overlay.Gateway, up, anew bool) (all []*lease) {
	k.mu.Lock()
	defer k.mu.Unlock()
	had := k.leases
	k.leases = map[string]*lease{}
	var waits *lease
	for _, b := range c.Blocks {
		if !b.Port || !c.Ports.IsValid() {
			continue
		}
		l := had[b.Name]
		if l == nil {
			l = &lease{name: b.Name, Lease: overlay.Lease{Inner: inner(b)}}
		}
		k.leases[b.Name] = l
		switch {
		case !up || !anew && time.Now().Before(l.renew):
		case l.now().Port != 0:
			all = append(all, l)
		case waits == nil || l.renew.Before(waits.renew):
			waits = l
		}
	}
	if waits != nil {
		all = append(all, waits)
	}
	return all
}

// first is the least of the ports at which leases come out of the tunnel, where the provider leaves that to the asker. They are
// nobody's here: what listens in the gateway's pod, listens elsewhere.
const first = 0xd000

// inner tells a block's lease from others: by where the block is.
func inner(b overlay.Block) uint16 {
	a := b.Addresses.Addr().As4()
	return first + uint16(a[2]&0x0f)<<8 | uint16(a[3])
}

// note takes what an attempt has come to. What another server has granted is worth nothing where the one of now grants nothing.
func (k *Keeper) note(l *lease, got natpmp.Mapping, asked time.Time, err error, anew bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err == nil && k.given(got.Outer, l) {
		err = errTaken
	}
	if err != nil {
		if l.Error != err.Error() {
			k.Log.Warn("cannot have a port", "name", l.name, "error", err)
		}
		l.Error, l.renew = err.Error(), time.Now().Add(min(again<<min(l.failed, 8), seldom))
		l.failed++
		if anew {
			l.Port = 0
		}
		return
	}
	if l.now().Port != got.Outer {
		k.Log.Info("a port is granted", "name", l.name, "port", got.Outer)
		l.Port, l.Since = got.Outer, asked
	}
	l.Lifetime, l.Until, l.Error, l.failed = int(got.Lifetime/time.Second), asked.Add(got.Lifetime), "", 0
	l.renew = asked.Add(min(got.Lifetime/2, renews))
}

// given says whether a port leads to another application already.
func (k *Keeper) given(port uint16, to *lease) bool {
	for _, l := range k.leases {
		if l != to && (l.now().Port == port || l.Inner == port) {
			return true
		}
	}
	return false
}

// obtain has one port by both protocols, the one of the lease if that is to be had.
func obtain(ctx context.Context, r natpmp.Router, l overlay.Lease) (natpmp.Mapping, error) {
	ask := func(p natpmp.Protocol, wish uint16) (natpmp.Mapping, error) {
		return r.Map(ctx, natpmp.Mapping{Protocol: p, Inner: l.Inner, Outer: wish, Lifetime: lifetime})
	}
	udp, err := ask(natpmp.UDP, l.Port)
	if err != nil {
		return udp, err
	}
	tcp, err := ask(natpmp.TCP, udp.Outer)
	if err != nil {
		return tcp, err
	}
	udp.Lifetime = min(udp.Lifetime, tcp.Lifetime, lifetime)
	switch {
	case tcp.Outer != udp.Outer:
		return natpmp.Mapping{}, errUneven
	case udp.Lifetime < least:
		return natpmp.Mapping{}, errBrief
	case udp.Outer < ours:
		return natpmp.Mapping{}, errRoots
	}
	return udp, nil
}
