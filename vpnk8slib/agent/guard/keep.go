package guard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/charmarr/charmarr-go/vpnk8slib/agent/nft"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/told"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// Keeper lays a guard and keeps it as it was laid, whoever changes it.
type Keeper struct {
	Log *slog.Logger

	mu    sync.Mutex
	state overlay.GuardState
	rules overlay.Guard // those in force
	laid  string        // what they look like in the kernel
	at    uint32        // the firewall's generation when they were seen so; 0: not seen

	stands atomic.Bool // state.Standing, without the lock
}

// State tells how it stands now.
func (k *Keeper) State() overlay.GuardState {
	k.mu.Lock()
	defer k.mu.Unlock()
	state := k.state
	var err error
	if state.Dropped, state.Kinds, err = counts(); err != nil && state.Error == "" {
		state.Error = err.Error()
	}
	return state
}

// Standing says whether it is in force. It asks nobody, and waits for none.
func (k *Keeper) Standing() bool { return k.stands.Load() }

// look is how often the kernel and the rules are looked at where nothing tells of a change.
const look = 2 * time.Second

// Run keeps the guard until ctx ends, and leaves it in force then. Rules are read again and again, because they change with the
// cluster. Where they cannot be read, or cannot be laid, those in force stay.
func (k *Keeper) Run(ctx context.Context, read func() (overlay.Guard, error)) {
	changes := nft.Watch(ctx)
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		k.Keep(read)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-changes:
		}
	}
}

// ErrNotStanding: nothing may be led anywhere yet.
var ErrNotStanding = errors.New("the guard does not stand")

// Keep looks once, and lays what is not there.
func (k *Keeper) Keep(read func() (overlay.Guard, error)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	rules, err := read()
	if err != nil {
		if rules = k.rules; rules.Device == "" { // there are none in force either
			k.failed(err)
			return
		}
	}
	changed := !reflect.DeepEqual(rules, k.rules)
	generation, look := nft.Generation()
	held := func() error { // who looks at a guard that stands finds no chain that could not be laid
		if k.state.Raw {
			return nil
		}
		return ErrNoEgress
	}
	if look == nil && !changed && generation == k.at && k.at != 0 {
		k.failed(errors.Join(err, held()))
		return
	}
	now, look := seen(k.rules)
	if look == nil && !changed && now == k.laid && now != "" {
		k.at = generation
		k.failed(errors.Join(err, held()))
		return
	}
	k.at = 0
	if look == nil && !changed && k.laid != "" {
		k.state.Repairs++
		k.Log.Warn("the guard was changed by somebody else, and is laid again", "repairs", k.state.Repairs)
	}
	switch lay := Install(rules); {
	case errors.Is(lay, ErrNoEgress):
		k.state.Raw = false
	case lay != nil:
		k.stand(k.laid != "" && now == k.laid)
		k.failed(errors.Join(err, lay))
		return
	default:
		k.state.Raw = true
	}
	if k.state.Since.IsZero() {
		k.state.Since = time.Now()
		k.Log.Info("the guard stands", "raw", k.state.Raw)
	}
	k.rules = rules
	k.stand(true)
	k.laid, look = seen(rules)
	k.failed(errors.Join(err, held(), look))
}

// Admit lets the encapsulation of one more address of the gateway in, at once: its heartbeats tell it before the rules do. What
// is read next must hold it too. The error is ErrNotStanding where there is no guard.
func (k *Keeper) Admit(gateway netip.Addr) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.state.Standing {
		return ErrNotStanding
	}
	if slices.Contains(k.rules.Gateways, gateway) {
		return nil
	}
	before, look := nft.Generation()
	if err := admit(gateway); err != nil {
		return fmt.Errorf("cannot let the gateway's packets in: %w", err)
	}
	k.rules.Gateways = append(slices.Clone(k.rules.Gateways), gateway)
	after, err := nft.Generation()
	alone := look == nil && err == nil && before == k.at && after == before+1 // nobody else's change is among them
	k.at = 0
	if alone {
		k.at = after
	}
	return nil
}

// seen is what the rules look like in the kernel; empty where the gateway's addresses are not those of g.
func seen(g overlay.Guard) (string, error) {
	var sets []string
	for _, f := range nft.Families {
		sets = append(sets, gateways+f.Name)
	}
	now, err := nft.Look(Table, sets...)
	if err != nil || now == "" {
		return "", err
	}
	for _, f := range nft.Families {
		wanted := map[string]bool{}
		for _, a := range g.Gateways {
			if f.Has(a) {
				wanted[string(a.AsSlice())] = true
			}
		}
		held, err := nft.Elements(Table, gateways+f.Name)
		if err != nil || !maps.Equal(held, wanted) {
			return "", err
		}
	}
	return now, nil
}

func (k *Keeper) stand(stands bool) {
	k.state.Standing = stands
	k.stands.Store(stands)
}

// failed notes an error, or that there is none.
func (k *Keeper) failed(err error) { told.Error(k.Log, &k.state.Error, err) }
