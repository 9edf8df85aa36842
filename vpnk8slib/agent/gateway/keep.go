package gateway

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/charmarr/charmarr-go/vpnk8slib/agent/beat"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/nft"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/round"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/route"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/told"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/wire"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// Config is what a gateway is made from.
type Config struct {
	overlay.Gateway
	Keys map[string][]byte // of each block's beats, by its name; who has none is not heard
}

// Keeper keeps a gateway: it lays its end, lays again what somebody takes away, and lets in the clients that it hears.
type Keeper struct {
	Log    *slog.Logger
	Handle route.Handle
	// Tunnel says whether packets come back through the tunnel now; clients are told.
	Tunnel func() bool
	// Ports are those that the provider grants, by block; nil: there are none.
	Ports func() map[string]overlay.Lease
	// Turned says that what read says may be another thing than when it was called last; nil: only the file tells.
	Turned func() bool
	// Lost says whether it is known that this pod does not have the tunnel: whatever read says, or cannot say, it has no clients then.
	// nil: it always has it.
	Lost func() bool

	mu sync.Mutex // of all that follows

	state   overlay.GatewayState
	config  Config
	gateway *Gateway
	wire    *wire.Wire
	unread  error     // why the configuration is not the one in force
	open    bool      // there may be somebody for whom this pod forwards
	met     time.Time // when anything new was heard
	led     time.Time // when it was seen to what is forwarded
	talks   map[netip.Addr]*talk
	through bool              // packets came back when that was told last
	turning time.Time         // since when it is so; zero: since the beginning
	ports   map[string]uint16 // as they were told last
	since   time.Time         // when they became these
}

// talk is what is said with one client.
type talk struct {
	end    beat.End
	pod    netip.Addr
	heard  time.Time
	began  time.Time
	called time.Time
	said   overlay.Said
}

// State tells how it stands now.
func (k *Keeper) State() overlay.GatewayState {
	k.mu.Lock()
	defer k.mu.Unlock()
	state := k.state
	state.Tunnel, state.Clients = k.Tunnel(), map[netip.Addr]overlay.ClientSeen{}
	for client, t := range k.talks {
		if t.pod.IsValid() {
			b, _ := k.config.Of(client)
			state.Clients[client] = overlay.ClientSeen{Pod: t.pod, Heard: t.heard, Name: b.Name, App: b.App, Unit: b.Unit(client), Said: t.said}
		}
	}
	state.Ports, state.Since = k.told()
	if k.gateway != nil {
		if state.IPv6 = k.gateway.six == nil; !state.IPv6 && k.gateway.six != errNoTunnel6 {
			state.NoIPv6 = k.gateway.six.Error()
		}
	}
	var err error
	if state.Dropped, err = Dropped(); err != nil && state.Error == "" {
		state.Error = err.Error()
	}
	return state
}

const (
	silent  = 150 * time.Millisecond // a client that is not heard for so long is called
	soon    = 10 * time.Second       // so long it is called with every tick
	seldom  = time.Second            // and then so often
	forgets = 15 * time.Second       // what is not heard for so long may be another pod by now
	gives   = 10 * time.Minute       // and is not called any more after so long
)

// Run keeps it until ctx ends, and leaves it as it is then. Where the configuration cannot be read the one in force stays, unless read has another
// one beside its error: what is the same with everything that could be read. Without the tunnel none has any clients.
// The error is that of a process that may open nothing more.
func (k *Keeper) Run(ctx context.Context, read func() (Config, error)) error {
	k.mu.Lock()
	k.talks, k.met, k.open = map[netip.Addr]*talk{}, time.Now(), true // an agent before this one may have left it so
	k.mu.Unlock()
	defer func() { k.wire.Close() }()
	return round.Rounds{
		Locker: &k.mu, Changes: []<-chan struct{}{route.Watch(ctx), nft.Watch(ctx)}, Failed: k.failed,
		Follow: func() error { return k.follow(read) }, Lay: k.lay, Unread: func() bool { return k.unread != nil || k.turned() },
		Meet: k.meet,
	}.Run(ctx)
}

// meet hears what came, and calls who is not heard.
func (k *Keeper) meet() time.Duration {
	if k.open && k.lost() {
		k.letGo()
	}
	if k.wire == nil || k.gateway == nil { // it could not be opened, or made, and is tried again
		return beat.Gather
	}
	many := k.wire.Each(k.hear)
	k.call()
	if time.Since(k.led) > beat.Every {
		k.led = time.Now()
		if err := k.forward(); err != nil {
			k.failed(err)
		}
	}
	if many || time.Since(k.met) < beat.Meets {
		return beat.Meeting
	}
	return beat.Gather
}

// follow reads the configuration, and lays what it says.
func (k *Keeper) follow(read func() (Config, error)) error {
	config, err := read()
	if wrong := config.Check(); wrong != nil {
		err = cmp.Or(err, wrong)
	} else if !reflect.DeepEqual(config, k.config) {
		err = errors.Join(err, k.take(config))
	}
	k.unread = err
	return k.lay()
}

func (k *Keeper) lay() error {
	if k.gateway == nil {
		return k.unread
	}
	err := k.gateway.SetUp()
	if err == nil && len(k.config.Blocks) == 0 {
		k.open = false
	}
	return errors.Join(k.unread, err)
}

