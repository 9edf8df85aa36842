package world

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/charmarr/charmarr-go/vpnk8slib/agent/guard"
)

// Plain is the pod that nothing protects. It sends what every workload's sender sends.
const Plain = "default/plain"

// keepers are who lays again what is taken from a pod: the agent, and the scripts of the other routing method.
const keepers = `^([^ ]*/agent (client|guard)|/bin/bash .*client.sidecar\.sh)`

// Tables are the guard's, each with its family.
var Tables = [][]string{{"inet", guard.Table}, {"netdev", guard.Table}}

// Signal signals the processes in a pod's network whose command lines match a pattern, in whatever container. There must be one.
func (w World) Signal(ctx context.Context, pod, signal, pattern string) error {
	script := `here=$(readlink /proc/self/ns/net) found=
for p in $(pgrep -f -- "$1" | grep -vx $$); do
  if [ "$(readlink /proc/$p/ns/net)" = "$here" ] && kill -"$0" "$p"; then found=1; fi
done
[ "$found" ]`
	_, err := w.Lab(ctx, "exec", "--pod", pod, "--", "bash", "-uc", script, signal, pattern)
	return err
}

const (
	first = "10" // a rule before everybody's
	// One behind the overlay's own rule, which holds what bears the overlay's address. A connection from before goes on sending that, by IPv6
	// also when the interface has gone with it, and not every enforcer of policies looks at what bears no pod's address.
	behindOwn = "4790"
)

// Astray leads all that a pod sends out of its own interface, by hand: without the overlay, with default routes of either family, and with
// rules before everybody's. Back takes the rules away; the rest is for who keeps the pod closed.
func (w World) Astray(ctx context.Context, pod string) (back func() error, err error) {
	return w.astray(ctx, pod, first)
}

func (w World) astray(ctx context.Context, pod, priority string) (back func() error, err error) {
	inside := func(script string) error {
		_, err := w.Lab(ctx, "exec", "--pod", pod, "--", "sh", "-euc", script, priority)
		return err
	}
	err = inside(`ip link del vxlan0 || ! ip link show vxlan0 2>/dev/null # just now nobody may have made it again
ip route replace default via 10.42.0.1 dev eth0
ip -6 route replace default via fd42::1 dev eth0 metric 3
ip route replace default via 10.42.0.1 dev eth0 table 99
ip -6 route replace default via fd42::1 dev eth0 table 99
for f in -4 -6; do ip $f rule add priority "$0" lookup 99; done`)
	return func() error {
		return inside(`for f in -4 -6; do ip $f rule del priority "$0" lookup 99; ip $f route flush table 99; done`)
	}, err
}

// Guarded says whether a pod's guard is there: all of it, or none.
func (w World) Guarded(ctx context.Context, pod string) (all, none bool, err error) {
	text, err := w.Lab(ctx, "exec", "--pod", pod, "--", "nft", "list", "tables")
	n := 0
	for _, t := range Tables {
		if strings.Contains(text, "table "+strings.Join(t, " ")+"\n") {
			n++
		}
	}
	return n == len(Tables), n == 0, err
}

