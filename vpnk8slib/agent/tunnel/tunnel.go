// Package tunnel tells whether packets come back through a tunnel. That its interface is there, and that its VPN client is
// content, says nothing: a server that is gone is silent.
package tunnel

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/charmarr/charmarr-go/vpnk8slib/agent/route"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/tick"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

const (
	every    = time.Second     // how often it is looked at
	patience = 2 * time.Second // for an answer
	silent   = 3               // looks in a row without an answer, and it is down: together less than ten seconds

	// fresh is for how long an answer makes packets that come by themselves as good as another. Alone they say nothing: a tunnel that
	// leads nowhere is still told of by its server's keepalives, and by whoever outside repeats what nobody confirms.
	fresh = 3 * time.Second
)

// Watcher watches one. It is down until a packet has come back.
type Watcher struct {
	up   atomic.Bool
	lost losses

	received uint64
	index    int
	missed   int
	answered time.Time
}

// Up says how it was when it was looked at last.
func (w *Watcher) Up() bool { return w.up.Load() }

// Run looks until ctx ends, as soon as the configuration is there.
func (w *Watcher) Run(ctx context.Context, config func() *overlay.Gateway) error {
	timer, err := tick.New(ctx)
	if err != nil {
		return err
	}
	for {
		if c := config(); c != nil {
			w.look(ctx, c)
		}
		if err := timer.Wait(every); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
	}
}

// look is one.
func (w *Watcher) look(ctx context.Context, config *overlay.Gateway) {
	link, err := netlink.LinkByName(config.Tunnel)
	if err != nil || link.Attrs().Flags&net.FlagUp == 0 {
		w.index, w.missed, w.answered = 0, 0, time.Time{}
		w.down(overlay.LostGone)
		return
	}
	received := uint64(0)
	if s := link.Attrs().Statistics; s != nil {
		received = s.RxPackets
	}
	came := link.Attrs().Index == w.index && received > w.received
	w.index, w.received = link.Attrs().Index, received
	if came && time.Since(w.answered) < fresh {
		return
	}
	if answers(ctx, config.Tunnel, config.Probes) {
		w.answered = time.Now()
		w.missed = 0
		w.lost.back()
		w.up.Store(true)
		return
	}
	if w.missed++; w.missed >= silent {
		w.down(overlay.LostSilent)
	}
}

// down notes that it is down. One that comes back was lost by what it went down with.
func (w *Watcher) down(how string) {
	if w.up.Swap(false) {
		w.lost.went(how)
	}
}

// answers asks all at once; a refusal is an answer.
func answers(ctx context.Context, device string, probes []netip.AddrPort) bool {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	heard := make(chan bool, len(probes))
	d := net.Dialer{Control: route.Bound(device)}
	for _, p := range probes {
		go func() {
			c, err := d.DialContext(ctx, "tcp", p.String())
			if err == nil {
				_ = c.Close()
			}
			heard <- err == nil || errors.Is(err, unix.ECONNREFUSED)
		}()
	}
	for range probes {
		if <-heard {
			return true
		}
	}
	return false
}
