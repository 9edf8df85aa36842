package guard

import (
	"context"
	"errors"
	"log/slog"
	"reflect"
	"sync"
	"time"

	"github.com/charmarr/charmarr-go/vpnk8slib/agent/nft"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// Keeper lays a guard and keeps it as it was laid, whoever changes it.
type Keeper struct {
	Log *slog.Logger

	mu    sync.Mutex
	state overlay.GuardState
	rules overlay.Guard // those in force
	laid  string        // what they look like in the kernel
}

// State tells how it stands now.
func (k *Keeper) State() overlay.GuardState {
	k.mu.Lock()
	defer k.mu.Unlock()
	state := k.state
	var err error
	if state.Dropped, err = Dropped(); err != nil && state.Error == "" {
		state.Error = err.Error()
	}
	return state
}

// look is how often the kernel and the rules are looked at where nothing tells of a change.
const look = 2 * time.Second

// Run keeps the guard until ctx ends, and leaves it in force then. Rules are read again and again, because they change with the
// cluster. Where they cannot be read, or cannot be laid, those in force stay.
func (k *Keeper) Run(ctx context.Context, read func() (overlay.Guard, error)) {
	changes, stop, err := nft.Watch()
	if err != nil {
		k.Log.Error("cannot watch the firewall, and look at it now and then", "error", err)
	}
	defer stop()
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		k.Keep(read)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case _, open := <-changes:
			if !open { // the kernel lost us: the ticks are left
				changes = nil
			}
		}
	}
}

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
	now, look := nft.Look(Table)
	changed := !reflect.DeepEqual(rules, k.rules)
	if look == nil && !changed && now == k.laid && now != "" {
		k.failed(err)
		return
	}
	if look == nil && !changed && k.laid != "" {
		k.state.Repairs++
		k.Log.Warn("the guard was changed by somebody else, and is laid again", "repairs", k.state.Repairs)
	}
	switch lay := Install(rules); {
	case errors.Is(lay, ErrNoEgress):
		k.state.Raw = false
		err = errors.Join(err, lay)
	case lay != nil:
		k.state.Standing = k.laid != "" && now == k.laid
		k.failed(errors.Join(err, lay))
		return
	default:
		k.state.Raw = true
	}
	if k.state.Since.IsZero() {
		k.state.Since = time.Now()
		k.Log.Info("the guard stands", "raw", k.state.Raw)
	}
	k.rules, k.state.Standing = rules, true
	k.laid, look = nft.Look(Table)
	k.failed(errors.Join(err, look))
}

// failed notes an error, or that there is none, and says it once.
func (k *Keeper) failed(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != k.state.Error && text != "" {
		k.Log.Error(text)
	}
	k.state.Error = text
}
