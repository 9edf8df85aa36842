//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/charmarr/charmarr-go/tests/e2e/world"
)

// external waits until outside traffic leaves with the VPN's address. On the way it may not get out at all, but never with
// another address.
func (w *teller) external(ts *testscript.TestScript, pod, container string, next func() string, exit string) {
	ctx := context.Background()
	ts.Check(world.Until(ctx, 90*time.Second, func() string {
		dst := next()
		seen, err := w.Probe(ctx, pod, container, "http", dst)
		if err != nil {
			return err.Error() // a pod that is not there yet
		}
		packets, err := w.OnUplink(ctx, dst)
		ts.Check(err)
		if packets[dst] > 0 {
			ts.Fatalf("LEAK: %d packets to %s left outside the tunnel; the far end saw %s", packets[dst], dst, seen)
		}
		if seen.Source == exit {
			return ""
		}
		return "the far end sees " + seen.String() + " of " + pod
	}))
}

// confined sends a probe of each kind and tells what came of it. None may leave outside the tunnel, and each time an
// unprotected pod shows that the same would have been seen.
func (w *teller) confined(ts *testscript.TestScript, pod, container string) []*world.Pair {
	pairs, err := w.Pairs(context.Background(), pod, container,
		world.Target{Kind: "http", Dst: w.outside.Next()}, world.Target{Kind: "udp", Dst: w.outside.Next()}, world.Target{Kind: "icmp", Dst: w.outside.Next()},
		world.Target{Kind: "http", Dst: w.outside.Next6()}, world.Target{Kind: "udp", Dst: w.outside.Next6()})
	ts.Check(err)
	for _, p := range pairs {
		if p.Leaked() {
			ts.Fatalf("LEAK: from %s, %s", pod, p)
		}
		if !p.Sighted() {
			ts.Fatalf("the control is blind: %s", p)
		}
	}
	return pairs
}

// silent sends from inside a pod's network as root, with this machine's own programs: for a pod whose workload has no probe.
func (w *teller) silent(ts *testscript.TestScript, pod string) {
	ctx := context.Background()
	_, err := w.Lab(ctx, "exec", "--pod", pod, "--", "true") // a pod that is not there would be silent as well
	ts.Check(err)
	sent := map[string]string{} // command by destination
	for _, command := range []string{"ping -c 5 -i 0.2 -W 1 %s", "timeout 1 bash -c <>/dev/tcp/%s/443", "timeout 1 bash -c <>/dev/tcp/%s/80", "timeout 2 busybox nslookup canary.test %s"} {
		for _, dst := range []string{w.outside.Next(), w.outside.Next6()} {
			sent[dst] = fmt.Sprintf(command, dst)
		}
	}
	// from sends all at once, and counts what got out to each destination. That the commands fail is what is hoped for; not that they never ran.
	var unsent atomic.Value
	from := func(pod string) map[string]int {
		var all sync.WaitGroup
		for _, line := range sent {
			all.Go(func() {
				_, err := w.Lab(ctx, append([]string{"exec", "--pod", pod, "--"}, strings.Fields(line)...)...)
				if err != nil && (strings.Contains(err.Error(), "nsenter:") || strings.Contains(err.Error(), "cannot find")) {
					unsent.Store(err.Error())
				}
			})
		}
		all.Wait()
		if why := unsent.Load(); why != nil {
			ts.Fatalf("cannot send from %s: %s", pod, why)
		}
		counts, err := w.OnUplink(ctx, slices.Collect(maps.Keys(sent))...)
		ts.Check(err)
		return counts
	}
	for dst, packets := range from(pod) {
		if packets > 0 {
			ts.Fatalf("LEAK: %s in %s: %d packets left outside the tunnel", sent[dst], pod, packets)
		}
	}
	var blind string
	for range 3 { // a busy machine loses one now and then
		blind = ""
		for dst, packets := range from(world.Plain) {
			if packets == 0 {
				blind = sent[dst]
			}
		}
		if blind == "" {
			return
		}
	}
	ts.Fatalf("the control is blind: nothing was counted of %s in an unprotected pod", blind)
}

