package world

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
)

// Seen is what came of one probe: the source address that the far end saw, or why there was none.
type Seen struct {
	Source string `json:"seen"`
	Err    string `json:"error"`
}

// String is the table's word for it.
func (s Seen) String() string {
	if s.Source != "" {
		return s.Source
	}
	return s.Err
}

// Answered says whether anything came back. A refusal is an answer: the packet got there.
func (s Seen) Answered() bool { return s.Source != "" || strings.Contains(s.Err, "refused") }

// Probe sends from inside a pod's workload container (NAMESPACE/POD) and tells what came of it. Kind is http, tcp, udp, icmp or dns.
func (w World) Probe(ctx context.Context, pod, container, kind, dst string) (Seen, error) {
	out, err := w.Lab(ctx, "probe", "--pod", pod, "--container", container, kind, dst)
	if err != nil {
		return Seen{}, err
	}
	return readSeen(out)
}

// Control sends the same from a pod that nothing protects: it shows that the probe would have been seen. A busy machine
// loses one now and then, so it may try three times.
func (w World) Control(ctx context.Context, kind, dst string) (seen Seen, err error) {
	for range 3 {
		out, err := w.Lab(ctx, "probe", "--plain", kind, dst)
		if err != nil {
			return Seen{}, err
		}
		if seen, err = readSeen(out); err != nil || seen.Answered() {
			return seen, err
		}
	}
	return seen, nil
}

func readSeen(out string) (s Seen, err error) {
	if err = json.Unmarshal([]byte(out), &s); err != nil {
		err = fmt.Errorf("cannot read the probe's answer %q: %w", out, err)
	}
	return s, err
}

// OnUplink counts the packets to dst that left the node outside the tunnel since the lab came up. Every probe has a
// destination of its own, so a count is never somebody else's.
func (w World) OnUplink(ctx context.Context, dst string) (int, error) {
	var c struct {
		Uplink int `json:"uplink"`
	}
	err := w.json(ctx, &c, "count", "--dst", dst)
	return c.Uplink, err
}

// json reads what the lab's program answers.
func (w World) json(ctx context.Context, into any, args ...string) error {
	out, err := w.Lab(ctx, args...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(out), into); err != nil {
		return fmt.Errorf("cannot read what lab %s says: %w", strings.Join(args, " "), err)
	}
	return nil
}

// Kind is what the world knows of one kind that a pod's sender sends (tests/lab/internal/sender).
type Kind struct {
	Dst     string         `json:"dst"`
	Uplink  int            `json:"uplink"`  // packets that left the node outside the tunnel
	Pod     int            `json:"pod"`     // packets that left the pod outside the tunnel
	Arrived map[string]int `json:"arrived"` // at the far end, by the source that it saw
}

// Sent tells what was seen outside, by kind, of a pod's sender (NAMESPACE/POD) in all its lives.
func (w World) Sent(ctx context.Context, pod string) (map[string]Kind, error) {
	kinds := map[string]Kind{}
	err := w.json(ctx, &kinds, "sent", pod)
	return kinds, err
}

// Strangers are the pods whose packets left the node outside the tunnel, as "SOURCE DESTINATION", but for the unprotected
// pod and the cluster's resolver.
func (w World) Strangers(ctx context.Context) (map[string]int, error) {
	pairs := map[string]int{}
	err := w.json(ctx, &pairs, "strangers")
	return pairs, err
}

// Sender is what a running sender tells of itself.
type Sender struct {
	Seconds float64
	Kinds   map[string]struct {
		Sent     int
		Answered map[string]int
	}
}

// Sender asks the sender in a pod's container.
func (w World) Sender(ctx context.Context, pod, container string) (s Sender, err error) {
	namespace, name, _ := strings.Cut(pod, "/")
	out, err := w.Kubectl(ctx, "-n", namespace, "exec", name, "-c", container, "--", "/usr/bin/probe", "sent")
	if err != nil {
		return s, err
	}
	if err = json.Unmarshal([]byte(out), &s); err != nil {
		err = fmt.Errorf("cannot read what the sender of %s says: %w", pod, err)
	}
	return s, err
}

// Outside hands out destinations on the pretend internet, each once. Whoever shares a lab shares one of these.
type Outside struct{ next int }

// Next is an address that nothing has sent to yet.
func (o *Outside) Next() string {
	o.next++
	return fmt.Sprintf("198.18.%d.%d", o.next/250, o.next%250+1)
}

// Next6 is one of IPv6.
func (o *Outside) Next6() string {
	o.next++
	return fmt.Sprintf("2001:db8:113::%x", 0x1000+o.next)
}