// PolicyAlone takes the guard from a pod whose packets are led out of its own interface, for so long, and has whoever would lay it again
// wait: of all layers the NetworkPolicy is the only one that is asked. Each kind of packet leaves the pod then, as the node counts, and
// none the node; an unprotected pod's do. When the guard is back it tells how many left the pod, by kind.
func (w World) PolicyAlone(ctx context.Context, pod string, d time.Duration) (left map[string]int, err error) {
	before, err := w.Sent(ctx, pod)
	if err != nil {
		return nil, err
	}
	err = w.held(ctx, pod, behindOwn, func() error {
		for _, t := range Tables {
			if _, err := w.Lab(ctx, append([]string{"exec", "--pod", pod, "--", "nft", "delete", "table"}, t...)...); err != nil {
				return err
			}
		}
		return w.sent(ctx, pod, d, func(kind string, sent Count) error {
			if _, none, err := w.Guarded(ctx, pod); err != nil || !none {
				return errors.Join(err, errors.New("the guard was laid again, and the policy is not alone"))
			}
			if sent.Pod == 0 {
				return fmt.Errorf("the policy is not asked: no packet of %s has left the pod", kind)
			}
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("%s, by policy alone: %w", pod, err)
	}
	if err := Until(ctx, 20*time.Second, func() string {
		if all, _, err := w.Guarded(ctx, pod); err != nil || !all {
			return fmt.Sprint("the guard of ", pod, " is not back: ", err)
		}
		return ""
	}); err != nil {
		return nil, err
	}
	now, err := w.Sent(ctx, pod)
	left = map[string]int{}
	for kind, k := range now {
		left[kind] = k.Pod - before[kind].Pod
	}
	return left, err
}

// GuardAlone leads a pod's packets out of its own interface for so long, where somebody has taken its NetworkPolicy away, and has whoever
// would lead them back wait: the guard is the only layer that is asked. It drops some of each kind, and none leaves the pod.
func (w World) GuardAlone(ctx context.Context, pod string, d time.Duration) error {
	err := w.held(ctx, pod, first, func() error {
		before, err := w.Dropped(ctx, pod)
		if err != nil {
			return err
		}
		return w.sent(ctx, pod, d, func(kind string, sent Count) error {
			now, err := w.Dropped(ctx, pod)
			switch {
			case err != nil:
				return err
			case now[kind] == before[kind]:
				return fmt.Errorf("the guard is not asked: it has dropped nothing of %s", kind)
			case sent.Pod > 0:
				return fmt.Errorf("LEAK: %d packets of %s have left the pod", sent.Pod, kind)
			}
			return nil
		})
	})
	if err != nil {
		return fmt.Errorf("%s, by its guard alone: %w", pod, err)
	}
	return nil
}

// Dropped are the packets that a pod's guard has dropped on their way out, by a sender's kinds.
func (w World) Dropped(ctx context.Context, pod string) (map[string]int, error) {
	dropped := map[string]int{}
	for kind, counter := range map[string]string{"tcp4": "ipv4_tcp", "udp4": "ipv4_udp", "icmp4": "ipv4_icmp", "tcp6": "ipv6_tcp", "udp6": "ipv6_udp"} {
		n, err := w.Counter(ctx, pod, "inet", "judged_"+counter)
		if err != nil {
			return nil, err
		}
		dropped[kind] = n
	}
	return dropped, nil
}

// Counter reads one of a pod's guard, in its table of that family.
func (w World) Counter(ctx context.Context, pod, family, name string) (n int, err error) {
	text, err := w.Lab(ctx, "exec", "--pod", pod, "--", "nft", "list", "counter", family, guard.Table, name)
	if err != nil {
		return 0, err
	}
	_, after, _ := strings.Cut(text, "packets ")
	if _, err := fmt.Sscan(after, &n); err != nil {
		return 0, fmt.Errorf("cannot read the counter %s of the guard of %s: %w", name, pod, err)
	}
	return n, nil
}

// held does something while a pod's packets are led astray and nobody repairs anything.
func (w World) held(ctx context.Context, pod, priority string, do func() error) (err error) {
	if err := w.Signal(ctx, pod, "STOP", keepers); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Signal(ctx, pod, "CONT", keepers)) }()
	back, err := w.astray(ctx, pod, priority)
	defer func() { err = errors.Join(err, back()) }()
	if err != nil {
		return err
	}
	return do()
}

// sent lets a pod's sender and the unprotected pod's send for so long, and looks at each kind of what it sent. None may leave the node, as the
// other one's do.
func (w World) sent(ctx context.Context, pod string, d time.Duration, look func(kind string, sent Count) error) error {
	pods := []string{pod, Plain}
	var before, now [2]map[string]Kind
	read := func(into *[2]map[string]Kind) (err error) {
		for i := range pods {
			if into[i], err = w.Sent(ctx, pods[i]); err != nil {
				break
			}
		}
		return err
	}
	if err := read(&before); err != nil {
		return err
	}
	time.Sleep(d)
	if err := read(&now); err != nil {
		return err
	}
	for kind := range now[0] {
		own, plain := now[0][kind].less(before[0][kind]), now[1][kind].less(before[1][kind])
		if own.Uplink > 0 {
			return fmt.Errorf("LEAK: %d packets of %s have left the node outside the tunnel", own.Uplink, kind)
		}
		if plain.Uplink == 0 {
			return fmt.Errorf("the control is blind: of %s", kind)
		}
		if err := look(kind, own); err != nil {
			return err
		}
	}
	return nil
}