// untouched looks at the counters of addresses, and then sends to them from a pod that nothing protects.
func (w *teller) untouched(ts *testscript.TestScript, dsts []string) {
	ctx := context.Background()
	before, err := w.OnUplink(ctx, dsts...)
	ts.Check(err)
	for dst, packets := range before {
		if packets > 0 {
			ts.Fatalf("LEAK: %d packets to %s left outside the tunnel", packets, dst)
		}
	}
	ts.Check(world.Until(ctx, 30*time.Second, func() string {
		for _, dst := range dsts {
			kinds := []string{"http", "udp", "icmp"}
			if strings.Contains(dst, ":") {
				kinds = kinds[:2] // the probe has no ping of IPv6
			}
			for _, kind := range kinds {
				_, err := w.Lab(ctx, "probe", "--plain", kind, dst)
				ts.Check(err)
			}
		}
		after, err := w.OnUplink(ctx, dsts...)
		ts.Check(err)
		for dst, packets := range after {
			if packets == 0 {
				return "the control is blind: nothing was counted to " + dst
			}
		}
		return ""
	}))
}

// rate is how many of each kind a sender sends in a second, less what a busy machine may owe.
const rate = 18

// sending waits until what the workload's sender sends arrives, and holds it to its rate and to the VPN's address.
func (w *teller) sending(ts *testscript.TestScript, pod, container string) {
	ctx := context.Background()
	ts.Check(world.Until(ctx, 90*time.Second, func() string {
		s, err := w.Sender(ctx, pod, container)
		if err != nil {
			return err.Error()
		}
		for kind, k := range s.Kinds {
			for source := range k.Answered {
				if source == world.NodeAddress || source == world.NodeAddress6 {
					ts.Fatalf("LEAK: the far end saw %s from %s as %s", kind, pod, source)
				}
			}
			if s.Seconds < 3 || float64(k.Sent) < rate*s.Seconds {
				return fmt.Sprintf("the sender of %s has sent %d of %s in %.0f s", pod, k.Sent, kind, s.Seconds)
			}
			if strings.HasSuffix(kind, "4") && len(k.Answered) == 0 {
				return fmt.Sprintf("nothing of %s from %s is answered", kind, pod)
			}
		}
		return ""
	}))
	w.unleaked(ts, pod)
}

// named are the names that the resolver outside was asked for beside the tunnel, and that no probe of ours is for: a workload's own,
// such as those by which qBittorrent finds its peers. Probes, whose names end with test, show that it hears.
func (w *teller) named(ctx context.Context) (names []string, err error) {
	questions, err := w.Arrivals(ctx, "dns")
	for _, a := range questions {
		// Juju's own agents ask for localhost, which the lab's controller gives as its name, while the kubelet writes a pod's /etc/hosts anew:
		// it does so at each start of a container.
		if !world.FromVPN(a.Src) && !strings.HasSuffix(a.Dst, ".test.") && a.Dst != "localhost." {
			names = append(names, fmt.Sprintf("%s by %s at %s", a.Dst, a.Src, a.Time))
		}
	}
	return names, err
}

// unleaked looks at the counters: of this pod's sender, of every pod, and of the sender of a pod that nothing protects,
// which differs in nothing else and must have been counted for each kind.
func (w *teller) unleaked(ts *testscript.TestScript, pod string) {
	ctx := context.Background()
	own, err := w.Sent(ctx, pod)
	ts.Check(err)
	for kind, k := range own {
		if left := k.Pod - w.excused[pod][kind]; k.Uplink > 0 || left > 0 {
			ts.Fatalf("LEAK: %s of the sender of %s: %d packets left the pod outside the tunnel, %d of them the node", kind, pod, left, k.Uplink)
		}
		for source := range k.Arrived {
			if !world.FromVPN(source) {
				ts.Fatalf("LEAK: the far end saw %s of the sender of %s from %s", kind, pod, source)
			}
		}
	}
	strangers, err := w.Strangers(ctx)
	ts.Check(err)
	for pair, n := range strangers {
		if n > w.before[pair] {
			ts.Fatalf("LEAK: %d packets left the node outside the tunnel: %s", n-w.before[pair], pair)
		}
	}
	names, err := w.named(ctx)
	ts.Check(err)
	if len(names) > w.named0 {
		ts.Fatalf("LEAK: somebody outside of the tunnel was asked for names of the workload's: %v", names[w.named0:])
	}
	control, err := w.Sent(ctx, world.Plain)
	ts.Check(err)
	for kind, k := range control {
		if k.Uplink == 0 || k.Pod == 0 {
			ts.Fatalf("the control is blind: %s of the unprotected sender: %d packets counted at the pod, %d at the uplink", kind, k.Pod, k.Uplink)
		}
	}
}
