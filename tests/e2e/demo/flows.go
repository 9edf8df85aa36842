package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/charmarr/charmarr-go/tests/e2e/world"
)

// Flow is one row of the table.
type Flow struct {
	Name            string `json:"name"` // external, internal, route-broken, tunnel-down or dns
	From            string `json:"from"`
	To              string `json:"to"`
	Expect          string `json:"expect"`
	Seen            string `json:"seen"`              // the source address that the far end saw, or the error
	PacketsOnUplink int    `json:"packets_on_uplink"` // from the client, outside the tunnel
	Control         string `json:"control"`           // proof that the same probe would have been seen, had it leaked
	OK              bool   `json:"ok"`
}

const (
	nothing  = "nothing gets out"
	answered = "answered inside the cluster"
)

// client is one routed application, where its probes come from, and what it asks of the other model.
type client struct{ name, pod, container, otherModel, otherPod string }

var clients = []client{
	{"qbittorrent", "charmarr-downloads/qbittorrent-0", "qbittorrent", "http://multimeter.charmarr-core.svc.cluster.local:8080/", "charmarr-core/multimeter-0"},
	{"multimeter across models", "charmarr-core/multimeter-0", "multimeter", "http://qbittorrent.charmarr-downloads.svc.cluster.local:8080/", "charmarr-downloads/qbittorrent-0"},
}

// clusterDNS is a name that the cluster's own resolver knows.
const clusterDNS = "kubernetes.default.svc.cluster.local"

type tour struct {
	world.World
	ctx     context.Context
	outside world.Outside
	rows    []Flow
}

func flows(ctx context.Context, w world.World) ([]Flow, error) {
	t := &tour{World: w, ctx: ctx}
	err := t.walk()
	return t.rows, err
}

// walk takes the four flows: all well, then with the route broken, then with the tunnel down; each time what is outside
// and what is inside, and afterwards that it comes back.
func (t *tour) walk() error {
	if err := t.well("external", "internal"); err != nil {
		return err
	}
	if err := t.dns(); err != nil {
		return err
	}
	for _, c := range clients {
		mend, err := t.breakRoute(c.pod)
		if err == nil {
			err = t.broken("route-broken", c)
		}
		if err = errors.Join(err, mend()); err != nil {
			return err
		}
	}
	if err := t.recovers("route-broken"); err != nil {
		return err
	}
	if _, err := t.Lab(t.ctx, "tunnel", "down"); err != nil {
		return err
	}
	for _, c := range clients {
		if err := t.broken("tunnel-down", c); err != nil {
			return err
		}
	}
	if _, err := t.Lab(t.ctx, "tunnel", "up"); err != nil {
		return err
	}
	return t.recovers("tunnel-down")
}

// breakRoute takes a client's overlay down and keeps its packets from the gateway: the interface alone the agent lays again before anybody
// could look. It tells how the way is opened again.
func (t *tour) breakRoute(pod string) (mend func() error, err error) {
	inside := func(script string) error {
		_, err := t.Lab(t.ctx, "exec", "--pod", pod, "--", "sh", "-euc", script)
		return err
	}
	mend = func() error { return inside("nft delete table inet demo") }
	return mend, inside(`nft add table inet demo
nft add chain inet demo out '{ type filter hook output priority 0; }'
nft add rule inet demo out udp dport { 4790, 4791 } drop
ip link del vxlan0`)
}

func (t *tour) well(external, internal string) error {
	for _, c := range clients {
		if err := t.outsideRow(external, c, world.VPNAddress); err != nil {
			return err
		}
		if err := t.insideRows(internal, c); err != nil {
			return err
		}
	}
	return nil
}

func (t *tour) broken(name string, c client) error {
	if err := t.outsideRow(name, c, nothing); err != nil {
		return err
	}
	return t.insideRows(name, c)
}

