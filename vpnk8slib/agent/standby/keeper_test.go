package standby

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

var rule = &overlay.Standby{Namespace: "downloads", Lease: "gluetun-vpn-standby"}

// store is an API server with one lease. It refuses who writes another one than there is, as the real one does.
type store struct {
	mu     sync.Mutex
	lease  lease
	writes int
}

// way is a pod's way to it.
type way struct {
	*store
	mu   sync.Mutex
	cut  bool          // whoever asks waits, and is told nothing
	slow time.Duration // what is written is answered so late
}

func (w *way) set(cut bool) { w.mu.Lock(); defer w.mu.Unlock(); w.cut = cut }

func (w *way) open(ctx context.Context) error {
	w.mu.Lock()
	cut := w.cut
	w.mu.Unlock()
	if !cut {
		return ctx.Err()
	}
	time.Sleep(patient)
	return errors.New("no answer")
}

func (w *way) read(ctx context.Context, _ overlay.Standby) (lease, error) {
	if err := w.open(ctx); err != nil {
		return lease{}, err
	}
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	return w.store.lease, nil
}

func (w *way) write(ctx context.Context, _ overlay.Standby, l lease, holder string, held overlay.Held, now time.Time) (lease, error) {
	if err := w.open(ctx); err != nil {
		return lease{}, err
	}
	w.store.mu.Lock()
	if l.version != w.store.lease.version {
		w.store.mu.Unlock()
		return lease{}, errConflict
	}
	w.writes++
	next := lease{holder: holder, taken: true, renewed: now.String(), version: strconv.Itoa(w.writes), times: l.times, held: held}
	w.store.lease = next
	w.store.mu.Unlock()
	time.Sleep(w.slow)
	return next, ctx.Err() // who does not wait for the answer has written all the same
}

// touched is what the charm does when it writes the object: another version, and no other lease.
func (s *store) touched() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lease.version += "+"
}

// unit is one, with its agent.
type unit struct {
	*Keeper
	way  *way
	stop func()
}

func start(t *testing.T, s *store, pod string, first bool, clients map[netip.Addr]netip.Addr) unit {
	return resume(t, s, pod, t.TempDir(), first, clients)
}

// resume starts an agent in a pod that may have had one before.
func resume(t *testing.T, s *store, pod, folder string, first bool, clients map[netip.Addr]netip.Addr) unit {
	return by(t, &way{store: s}, pod, folder, first, clients)
}

// by is resume, of a pod that has its way to the API server, or none.
func by(t *testing.T, w *way, pod, folder string, first bool, clients map[netip.Addr]netip.Addr) unit {
	ctx, stop := context.WithCancel(t.Context())
	k := &Keeper{Log: slog.New(slog.DiscardHandler), Pod: pod, Folder: folder, api: w, Held: func() overlay.Held { return overlay.Held{Tunnel: true, Clients: clients} }}
	ended := make(chan struct{})
	k.Resume()
	k.Follow(rule, first)
	go func() { defer close(ended); _ = k.Run(ctx) }()
	return unit{k, w, func() { stop(); <-ended }}
}

// watch looks at every moment that neither both have the tunnel, and says after how long one has.
func watch(t *testing.T, limit time.Duration, which unit, other unit) time.Duration {
	t.Helper()
	for began := time.Now(); time.Since(began) < limit; time.Sleep(10 * time.Millisecond) {
		require.False(t, which.Active() && other.Active(), "both have the tunnel")
		if which.Active() {
			return time.Since(began)
		}
	}
	require.Fail(t, "it has not taken over")
	return 0
}

func TestUnitsOfAGateway(t *testing.T) {
	client, pod := netip.MustParseAddr("172.16.0.16"), netip.MustParseAddr("10.42.0.5")
	synctest.Test(t, func(t *testing.T) {
		s := &store{}
		second := start(t, s, "gluetun-1", false, nil)
		time.Sleep(time.Minute) // a kubelet that brings the file late
		first := start(t, s, "gluetun-0", true, map[netip.Addr]netip.Addr{client: pod})
		assert.Less(t, watch(t, time.Minute, first, second), time.Second, "the one that is to begin begins")
		time.Sleep(time.Minute)
		assert.True(t, first.Active())
		assert.Equal(t, &overlay.StandbyState{Known: true, Holder: "gluetun-0", Held: overlay.Held{Tunnel: true, Clients: map[netip.Addr]netip.Addr{client: pod}}}, second.State())
		s.touched()
		for range 300 {
			time.Sleep(10 * time.Millisecond)
			require.True(t, first.Active(), "somebody else's write is no loss")
		}

		// It is cut off: it has stopped before the other begins, and does not begin again when the way is there again.
		first.way.set(true)
		took := watch(t, time.Minute, second, first)
		assert.False(t, first.Active())
		assert.Greater(t, took, Safe-renews)
		assert.Less(t, took, Lasts+looks+renews)
		assert.Equal(t, "gluetun-0", second.State().From)
		gateway := overlay.Gateway{Blocks: []overlay.Block{{Name: "vpn-gateway-3", Addresses: netip.MustParsePrefix("172.16.0.16/28")}}}
		assert.Equal(t, map[netip.Addr]netip.Addr{client: pod}, second.Seen(gateway), "it calls the clients of the other one")
		assert.Empty(t, second.Seen(overlay.Gateway{}), "of those that it knows")
		first.way.set(false)
		time.Sleep(time.Minute)
		assert.False(t, first.Active())
		assert.True(t, second.Active())

		// It ends: the other one need not wait.
		second.stop()
		assert.Less(t, watch(t, time.Minute, first, second), looks+50*time.Millisecond)

		// Its pod is about to end, and takes its time; then it does not end.
		second = start(t, s, "gluetun-1", false, nil)
		time.Sleep(3 * looks)
		require.True(t, first.Active())
		first.Leave(true)
		assert.Less(t, watch(t, time.Minute, second, first), looks+50*time.Millisecond)
		assert.True(t, first.State().Leaving)
		time.Sleep(ends / 2)
		second.way.set(true)
		time.Sleep(ends/2 - Lasts)
		assert.False(t, first.Active(), "there is nobody left")
		watch(t, time.Minute, first, second)

		// What was said of the end of the pod before was left to this one: it is taken back, and nobody waits for a minute.
		second.way.set(false)
		first.Leave(true)
		watch(t, time.Minute, second, first)
		first.Leave(false)
		assert.False(t, first.State().Leaving)
		second.stop()
		assert.Less(t, watch(t, time.Minute, first, second), looks+50*time.Millisecond)
		first.stop()
	})
}

