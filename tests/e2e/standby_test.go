//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/charmarr/charmarr-go/tests/e2e/world"
)

// takesOver tells of a gateway whose tunnel another unit takes over.
//
// takesover SECONDS MODEL/POD MODEL/GATEWAY lab|juju|kubectl ARG...: runs a command, and waits until what the pod's sender sends arrives
// outside by that pod of the gateway; from before the command on it may not take longer. The pod is the same all the time, and none of its
// containers starts again
func (w *teller) takesOver(ts *testscript.TestScript, _ bool, a []string) {
	ctx := context.Background()
	limit, err := strconv.Atoi(a[0])
	ts.Check(err)
	pod, gateway, command := a[1], a[2], a[3:]
	if command[0] == "lab" {
		command = command[1:]
	}
	was, err := w.peer(ctx, pod)
	ts.Check(err)
	if at, err := w.Address(ctx, gateway); err != nil || at.String() == was {
		ts.Fatalf("%s leads to %s already: %v", pod, gateway, err)
	}
	lives, err := w.lives(ctx, pod)
	ts.Check(err)
	began := time.Now()
	_, err = w.Lab(ctx, command...)
	ts.Check(err)
	ts.Check(world.Until(ctx, time.Minute, func() string {
		at, err := w.Address(ctx, gateway)
		if err != nil {
			return err.Error()
		}
		if peer, err := w.peer(ctx, pod); err != nil || peer != at.String() {
			return fmt.Sprintf("%s leads to %s, and %s is at %s: %v", pod, peer, gateway, at, err)
		}
		return ""
	}))
	followed := time.Now()
	took := w.outsideAgain(ts, pod, followed).Sub(began)
	ts.Logf("%s follows to %s after %.1f s, and what it sends is outside again after %.1f s", pod, gateway, followed.Sub(began).Seconds(), took.Seconds())
	if took > time.Duration(limit)*time.Second {
		ts.Fatalf("%s took over after %.1f s, not within %d", gateway, took.Seconds(), limit)
	}
	if now, err := w.lives(ctx, pod); err != nil || now != lives {
		ts.Fatalf("%s was %q, and is %q: it, or a container of it, has been started again: %v", pod, lives, now, err)
	}
}

// lives is which pod that is, and how often each of its containers was started again: a pod that is made anew leaves no other trace.
func (w *teller) lives(ctx context.Context, pod string) (string, error) {
	model, name, _ := strings.Cut(pod, "/")
	const restarts = "{range .status.%s[*]} {.name}={.restartCount}{end}"
	return w.Kubectl(ctx, "-n", model, "get", "pod", name, "-o", "jsonpath={.metadata.uid}"+fmt.Sprintf(restarts, "initContainerStatuses")+fmt.Sprintf(restarts, "containerStatuses"))
}

// outsideAgain says when the first packet of the pod's sender, which sends without end, arrived outside since a moment: by the tunnel.
func (w *teller) outsideAgain(ts *testscript.TestScript, pod string, since time.Time) (first time.Time) {
	ctx := context.Background()
	sent, err := w.Sent(ctx, pod)
	ts.Check(err)
	dsts := map[string]bool{}
	for _, kind := range sent {
		dsts[kind.Dst] = true
	}
	ts.Check(world.Until(ctx, time.Minute, func() string {
		all, err := w.Arrivals(ctx, "inet")
		if err != nil {
			return err.Error()
		}
		for _, a := range all {
			came, err := time.Parse(time.RFC3339Nano, a.Time)
			if err == nil && came.After(since) && dsts[a.Dst] && world.FromVPN(a.Src) {
				first = came
				return ""
			}
		}
		return "nothing of " + pod + " arrives outside"
	}))
	return first
}

// peer is the gateway's pod that a consumer's overlay leads to, by its agent.
func (w *teller) peer(ctx context.Context, pod string) (string, error) {
	model, name, _ := strings.Cut(pod, "/")
	out, err := w.Kubectl(ctx, "-n", model, "exec", name, "-c", "vpn-agent", "--", "/agent", "status")
	if err != nil {
		return "", err
	}
	var report struct{ Client struct{ Peer string } }
	err = json.Unmarshal([]byte(out), &report)
	return report.Client.Peer, err
}
