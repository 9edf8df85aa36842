package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/charmarr/charmarr-go/vpnk8slib/agent/beat"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/guard"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/names"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/route"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/status"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

const (
	configFile = "/config/agent.json"
	keysDir    = "/keys"
)

// resident is an agent that stays in its pod, and has its guard in its care whatever else it does.
type resident struct {
	log                                *slog.Logger
	config, keys, socket, pod, metrics *string
	guard                              *guard.Keeper
	resolving                          atomic.Pointer[overlay.Names] // as the configuration had it last; nil: not at all
	named                              chan struct{}                 // closed when resolving is there
	unresolved                         failures
	drill                              status.Drill // nil: this agent has no overlay to take down
	asked                              names.Asked
	leave                              func(bool) // when its pod is about to end, or is not
}

// failures are why something cannot be done, by where.
type failures struct {
	mu sync.Mutex
	at map[netip.AddrPort]error
}

func (f *failures) set(at netip.AddrPort, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.at == nil {
		f.at = map[netip.AddrPort]error{}
	}
	f.at[at] = err
}

// String is one after the other; empty where there are none.
func (f *failures) String() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []error
	for _, at := range slices.SortedFunc(maps.Keys(f.at), netip.AddrPort.Compare) {
		all = append(all, f.at[at])
	}
	if err := errors.Join(all...); err != nil {
		return strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	return ""
}

// near is the loopback, where others in the pod ask for metrics.
var near = fmt.Sprintf("127.0.0.1:%d", overlay.MetricsPort)

// newResident is one that tells its metrics at an address, unless a flag names another.
func newResident(flags *flag.FlagSet, errs io.Writer, metrics string) *resident {
	log := slog.New(slog.NewJSONHandler(errs, nil))
	return &resident{
		log:     log,
		config:  flags.String("config", configFile, "the agent's configuration"),
		keys:    flags.String("keys", keysDir, "the folder of the keys of heartbeats"),
		pod:     flags.String("pod", os.Getenv(overlay.PodVariable), "the name of this pod, which ends with the unit's number"),
		socket:  flags.String("socket", overlay.Socket, "the unix socket on which the charm asks"),
		metrics: flags.String("metrics", metrics, "the address on which metrics are told; empty: on the socket alone"),
		guard:   &guard.Keeper{Log: log},
		leave:   func(bool) {},
		named:   make(chan struct{}),
	}
}

// key reads the key of a name.
func (r *resident) key(name string) ([]byte, error) {
	key, err := os.ReadFile(filepath.Join(*r.keys, name))
	if err == nil && len(key) < beat.MinKey { // a key that anybody has
		err = fmt.Errorf("the key in %s has %d bytes, fewer than %d", filepath.Join(*r.keys, name), len(key), beat.MinKey)
	}
	return key, err
}

// rules reads the guard's.
func (r *resident) rules() (overlay.Guard, error) {
	c, err := overlay.ReadConfig(*r.config)
	if err == nil {
		if c.Client != nil {
			own, _ := c.Client.Of(*r.pod) // a pod without an address of its own is guarded all the same
			if c.Guard.Own = own.Address.Addr(); c.Guard.Own.IsValid() {
				c.Guard.Own6 = overlay.Six(own.VNI, c.Guard.Own)
			}
		}
		if c.Names != nil || r.resolving.Load() == nil { // once there, it stays: the guard leads questions there
			if r.resolving.Swap(c.Names) == nil && c.Names != nil {
				close(r.named)
			}
		}
	}
	return c.Guard, err
}

// names resolves the pod's names until ctx ends, as soon as the configuration says how. Outside says whether the way to the
// resolver behind the tunnel is there.
func (r *resident) names(outside func() bool) func(context.Context) error {
	return func(ctx context.Context) error {
		select {
		case <-ctx.Done():
		case <-r.named:
		}
		var all sync.WaitGroup
		for _, loopback := range []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()} {
			all.Go(func() {
				for ; ctx.Err() == nil; pause(ctx, time.Second) {
					r.resolve(ctx, loopback, outside)
				}
			})
		}
		all.Wait()
		return nil
	}
}

// resolve answers at one of the pod's loopback addresses, until ctx ends or it cannot any more. The other is nothing to it: where a pod
// has no IPv6 on its loopback, nobody asks there.
func (r *resident) resolve(ctx context.Context, loopback netip.Addr, outside func() bool) {
	at := netip.AddrPortFrom(loopback, r.resolving.Load().Port)
	if loopback.Is6() && !route.IPv6On("lo") {
		r.unresolved.set(at, nil)
		return
	}
	resolver := names.Client(func() overlay.Names { return *r.resolving.Load() }, outside)
	resolver.Asked = &r.asked
	resolver.Listens = func() { r.unresolved.set(at, nil) }
	if err := resolver.Serve(ctx, at); err != nil {
		r.unresolved.set(at, err)
		r.log.Error(err.Error())
	}
}

// pause waits, unless ctx ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// stay runs everything until ctx ends. Where something cannot be done the agent says so, tries again, and does not end: an init
// container that fails keeps Juju's agent from starting, and then nobody can repair anything. The charm starts no workload
// meanwhile. What it returns an error for, only another process can mend.
func (r *resident) stay(ctx context.Context, report func(*overlay.Report), keep ...func(context.Context) error) error {
	namespace, err := overlay.Namespace()
	if err != nil {
		return err
	}
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	var all sync.WaitGroup
	for _, k := range keep {
		all.Go(func() {
			if err := k(ctx); err != nil {
				end(err)
			}
		})
	}
	now := func() overlay.Report {
		out := overlay.Report{Namespace: namespace, Guard: r.guard.State(), Names: r.unresolved.String(), Asked: r.asked.Counts()}
		report(&out)
		return out
	}
	all.Go(func() { r.again(ctx, func() error { return status.Serve(ctx, *r.socket, now, r.drill, r.leave) }) })
	if *r.metrics != "" {
		all.Go(func() { r.again(ctx, func() error { return status.Metrics(ctx, *r.metrics, now) }) })
	}
	all.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// again does what an agent can do without, again and again until ctx ends: without its socket it still guards.
func (r *resident) again(ctx context.Context, do func() error) {
	for ctx.Err() == nil {
		if err := do(); err != nil {
			r.log.Error(err.Error())
		}
		pause(ctx, 5*time.Second)
	}
}

// guarding keeps the guard, of rules that are read so.
func (r *resident) guarding(rules func() (overlay.Guard, error)) func(context.Context) error {
	return func(ctx context.Context) error {
		r.guard.Run(ctx, rules)
		return nil
	}
}
