package world

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
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

// What the far end sees of traffic through the tunnel, and of a leak.
const (
	VPNAddress   = "192.0.2.2"
	VPNOther     = "192.0.2.3" // by the provider's other server
	VPNAddress6  = "2001:db8:192::2"
	NodeAddress  = "198.51.100.1"
	NodeAddress6 = "2001:db8:51::1"
)

// FromVPN says whether what the far end sees has come out of the tunnel.
func FromVPN(source string) bool {
	return source == VPNAddress || source == VPNOther || source == VPNAddress6
}

// Target is what a probe asks, and where.
type Target struct{ Kind, Dst string }

// Pair is a probe to a destination of its own and, after it, its control: the same from a pod that nothing protects.
type Pair struct {
	Target
	Seen    Seen // by the probe
	Packets int  // of the probe's, outside the tunnel
	Control Seen // by the control
	Counted int  // of the control's packets
}

// Leaked says whether anything of the probe got out beside the tunnel.
func (p *Pair) Leaked() bool {
	return p.Packets > 0 || p.Seen.Source == NodeAddress || p.Seen.Source == NodeAddress6
}

// Sighted says whether the control was seen. One that was not proves nothing about its probe.
func (p *Pair) Sighted() bool { return p.Counted > 0 && p.Control.Answered() }

// String tells what was sent and what came of both.
func (p *Pair) String() string {
	return fmt.Sprintf("%s to %s: %s, %d packets outside the tunnel; from an unprotected pod: %s, %d packets", p.Kind, p.Dst, p.Seen, p.Packets, p.Control, p.Counted)
}

// Pairs sends probes and then their controls, each all at once because most wait for an answer that does not come. A busy
// machine loses a control now and then, so that each may try three times.
func (w World) Pairs(ctx context.Context, pod, container string, targets ...Target) ([]*Pair, error) {
	var pairs []*Pair
	for _, t := range targets {
		pairs = append(pairs, &Pair{Target: t})
	}
	err := atOnce(pairs, func(p *Pair) (err error) {
		p.Seen, err = w.Probe(ctx, pod, container, p.Kind, p.Dst)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := w.counted(ctx, pairs, func(p *Pair, n int) { p.Packets = n }); err != nil {
		return nil, err
	}
	for try, blind := 0, pairs; try < 3 && len(blind) > 0; try++ {
		if err := atOnce(blind, func(p *Pair) error { return w.control(ctx, p) }); err != nil {
			return nil, err
		}
		if err := w.counted(ctx, blind, func(p *Pair, n int) { p.Counted = n - p.Packets }); err != nil {
			return nil, err
		}
		blind = slices.DeleteFunc(slices.Clone(blind), (*Pair).Sighted)
	}
	return pairs, nil
}

func (w World) control(ctx context.Context, p *Pair) error {
	out, err := w.Lab(ctx, "probe", "--plain", p.Kind, p.Dst)
	if err != nil {
		return err
	}
	p.Control, err = readSeen(out)
	return err
}

// counted tells each pair how many packets to its destination have left the node.
func (w World) counted(ctx context.Context, pairs []*Pair, tell func(*Pair, int)) error {
	var dsts []string
	for _, p := range pairs {
		dsts = append(dsts, p.Dst)
	}
	counts, err := w.OnUplink(ctx, dsts...)
	for _, p := range pairs {
		tell(p, counts[p.Dst])
	}
	return err
}

func atOnce(pairs []*Pair, do func(*Pair) error) error {
	errs := make([]error, len(pairs))
	var all sync.WaitGroup
	for i, p := range pairs {
		all.Go(func() { errs[i] = do(p) })
	}
	all.Wait()
	return errors.Join(errs...)
}

func readSeen(out string) (s Seen, err error) {
	if err = json.Unmarshal([]byte(out), &s); err != nil {
		err = fmt.Errorf("cannot read the probe's answer %q: %w", out, err)
	}
	return s, err
}

// OnUplink counts the packets to destinations that left the node outside the tunnel since the lab came up. Every probe has a
// destination of its own, so a count is never somebody else's.
func (w World) OnUplink(ctx context.Context, dsts ...string) (map[string]int, error) {
	counted := map[string]struct{ Uplink int }{}
	if err := w.json(ctx, &counted, append([]string{"count"}, dsts...)...); err != nil {
		return nil, err
	}
	counts := map[string]int{}
	for _, dst := range dsts {
		c, told := counted[dst]
		if !told {
			return nil, fmt.Errorf("cannot count the packets to %s: the lab does not tell", dst)
		}
		counts[dst] = c.Uplink
	}
	return counts, nil
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

// Arrival is what somebody outside has written down: a connection or a datagram, or a question for a name.
type Arrival struct {
	Time, Src string
	Dst       string // of a question, the name
}

// Arrivals reads a log of the world outside: inet, or dns. The last line may be half written, and is left out.
func (w World) Arrivals(ctx context.Context, log string) (all []Arrival, err error) {
	text, err := w.Lab(ctx, "logs", log)
	for line := range strings.Lines(text) {
		var a Arrival
		if json.Unmarshal([]byte(line), &a) == nil {
			all = append(all, a)
		}
	}
	return all, err
}

// Count is of packets outside the tunnel.
type Count struct {
	Uplink int `json:"uplink"` // that left the node
	Pod    int `json:"pod"`    // that left the pod
}

// less is what was counted since.
func (c Count) less(before Kind) Count { return Count{c.Uplink - before.Uplink, c.Pod - before.Pod} }

// Kind is what the world knows of one kind that a pod's sender sends (tests/lab/internal/sender).
type Kind struct {
	Count
	Dst     string         `json:"dst"`
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

// Peer says whether somebody outside gets an answer at a port of the address that the world sees, as torrent clients ask.
func (w World) Peer(ctx context.Context, port string) (tcp, udp bool, err error) {
	var said struct{ TCP, UDP bool }
	err = w.json(ctx, &said, "peer", VPNAddress+":"+port)
	return said.TCP, said.UDP, err
}
