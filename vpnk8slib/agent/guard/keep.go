package guard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/nftables"

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
	changes, stop := watch(k.Log)
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
	now, look := snapshot()
	changed := !reflect.DeepEqual(rules, k.rules)
	if look == nil && !changed && now == k.laid && now != "" {
		k.failed(err)
		return
	}
	if !changed && k.laid != "" {
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
	k.laid, look = snapshot()
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

// watch tells when somebody changes any table; ours among them is found by looking.
func watch(log *slog.Logger) (changes chan *nftables.MonitorEvents, stop func()) {
	conn, err := nftables.New()
	if err != nil {
		log.Error("cannot watch the firewall, and look at it now and then", "error", err)
		return nil, func() {}
	}
	monitor := nftables.NewMonitor(nftables.WithMonitorEventBuffer(64))
	if changes, err = conn.AddGenerationalMonitor(monitor); err != nil {
		log.Error("cannot watch the firewall, and look at it now and then", "error", err)
		return nil, func() {}
	}
	return changes, func() { _ = monitor.Close() }
}

// snapshot is what our tables hold, in words that differ when anything in them does; empty where there are none.
func snapshot() (string, error) {
	conn, err := nftables.New()
	if err != nil {
		return "", fmt.Errorf("cannot look at the guard: %w", err)
	}
	var all strings.Builder
	for _, f := range bothFamilies {
		chains, err := conn.ListChainsOfTableFamily(f)
		if err != nil {
			return "", fmt.Errorf("cannot look at the guard: %w", err)
		}
		for _, c := range chains {
			if c.Table.Name != Table {
				continue
			}
			rules, err := conn.GetRules(c.Table, c)
			if err != nil {
				return "", fmt.Errorf("cannot look at the guard: %w", err)
			}
			fmt.Fprintf(&all, "%d %s", f, c.Name)
			for _, r := range rules {
				fmt.Fprintf(&all, " %d", r.Handle)
			}
			all.WriteByte('\n')
		}
		sets, err := elements(conn, f)
		if err != nil {
			return "", err
		}
		if all.Len() > 0 {
			all.WriteString(sets)
		}
	}
	return all.String(), nil
}

func elements(conn *nftables.Conn, f nftables.TableFamily) (string, error) {
	table, err := conn.ListTableOfFamily(Table, f)
	if err != nil {
		return "", nil // there is none
	}
	sets, err := conn.GetSets(table)
	if err != nil {
		return "", fmt.Errorf("cannot look at the guard: %w", err)
	}
	var all []string // in no order of the kernel's
	for _, s := range sets {
		held, err := conn.GetSetElements(s)
		if err != nil {
			return "", fmt.Errorf("cannot look at the guard: %w", err)
		}
		for _, e := range held {
			all = append(all, fmt.Sprintf("%s %x %t\n", s.Name, e.Key, e.IntervalEnd))
		}
	}
	slices.Sort(all)
	return strings.Join(all, ""), nil
}