// take makes a configuration the one in force. Clients whose block and key are as before stay in.
func (k *Keeper) take(config Config) error {
	own, err := k.Handle.AddressOf(config.Device, false)
	if err != nil {
		return err
	}
	if k.wire, err = k.wire.Move(netip.AddrPortFrom(own, config.Beats)); err != nil {
		return err
	}
	next, err := New(k.Handle, config.Gateway)
	if err != nil {
		return err
	}
	if k.gateway != nil {
		next.forwarded = k.gateway.forwarded
	}
	talks := map[netip.Addr]*talk{}
	for client, t := range k.talks {
		if key, ok := config.key(client); ok && bytes.Equal(key, t.end.Key) && t.end.Own == own {
			talks[client] = t
			if k.gateway != nil {
				if pod, ok := k.gateway.pins[client]; ok {
					next.pins[client] = pod
				}
			}
		}
	}
	for client, pod := range config.Seen {
		if key, ok := config.key(client); ok && talks[client] == nil {
			talks[client] = k.newTalk(client, key, pod)
		}
	}
	if k.gateway != nil {
		for client := range k.gateway.pins {
			if _, stays := next.pins[client]; !stays {
				if err := k.gateway.Unpin(client); err != nil {
					return err
				}
			}
		}
	}
	k.config, k.gateway, k.talks, k.met = config, next, talks, time.Now()
	k.open = k.open || len(config.Blocks) > 0
	return nil
}

func (k *Keeper) newTalk(client netip.Addr, key []byte, pod netip.Addr) *talk {
	return &talk{end: beat.End{Role: beat.Gateway, Key: key, Own: k.wire.At.Addr(), Client: client}, pod: pod, began: time.Now()}
}

func (c Config) key(client netip.Addr) ([]byte, bool) {
	block, ok := c.Of(client)
	key := c.Keys[block.Name]
	return key, ok && len(key) > 0
}

// hear takes a packet, and answers it if it is signed. Only one that repeats a number of ours says where the client is.
func (k *Keeper) hear(p wire.Packet) {
	client, ok := beat.About(p.Text)
	t := k.talks[client]
	if key, known := k.config.key(client); ok && t == nil && known {
		t = k.newTalk(client, key, netip.Addr{})
	}
	if t == nil {
		k.count(beat.Foreign)
		return
	}
	b, verdict := t.end.Hear(p.Text, p.From)
	k.count(verdict)
	if verdict == beat.Foreign {
		return // and forgotten, if it was the first: whoever sends anything takes no memory
	}
	k.talks[client] = t
	t.end.Tunnel, t.end.Six = k.Tunnel(), k.gateway.six == nil
	if verdict == beat.Stale {
		if time.Since(t.heard) > silent {
			k.met = time.Now()
		}
		k.wire.Send(t.end.Answer(b), p.From)
		return
	}
	if err := k.gateway.Pin(client, p.From); err != nil {
		k.failed(err)
		return
	}
	if t.pod != p.From || t.heard.IsZero() {
		k.Log.Info("a client is heard", "client", client, "pod", p.From)
	}
	t.pod, t.heard, t.said = p.From, p.Came, b.Said
	k.wire.Send(t.end.Next(), p.From)
}

// call calls the clients that are not heard, and forgets those that have not been for long.
func (k *Keeper) call() {
	now := time.Now()
	for client, t := range k.talks {
		since := now.Sub(t.began)
		if !t.heard.IsZero() {
			since = now.Sub(t.heard)
		}
		if since > forgets {
			if err := k.gateway.Unpin(client); err != nil {
				k.failed(err)
			}
		}
		if since > gives || !t.pod.IsValid() && since > forgets {
			delete(k.talks, client)
			continue
		}
		every := beat.Every
		if since > soon {
			every = seldom
		}
		if !t.pod.IsValid() || !t.heard.IsZero() && since < silent || now.Sub(t.called) < every {
			continue
		}
		t.called, t.end.Tunnel, t.end.Six = now, k.Tunnel(), k.gateway.six == nil
		k.wire.Send(t.end.Next(), t.pod)
	}
}

// leased are the provider's ports, each with the client that it leads to: the first of its block that is known.
func (k *Keeper) leased() map[string]overlay.Lease {
	if k.Ports == nil || k.gateway == nil {
		return nil
	}
	leases := k.Ports()
	for _, b := range k.config.Blocks {
		l, ok := leases[b.Name]
		if !ok {
			continue
		}
		for client := range k.gateway.pins {
			if b.Addresses.Contains(client) && (!l.Client.IsValid() || client.Less(l.Client)) {
				l.Client = client
			}
		}
		leases[b.Name] = l
	}
	return leases
}

// forward forwards what comes to these ports.
func (k *Keeper) forward() error {
	leases := k.leased()
	if len(leases) == 0 && len(k.gateway.forwarded) == 0 {
		return nil
	}
	var all []Forwarded
	for _, name := range slices.Sorted(maps.Keys(leases)) {
		if l := leases[name]; l.Port != 0 && l.Client.IsValid() {
			at := []uint16{l.Port}
			if l.Inner != 0 {
				at = append(at, l.Inner)
			}
			all = append(all, Forwarded{at, netip.AddrPortFrom(l.Client, l.Port)})
		}
	}
	return k.gateway.Forward(all)
}

func (k *Keeper) count(v beat.Verdict) {
	switch v {
	case beat.Foreign:
		k.state.Foreign++
	case beat.Stale:
		k.state.Stale++
	}
}

// failed notes an error, or that there is none.
func (k *Keeper) failed(err error) { told.Error(k.Log, &k.state.Error, err) }