// recovers adds a row when outside traffic leaves through the VPN again, as soon as what we did is undone.
func (t *tour) recovers(name string) error {
	for _, c := range clients {
		start := time.Now()
		leaked := 0
		err := world.Until(t.ctx, 4*time.Minute, func() string {
			dst := t.outside.Next()
			seen, err := t.Probe(t.ctx, c.pod, c.container, "http", dst)
			if err != nil {
				return err.Error()
			}
			n, err := t.OnUplink(t.ctx, dst)
			if err != nil {
				return err.Error()
			}
			leaked += n[dst]
			if seen.Source != world.VPNAddress {
				return "the far end sees " + seen.String()
			}
			return ""
		})
		after := time.Since(start).Seconds()
		row, failed := t.outsidePair(name, c, world.VPNAddress)
		if failed != nil {
			return failed
		}
		row.To += fmt.Sprintf(", back %.0f s after that was undone", after)
		row.PacketsOnUplink += leaked
		row.OK = row.OK && err == nil && leaked == 0
		t.rows = append(t.rows, row)
	}
	return nil
}

func (t *tour) outsideRow(name string, c client, expect string) error {
	row, err := t.outsidePair(name, c, expect)
	if err == nil {
		t.rows = append(t.rows, row)
	}
	return err
}

// outsidePair probes a destination that only this row uses, and then sends the same from a pod that nothing protects.
func (t *tour) outsidePair(name string, c client, expect string) (Flow, error) {
	pairs, err := t.Pairs(t.ctx, c.pod, c.container, world.Target{Kind: "http", Dst: t.outside.Next()})
	if err != nil {
		return Flow{}, err
	}
	p := pairs[0]
	right := p.Seen.Source == expect
	if expect == nothing {
		right = !p.Seen.Answered()
	}
	return Flow{Name: name, From: c.name, To: p.Dst, Expect: expect, Seen: p.Seen.String(), PacketsOnUplink: p.Packets,
		Control: fmt.Sprintf("unprotected pod: seen as %s, %d packets", p.Control, p.Counted), OK: right && p.Sighted() && !p.Leaked()}, nil
}

func (t *tour) insideRows(name string, c client) error {
	namespace, service, _ := strings.Cut(strings.TrimSuffix(c.otherPod, "-0"), "/")
	for _, probe := range []struct{ kind, to, namespace, service string }{
		{"http", c.otherModel, namespace, service}, {"dns", clusterDNS, "kube-system", "kube-dns"},
	} {
		seen, err := t.Probe(t.ctx, c.pod, c.container, probe.kind, probe.to)
		if err != nil {
			return err
		}
		address, err := t.Kubectl(t.ctx, "-n", probe.namespace, "get", "service", probe.service, "-o", "jsonpath={.spec.clusterIP}")
		if err != nil {
			return err
		}
		device, err := t.device(c, strings.TrimSpace(address))
		if err != nil {
			return err
		}
		t.rows = append(t.rows, Flow{Name: name, From: c.name, To: probe.to, Expect: answered, Seen: seen.String(),
			Control: "an answer proves itself; the pod's own route to " + address + " leaves by " + device, OK: seen.Err == "" && device == "eth0"})
	}
	return nil
}

// device asks the client's own network by which interface it reaches an address.
func (t *tour) device(c client, address string) (string, error) {
	out, err := t.Lab(t.ctx, "exec", "--pod", c.pod, "--", "ip", "route", "get", address)
	if err != nil {
		return "", err
	}
	_, after, _ := strings.Cut(out, " dev ")
	device, _, _ := strings.Cut(after, " ")
	return device, nil
}

// dns says where an external name's query left: through the tunnel, or by the cluster's resolver outside of it.
func (t *tour) dns() error {
	const name = "canary.test"
	c := clients[0]
	query := fmt.Sprintf("q%d.%s", time.Now().UnixNano(), name)
	seen, err := t.Probe(t.ctx, c.pod, c.container, "dns", query)
	if err != nil {
		return err
	}
	log, err := t.Lab(t.ctx, "logs", "dns")
	if err != nil {
		return err
	}
	through, left := 0, 0
	for line := range strings.Lines(log) {
		switch {
		case !strings.Contains(line, query):
		case strings.Contains(line, fmt.Sprintf("%q", world.VPNAddress)):
			through++
		default:
			left++
		}
	}
	t.rows = append(t.rows, Flow{Name: "dns", From: c.name, To: query, Expect: "asked through the tunnel",
		Seen:            fmt.Sprintf("asked %d times through the tunnel, %d times outside of it; answer %s", through, left, seen),
		PacketsOnUplink: left, Control: "the resolver outside logs every query", OK: seen.Err == "" && through > 0 && left == 0})
	return nil
}
