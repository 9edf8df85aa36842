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

// Control sends the same from a pod that nothing protects: it shows that the probe would have been seen.
func (w World) Control(ctx context.Context, kind, dst string) (Seen, error) {
	out, err := w.Lab(ctx, "probe", "--plain", kind, dst)
	if err != nil {
		return Seen{}, err
	}
	return readSeen(out)
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
	out, err := w.Lab(ctx, "count", "--dst", dst)
	if err != nil {
		return 0, err
	}
	var c struct {
		Uplink int `json:"uplink"`
	}
	if err := json.Unmarshal([]byte(out), &c); err != nil {
		return 0, fmt.Errorf("cannot read the count of %s: %w", dst, err)
	}
	return c.Uplink, nil
}

// Outside hands out destinations on the pretend internet, each once.
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
