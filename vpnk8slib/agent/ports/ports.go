// Package ports keeps the ports that a tunnel's provider grants: one for each application that wants one.
package ports

import (
	"context"
	"errors"
	"log/slog"
	"maps"
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
	renew time.Time
}

const (
	look     = time.Second      // how often it is seen to whether anything is to be done
	lifetime = time.Minute      // asked for: a server that is gone keeps the port no longer
	again    = 5 * time.Second  // after an answer that did not come, or was no
	renews   = 30 * time.Second // at the latest, however long the lease is good for: another server knows nothing of it
)

// errUneven is of a provider whose ports for the two protocols cannot be had with one number, as torrent clients need them.
var errUneven = errors.New("it gives other ports for TCP than for UDP")

// errTaken is of a provider that has one port for all who ask.
var errTaken = errors.New("its only port leads to another application already")

// Leased are those that there are now, and why there is none where one is wanted.
func (k *Keeper) Leased() map[string]overlay.Lease {
	k.mu.Lock()
	defer k.mu.Unlock()
	out := map[string]overlay.Lease{}
	for name, l := range k.leases {
		out[name] = l.now()
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

// see does what is to be done. Anew is of a tunnel that has just come up.
func (k *Keeper) see(ctx context.Context, c *overlay.Gateway, up, anew bool) {
	router := natpmp.Router{Addr: netip.AddrPortFrom(c.Ports, natpmp.Port), Device: c.Tunnel}
	wanted := map[string]bool{}
	for _, b := range c.Blocks {
		if b.Port && c.Ports.IsValid() {
			wanted[b.Name] = true
			k.want(b)
		}
	}
	k.mu.Lock()
	all := maps.Clone(k.leases)
	k.mu.Unlock()
	for name, l := range all {
		switch {
		case !wanted[name]:
			k.mu.Lock()
			delete(k.leases, name)
			k.mu.Unlock()
			if up && c.Ports.IsValid() && l.now().Port != 0 {
				_, _ = obtain(ctx, router, l.Lease, 0) // it would run out by itself
			}
		case up && (anew || !time.Now().Before(l.renew)):
			asked := time.Now()
			got, err := obtain(ctx, router, l.now(), lifetime)
			k.mu.Lock()
			if err == nil && k.given(got.Outer, name) {
				err = errTaken
			}
			k.note(name, l, got, asked, err)
			k.mu.Unlock()
		}
	}
}

// given says whether a port leads to another application already.
func (k *Keeper) given(port uint16, name string) bool {
	for other, l := range k.leases {
		if other != name && l.now().Port == port {
			return true
		}
	}
	return false
}

// want begins a lease for a block that has none. What tells it from others is where the block is.
func (k *Keeper) want(b overlay.Block) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.leases == nil {
		k.leases = map[string]*lease{}
	}
	if k.leases[b.Name] == nil {
		a := b.Addresses.Addr().As4()
		k.leases[b.Name] = &lease{Lease: overlay.Lease{Inner: first + uint16(a[2]&0x0f)<<8 | uint16(a[3])}}
	}
}

// first is the least of the ports at which leases come out of the tunnel, where the provider leaves that to the asker. They are
// nobody's here: what listens in the gateway's pod, listens elsewhere.
const first = 0xd000

// note takes what an attempt has come to.
func (k *Keeper) note(name string, l *lease, got natpmp.Mapping, asked time.Time, err error) {
	if err != nil {
		if l.Error != err.Error() {
			k.Log.Warn("cannot have a port", "name", name, "error", err)
		}
		l.Error, l.renew = err.Error(), time.Now().Add(again)
		return
	}
	if l.now().Port != got.Outer {
		k.Log.Info("a port is granted", "name", name, "port", got.Outer)
		l.Port, l.Since = got.Outer, asked
	}
	l.Lifetime, l.Until, l.Error = int(got.Lifetime/time.Second), asked.Add(got.Lifetime), ""
	l.renew = asked.Add(min(got.Lifetime/2, renews))
}

// obtain has one port by both protocols, the one of the lease if that is to be had. A lifetime of 0 gives it back.
func obtain(ctx context.Context, r natpmp.Router, l overlay.Lease, lifetime time.Duration) (natpmp.Mapping, error) {
	ask := func(p natpmp.Protocol, wish uint16) (natpmp.Mapping, error) {
		return r.Map(ctx, natpmp.Mapping{Protocol: p, Inner: l.Inner, Outer: wish, Lifetime: lifetime})
	}
	wish := l.Port
	if lifetime == 0 { // which is what ends a mapping (RFC 6886, 3.4)
		wish = 0
	}
	for range 2 {
		udp, err := ask(natpmp.UDP, wish)
		if err != nil {
			return udp, err
		}
		tcp, err := ask(natpmp.TCP, udp.Outer)
		if err != nil {
			return tcp, err
		}
		if tcp.Outer == udp.Outer {
			udp.Lifetime = min(udp.Lifetime, tcp.Lifetime, lifetime) // whatever it promises
			return udp, nil
		}
		wish = tcp.Outer
	}
	return natpmp.Mapping{}, errUneven
}
