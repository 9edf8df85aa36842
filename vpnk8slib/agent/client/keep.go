package client

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"reflect"
	"sync"
	"time"

	"github.com/charmarr/charmarr-go/vpnk8slib/agent/beat"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/names"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/round"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/route"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/told"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/wire"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// Config is what a client is made from.
type Config struct {
	overlay.Client
	Key     []byte   // of the application's beats
	Inbound []uint16 // TCP ports on which the cluster asks the pod, as its guard has them
}

// Keeper keeps a pod a client: it lays the overlay, lays again what somebody takes away, and follows the gateway from pod to
// pod. Nothing is torn down when the gateway is lost: its packets go nowhere until it is found.
type Keeper struct {
	Log    *slog.Logger
	Handle route.Handle
	// Admit is called before the overlay is led to a pod: the guard lets its packets in from then on, and nobody else's. The zero
	// address is nobody's.
	Admit func(pod netip.Addr) error
	// Says is what the gateway is told of this pod; nil: nothing.
	Says func() overlay.Said

	mu sync.Mutex // of all that follows

	state  overlay.ClientState
	config Config
	end    beat.End
	wire   *wire.Wire
	unread error           // why the configuration is not the one in force
	led    bool            // the overlay leads to a pod
	found  chan netip.Addr // by name
	asked  time.Time
	turned bool      // IPv6 has come or gone, or a drill has ended, and what follows from it is not laid
	drill  time.Time // until when the overlay is to be down; zero: it is not
	looked time.Time // when what had come was heard
	sent   time.Time // the last beat
	met    time.Time // when anything new was heard
}

// State tells how it stands now.
func (k *Keeper) State() overlay.ClientState {
	k.mu.Lock()
	defer k.mu.Unlock()
	state := k.state
	state.Lost = k.lost()
	if k.drilling() {
		state.Drill = k.drill
	}
	return state
}

// lost says whether nobody is known to be where the overlay leads.
func (k *Keeper) lost() bool {
	at := k.looked // what has come since is not heard yet
	if time.Since(at) > beat.Lost {
		at = time.Now()
	}
	return at.Sub(k.state.Heard) > beat.Lost
}

const (
	trust  = 5 * time.Second        // so long packets are sent to a gateway that is not heard: then its address may be another pod's
	awaits = 10 * time.Minute       // so long a call of a gateway that is lost is expected
	asks   = 500 * time.Millisecond // how often the name is asked for while the gateway is lost
)

// Run keeps it until ctx ends, and leaves it as it is then. Where the configuration cannot be read, the one in force stays.
// The error is that of a process that may open nothing more.
func (k *Keeper) Run(ctx context.Context, read func() (Config, error)) error {
	k.mu.Lock()
	k.found, k.met = make(chan netip.Addr, 1), time.Now()
	k.mu.Unlock()
	defer func() { k.wire.Close() }()
	return round.Rounds{
		Locker: &k.mu, Changes: []<-chan struct{}{route.Watch(ctx)}, Failed: k.failed,
		Follow: func() error { return k.follow(read) }, Lay: k.lay, Unread: func() bool { return k.unread != nil },
		Meet: func() time.Duration { return k.meet(ctx) },
	}.Run(ctx)
}

// meet hears what came, and sends a beat when it is time for one.
func (k *Keeper) meet(ctx context.Context) time.Duration {
	if k.wire == nil { // it could not be opened, and is tried again
		return beat.AtRest
	}
	if k.Says != nil {
		k.end.Said = k.Says()
	}
	many := k.wire.Each(k.hear)
	k.looked = time.Now()
	k.over()
	if k.turned {
		err := k.lay()
		k.failed(err)
		k.turned = err != nil
	}
	select {
	case pod := <-k.found: // which is asked whether it is the gateway
		k.wire.Send(k.end.Next(), pod)
	default:
	}
	if time.Since(k.sent) > beat.Every-beat.Meeting/2 { // rounds do not come on the dot
		if k.sent = k.sent.Add(beat.Every); time.Since(k.sent) > beat.Every { // one that came late makes the next no later
			k.sent = time.Now()
		}
		k.beat(ctx)
	}
	switch {
	case many || time.Since(k.met) < beat.Meets:
		return beat.Meeting
	case k.lost() && time.Since(k.state.Heard) < awaits: // its successor calls
		return beat.Awaiting
	default:
		return beat.AtRest
	}
}

// follow reads the configuration, and lays what it says.
func (k *Keeper) follow(read func() (Config, error)) error {
	config, err := read()
	if err == nil {
		err = config.Check()
	}
	if err == nil && !reflect.DeepEqual(config, k.config) {
		err = k.take(config)
	}
	k.unread = err
	return k.lay()
}

