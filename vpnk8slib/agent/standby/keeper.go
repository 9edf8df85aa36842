package standby

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/charmarr/charmarr-go/vpnk8slib/agent/told"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// Keeper keeps a pod's place among the units of a gateway. One that is alone asks nobody and writes nothing.
type Keeper struct {
	Log    *slog.Logger
	Pod    string              // the name of this pod
	Server string              // host:port of the API server
	Dir    string              // of the token
	Folder string              // which lives as long as the pod: what tells it from another of its name is kept there
	Held   func() overlay.Held // what to tell while this one has the tunnel

	mu sync.Mutex // of all that follows

	rule    *overlay.Standby // nil: alone
	first   bool
	told    bool             // Follow was called
	asked   time.Time        // since when the rule is known
	before  *overlay.Standby // the rule of an agent of this pod before this one
	began   time.Time        // when this one took over from it
	known   bool
	self    string
	api     leases
	lease   lease
	changed time.Time                 // when it was first seen as it is
	renewed time.Time                 // when the last renewal that was answered was begun; zero: it is not ours
	late    bool                      // somebody has written it since: it is read before it is written again
	from    string                    // from whom it was taken
	clients map[netip.Addr]netip.Addr // of that one
	left    time.Time                 // when the pod was said to be about to end
	failed  string
	woken   chan struct{}
}

// leases is where leases are kept.
type leases interface {
	read(ctx context.Context, s overlay.Standby) (lease, error)
	write(ctx context.Context, s overlay.Standby, l lease, holder string, held overlay.Held, now time.Time) (lease, error)
}

// Follow is told what the configuration says: with whom this pod agrees, and whether it has the tunnel where it is alone. It answers
// whether this pod has it now; not known, while the API server has never answered: what is in force is to stay until then.
func (k *Keeper) Follow(rule *overlay.Standby, alone bool) (active, known bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !sameRule(rule, k.rule) {
		k.known, k.lease, k.late, k.renewed, k.from, k.clients, k.failed = false, lease{}, false, time.Time{}, "", nil, ""
		k.asked = time.Now()
	}
	if !k.told || !sameRule(rule, k.rule) {
		k.keep(rule)
	}
	if k.rule, k.first, k.told = rule, alone, true; rule != nil && !k.known {
		k.wake()
	}
	if rule == nil {
		return alone, true
	}
	return k.active(), k.known || k.overdue()
}

// Active says whether this pod has the tunnel. Whoever could not renew the lease for a while has it no more, even if nothing has told
// him so.
func (k *Keeper) Active() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.rule == nil && k.first || k.rule != nil && k.active()
}

// Lost says whether it is known that this pod does not have the tunnel: whether its configuration can be read does not matter.
func (k *Keeper) Lost() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.rule == nil && k.told {
		return !k.first
	}
	return !k.active() && (k.known || k.overdue())
}

func (k *Keeper) active() bool { return !k.renewed.IsZero() && time.Since(k.renewed) < Safe }

// Seen are the pods of clients as the one that had the tunnel before has told them, beside those that are known otherwise.
func (k *Keeper) Seen(g overlay.Gateway) map[netip.Addr]netip.Addr {
	k.mu.Lock()
	defer k.mu.Unlock()
	seen := maps.Clone(g.Seen)
	for client, pod := range k.clients {
		if g.Place(client, pod) {
			if seen == nil {
				seen = map[netip.Addr]netip.Addr{}
			}
			seen[client] = pod
		}
	}
	return seen
}

// State tells how it stands; nil where this pod is alone.
func (k *Keeper) State() *overlay.StandbyState {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.blind() {
		return &overlay.StandbyState{Known: k.overdue(), Error: errBlind.Error()}
	}
	if k.rule == nil {
		return nil
	}
	state := &overlay.StandbyState{Known: k.known || k.overdue(), Active: k.active(), Holder: podOf(k.lease.holder), From: k.from, Error: k.failed, Leaving: k.leaves()}
	if k.lease.holder != k.self {
		state.Held = k.lease.held
		state.Renewed, _ = time.Parse(time.RFC3339Nano, k.lease.renewed) // who writes another text says nothing
	}
	return state
}

// Run goes on until ctx ends, and then gives the lease back: who stands by need not wait for its end.
func (k *Keeper) Run(ctx context.Context) error {
	woken := k.waking()
	for {
		next := k.once(ctx, time.Now())
		var due <-chan time.Time
		if next > 0 {
			due = time.After(next)
		}
		select {
		case <-ctx.Done():
			k.giveBack()
			return nil
		case <-woken:
		case <-due:
		}
	}
}

func (k *Keeper) waking() <-chan struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.woken = make(chan struct{}, 1)
	return k.woken
}

// wake has Run look at once, if it does not wait for anything else.
func (k *Keeper) wake() {
	select {
	case k.woken <- struct{}{}:
	default:
	}
}