// It ends at any moment, and a write of its own or the charm's may be under way: the other one need not wait.
func TestItEndsWhileItIsWritten(t *testing.T) {
	const slow = 300 * time.Millisecond
	for moment := 10 * time.Millisecond; moment < 2*renews; moment += 50 * time.Millisecond {
		synctest.Test(t, func(t *testing.T) {
			s := &store{}
			first := by(t, &way{store: s, slow: slow}, "gluetun-0", t.TempDir(), true, nil)
			second := start(t, s, "gluetun-1", false, nil)
			time.Sleep(moment)
			s.touched()
			first.stop()
			assert.Less(t, watch(t, time.Minute, second, first), looks+50*time.Millisecond, "ended after %s", moment)
			second.stop()
		})
	}
}

// The one that is to begin does not: another one need not wait for long where nobody can have the tunnel.
func TestNobodyBegins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &store{}
		second := start(t, s, "gluetun-1", false, nil)
		time.Sleep(begins - looks)
		assert.False(t, second.Active(), "the first may have it, and not have heard")
		free := *rule
		free.Free = true
		second.Follow(&free, false)
		time.Sleep(2 * looks)
		assert.True(t, second.Active())
		second.stop()

		s = &store{}
		third := start(t, s, "gluetun-2", false, nil)
		third.Follow(&free, false)
		assert.Less(t, watch(t, time.Minute, third, second), Lasts+2*looks)
		third.stop()
	})
}

// Nobody can ask: whoever had it stops, and has it again when somebody answers.
func TestTheAPIServerIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &store{}
		first, second := start(t, s, "gluetun-0", true, nil), start(t, s, "gluetun-1", false, nil)
		watch(t, time.Minute, first, second)
		first.way.set(true)
		second.way.set(true)
		time.Sleep(Safe)
		assert.False(t, first.Active())
		assert.Equal(t, &overlay.StandbyState{Known: true, Holder: "gluetun-0", Error: "no answer"}, first.State(), "it has no tunnel to tell of")
		time.Sleep(time.Minute)
		assert.False(t, second.Active())
		first.way.set(false)
		watch(t, 2*time.Second, first, second)
		second.way.set(false)
		for range 6000 {
			time.Sleep(10 * time.Millisecond)
			require.True(t, first.Active())
			require.False(t, second.Active())
		}
		first.stop()
		second.stop()
	})
}

// An agent that starts anew in its pod is the same one; in a new pod of the name it is another.
func TestAnAgentStartsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, folder := &store{}, t.TempDir()
		killed := func(u unit) { u.way.set(true); u.stop() } // it gives nothing back
		first, second := resume(t, s, "gluetun-0", folder, true, nil), start(t, s, "gluetun-1", false, nil)
		watch(t, time.Minute, first, second)
		killed(first)
		first = resume(t, s, "gluetun-0", folder, true, nil)
		assert.Less(t, watch(t, time.Minute, first, second), time.Second)
		killed(first)
		first = start(t, s, "gluetun-0", true, nil)
		watch(t, time.Minute, second, first)
		first.stop()
		second.stop()
	})
}

// One that is alone has what its file says, asks nobody and writes nothing. Until it is known what several have agreed on, what is
// in force stays.
func TestAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &store{}
		u := by(t, &way{store: s, cut: true}, "gluetun-0", t.TempDir(), true, nil)
		active, known := u.Follow(rule, true)
		assert.False(t, active || known)
		active, known = u.Follow(nil, true)
		assert.True(t, active && known && u.Active())
		assert.Nil(t, u.State())
		active, _ = u.Follow(nil, false)
		assert.False(t, active || u.Active(), "the file names another pod")
		synctest.Wait() // whoever had asked is waiting now
		u.way.set(false)
		time.Sleep(time.Minute)
		assert.Zero(t, s.writes)
		u.Follow(rule, true)
		time.Sleep(time.Second)
		active, known = u.Follow(rule, true)
		assert.True(t, active && known)
		u.Follow(nil, true)
		written := s.writes
		time.Sleep(time.Minute)
		assert.Equal(t, written, s.writes, "the other unit has gone")
		u.stop()
	})
}