// take makes a configuration the one in force.
func (k *Keeper) take(config Config) error {
	own, err := k.Handle.AddressOf(config.Device, config.Peer.Is6())
	if err != nil {
		return err
	}
	if k.wire, err = k.wire.Move(netip.AddrPortFrom(own, config.Beats)); err != nil {
		return err
	}
	same := k.config.Address == config.Address && k.config.Gateway == config.Gateway && reflect.DeepEqual(k.config.Key, config.Key)
	if !same {
		if err := k.lose(); err != nil { // before it is forgotten where it led
			return err
		}
	}
	k.config, k.met = config, time.Now()
	if !same { // another overlay: nobody of it was heard yet
		k.end = beat.End{Role: beat.Client, Key: config.Key, Own: own, Client: config.Address.Addr()}
		k.state = overlay.ClientState{Peer: config.Peer, Moves: k.state.Moves, Foreign: k.state.Foreign, Stale: k.state.Stale}
	}
	return nil
}

// lay makes the overlay as it should be. It leads to a pod that was heard not long ago, or nowhere.
func (k *Keeper) lay() error {
	if k.wire == nil {
		return k.unread
	}
	if k.drilling() {
		return errors.Join(k.unread, TakeDown(k.Handle, k.config))
	}
	if err := SetUp(k.Handle, k.config, k.state.IPv6); err != nil {
		return errors.Join(k.unread, err)
	}
	if !k.trusted() {
		return errors.Join(k.unread, k.lose())
	}
	return errors.Join(k.unread, k.point(k.state.Peer))
}

// trusted says whether the peer was heard not long ago.
func (k *Keeper) trusted() bool { return time.Since(k.state.Heard) < trust }

// point leads to a pod that has proven to be the gateway, behind a guard that knows.
func (k *Keeper) point(pod netip.Addr) error {
	if err := k.Admit(pod); err != nil {
		return err
	}
	k.led = true
	return Point(k.Handle, k.config.Client, pod)
}

// lose leads nowhere.
func (k *Keeper) lose() error {
	if !k.led {
		return nil
	}
	if err := errors.Join(Lose(k.Handle, k.config.Client, k.state.Peer), k.Admit(netip.Addr{})); err != nil {
		return err
	}
	k.led = false
	return nil
}

// beat sends one, to whoever may be the gateway.
func (k *Keeper) beat(ctx context.Context) {
	if k.led && !k.trusted() {
		if err := k.lose(); err != nil { // that this went well says nothing of the rest
			k.failed(err)
		}
	}
	text := k.end.Next()
	k.wire.Send(text, k.state.Peer)
	if !k.lost() {
		return
	}
	if k.config.Peer != k.state.Peer {
		k.wire.Send(text, k.config.Peer)
	}
	if name := k.config.Name; name != "" && time.Since(k.asked) > asks {
		k.asked = time.Now()
		go k.ask(ctx, name)
	}
}

// ask asks for the gateway's pods by name.
func (k *Keeper) ask(ctx context.Context, name string) {
	ctx, cancel := context.WithTimeout(ctx, trust)
	defer cancel()
	pods, err := names.Own.LookupNetIP(ctx, "ip", overlay.Absolute(name))
	if err != nil {
		return // the name comes with the gateway's pod
	}
	for _, pod := range pods {
		select {
		case <-ctx.Done():
			return
		case k.found <- pod.Unmap():
		}
	}
}

// hear takes a packet. The overlay is led to another pod only when the one that it leads to is lost, and the other one has just
// proven to be the gateway.
func (k *Keeper) hear(p wire.Packet) {
	b, verdict := k.end.Hear(p.Text, p.From)
	switch verdict {
	case beat.Foreign:
		k.state.Foreign++
		return
	case beat.Stale:
		k.state.Stale++
		if k.lost() {
			k.met = time.Now()
		}
		k.wire.Send(k.end.Answer(b), p.From)
		return
	}
	lost, moved := p.Came.Sub(k.state.Heard) > beat.Lost, p.From != k.state.Peer
	if moved && !lost {
		return
	}
	if moved || !k.led {
		if err := k.point(p.From); err != nil {
			k.failed(err)
			return
		}
	}
	if moved {
		k.state.Moves++
	}
	k.state.Peer, k.state.Heard, k.state.Tunnel = p.From, p.Came, b.Tunnel
	if k.state.IPv6 != b.Six {
		k.state.IPv6, k.turned = b.Six, true
	}
	if lost { // at once: until it hears us the gateway does not know where we are
		k.Log.Info("the gateway is heard", "pod", p.From, "tunnel", b.Tunnel)
		k.wire.Send(k.end.Next(), p.From)
	}
}

// failed notes an error, or that there is none.
func (k *Keeper) failed(err error) { told.Error(k.Log, &k.state.Error, err) }