// Leave gives the lease back, because the pod is about to end. It may take a while until it has, and where it does not at all this one
// stands by again: after a minute, or when the charm says so.
func (k *Keeper) Leave(leaves bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.left = time.Time{}
	if leaves {
		k.left = time.Now()
	}
	k.wake()
}

// once does what is to be done now, and says when to look again; 0: when somebody says so.
func (k *Keeper) once(ctx context.Context, now time.Time) time.Duration {
	k.mu.Lock()
	rule, first, l, holds, leaves := k.rule, k.first, k.lease, !k.renewed.IsZero() && !k.late, k.leaves()
	k.mu.Unlock()
	if rule == nil {
		return 0
	}
	if leaves {
		k.giveBack()
		return looks
	}
	self, err := k.identify()
	if err != nil {
		return k.fail(*rule, err)
	}
	if !holds {
		if l, err = k.api.read(ctx, *rule); err != nil {
			return k.fail(*rule, err)
		}
		k.see(*rule, l)
	}
	switch decide(self, first, rule.Free, l, k.unchanged()) {
	case wait:
		return looks
	case take:
		k.Log.Info("takes the tunnel over", "from", podOf(l.holder))
	}
	if ctx.Err() != nil {
		return again
	}
	// A write that was begun is waited for, though ctx ends: it is to be known what is given back then.
	next, err := k.api.write(context.WithoutCancel(ctx), *rule, l, self, k.Held(), now)
	if err != nil {
		return k.fail(*rule, err)
	}
	k.hold(*rule, l, next, now)
	return renews
}

// identify says who this pod is, and how it asks.
func (k *Keeper) identify() (self string, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.self != "" {
		return k.self, nil
	}
	instance, err := instance(filepath.Join(k.Folder, "instance"))
	if err != nil {
		return "", err
	}
	if k.self = identity(k.Pod, instance); k.api == nil {
		k.api = &api{server: k.Server, dir: k.Dir}
	}
	return k.self, nil
}

// instance is a text that this pod has and no other: kept for as long as it lives, so that an agent that starts anew is the same one.
func instance(path string) (string, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err = os.MkdirAll(filepath.Dir(path), 0o755); err == nil {
			text = []byte(strings.ToLower(rand.Text()[:10]))
			err = os.WriteFile(path, text, 0o600)
		}
	}
	if err == nil && len(text) == 0 {
		err = errors.New("it is empty")
	}
	if err != nil {
		return "", fmt.Errorf("cannot tell this pod from another of its name: %w", err)
	}
	return string(text), nil
}

// see notes a lease as it was read.
func (k *Keeper) see(rule overlay.Standby, l lease) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.rule == nil || !k.rule.Same(rule) { // meanwhile it is about another one
		return
	}
	if !k.known || l.holder != k.lease.holder || l.renewed != k.lease.renewed {
		k.changed = time.Now()
	}
	if k.known, k.lease, k.late, k.failed = true, l, false, ""; l.holder != k.self {
		k.renewed = time.Time{}
	}
}

// unchanged is for how long the lease has been as it is.
func (k *Keeper) unchanged() time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	return time.Since(k.changed)
}

// hold notes that the lease is ours since a request was begun.
func (k *Keeper) hold(rule overlay.Standby, before, now lease, began time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.rule == nil || !k.rule.Same(rule) {
		return
	}
	if before.holder != k.self {
		k.from, k.clients = podOf(before.holder), before.held.Clients
	}
	k.known, k.lease, k.changed, k.renewed, k.failed = true, now, time.Now(), began, ""
}

// fail notes why the lease could not be asked for, or not be written. One that somebody else has written, which may have been the
// charm, is read anew.
func (k *Keeper) fail(rule overlay.Standby, err error) time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.rule == nil || !k.rule.Same(rule) {
		return again
	}
	if k.late = errors.Is(err, errConflict); k.late {
		return time.Millisecond
	}
	if !k.active() {
		k.renewed = time.Time{}
	}
	told.Error(k.Log, &k.failed, err)
	return again
}

func (k *Keeper) leaves() bool { return !k.left.IsZero() && time.Since(k.left) < ends }

// giveBack ends a lease that is ours: here first, and at once, so that whoever asks lets go before another unit has it.
func (k *Keeper) giveBack() {
	k.mu.Lock()
	if k.rule == nil || !k.active() {
		k.mu.Unlock()
		return
	}
	rule, held, self := *k.rule, k.lease, k.self
	k.renewed = time.Time{}
	k.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	var err error
	for held.holder == self {
		if _, err = k.api.write(ctx, rule, held, "", overlay.Held{}, time.Now()); !errors.Is(err, errConflict) {
			break
		}
		if held, err = k.api.read(ctx, rule); err != nil { // the charm has written it, or a renewal that was not answered
			break
		}
	}
	if err != nil {
		k.Log.Warn("cannot give the lease back", "error", err)
	}
}

// Server is where pods find the API server.
func Server() string {
	return net.JoinHostPort(os.Getenv("KUBERNETES_SERVICE_HOST"), os.Getenv("KUBERNETES_SERVICE_PORT"))
}
