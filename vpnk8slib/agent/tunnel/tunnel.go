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
	silent   = 3               // looks in a row without any packet or answer, and it is down: together less than ten seconds

	// keepalive is what WireGuard counts as received of a packet that holds nothing: its server says that it is there, and perhaps leads
	// nowhere (linux/drivers/net/wireguard/receive.c, message_data_len(0)).
	keepalive = 32
)

// Watcher watches one. It is down until a packet has come back.
type Watcher struct {
	up atomic.Bool

	packets, bytes uint64 // received
	index          int
	missed         int
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

// look is one: packets that came by themselves are as good as answers.
func (w *Watcher) look(ctx context.Context, config *overlay.Gateway) {
	link, err := netlink.LinkByName(config.Tunnel)
	if err != nil || link.Attrs().Flags&net.FlagUp == 0 {
		w.index, w.missed = 0, 0
		w.up.Store(false)
		return
	}
	var packets, bytes uint64
	if s := link.Attrs().Statistics; s != nil {
		packets, bytes = s.RxPackets, s.RxBytes
	}
	came := link.Attrs().Index == w.index && packets > w.packets && bytes-w.bytes > keepalive*(packets-w.packets)
	w.index, w.packets, w.bytes = link.Attrs().Index, packets, bytes
	if came || answers(ctx, config.Tunnel, config.Probes) {
		w.missed = 0
		w.up.Store(true)
		return
	}
	if w.missed++; w.missed >= silent {
		w.up.Store(false)
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
