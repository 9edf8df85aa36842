package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"github.com/charmarr/charmarr-go/tests/lab/internal/node"
	"github.com/charmarr/charmarr-go/tests/lab/internal/sender"
	"github.com/charmarr/charmarr-go/tests/lab/internal/where"
)

// The node's own counters of packets outside the tunnel (files/network.sh), without the digit of their family.
const (
	atUplink = "seen" // left the node, by destination
	atPod    = "pod"  // left a pod, by destination
	fromPod  = "from" // left the node, by the pod's address and destination
)

// counters are packets by name of a counter, and by what they are counted under: a destination, or a source and a destination.
type counters map[string]map[string]int

// read reads all of them, of both families.
func read(ctx context.Context, lab where.Lab) (counters, error) {
	cmd, err := node.Enter(ctx, lab, "nft", "-j", "list", "table", "inet", "uplink")
	if err != nil {
		return nil, err
	}
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("cannot read the counters: %w", err)
	}
	all := counters{}
	if err := all.add(out); err != nil {
		return nil, fmt.Errorf("cannot understand the counters: %w", err)
	}
	for _, name := range []string{atUplink, atPod, fromPod} {
		if all[name] == nil {
			return nil, fmt.Errorf("cannot read the counters: there are none called %s", name) // nothing counted would look the same
		}
	}
	return all, nil
}

// add reads what nft prints of a table.
func (c counters) add(listing []byte) error {
	var l struct {
		Nftables []struct {
			Set struct {
				Name string
				Elem []struct {
					Elem struct {
						Val     json.RawMessage
						Counter struct{ Packets int }
					}
				}
			}
		}
	}
	if err := json.Unmarshal(listing, &l); err != nil {
		return err
	}
	for _, o := range l.Nftables {
		name := strings.TrimRight(o.Set.Name, "46")
		if c[name] == nil {
			c[name] = map[string]int{}
		}
		for _, e := range o.Set.Elem {
			var one string
			var pair struct{ Concat []string }
			if json.Unmarshal(e.Elem.Val, &one) != nil {
				if err := json.Unmarshal(e.Elem.Val, &pair); err != nil {
					return err
				}
				one = strings.Join(pair.Concat, " ")
			}
			c[name][one] = e.Elem.Counter.Packets
		}
	}
	return nil
}

// Count is what was counted of one destination, outside the tunnel.
type Count struct {
	Uplink int `json:"uplink"` // packets that left the node
	Pod    int `json:"pod"`    // packets that left a pod
}

// count tells of destinations.
func count(ctx context.Context, lab where.Lab, args []string) error {
	if len(args) == 0 {
		return errors.New("usage: lab count ADDRESS [ADDRESS...]")
	}
	all, err := read(ctx, lab)
	if err != nil {
		return err
	}
	counts := map[netip.Addr]Count{}
	for _, arg := range args {
		dst, err := netip.ParseAddr(arg)
		if err != nil {
			return err
		}
		counts[dst] = Count{all[atUplink][dst.String()], all[atPod][dst.String()]}
	}
	return json.NewEncoder(os.Stdout).Encode(counts)
}

// Kind is what the world knows of one kind that a pod's sender sends.
type Kind struct {
	Dst netip.Addr `json:"dst"`
	Count
	Arrived map[string]int `json:"arrived"` // at the far end, by the source that it saw; not of icmp, which the kernel answers
}

// sent tells of a pod's sender what was seen of it outside.
func sent(ctx context.Context, lab where.Lab, args []string) error {
	if len(args) != 1 || strings.Count(args[0], "/") != 1 {
		return errors.New("usage: lab sent NS/POD")
	}
	all, err := read(ctx, lab)
	if err != nil {
		return err
	}
	namespace, name, _ := strings.Cut(args[0], "/")
	kinds, byDst := map[string]*Kind{}, map[string]*Kind{}
	for n, kind := range sender.Kinds {
		dst := sender.Target(namespace, name, n)
		kinds[kind] = &Kind{dst, Count{all[atUplink][dst.String()], all[atPod][dst.String()]}, map[string]int{}}
		byDst[dst.String()] = kinds[kind]
	}
	arrivals, err := os.ReadFile(lab.Path("log", "arrivals.jsonl"))
	if err != nil {
		return fmt.Errorf("cannot read what arrived: %w", err)
	}
	for line := range strings.Lines(string(arrivals)) {
		var a struct{ Src, Dst string }
		if err := json.Unmarshal([]byte(line), &a); err != nil {
			continue // the last line, half written
		}
		if k := byDst[a.Dst]; k != nil {
			k.Arrived[a.Src]++
		}
	}
	return json.NewEncoder(os.Stdout).Encode(kinds)
}

// strangers tells whose packets left the node outside the tunnel, but for those of the node, of the pod that nothing protects, and of the
// cluster's resolver.
func strangers(ctx context.Context, lab where.Lab, _ []string) error {
	all, err := read(ctx, lab)
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, of := range [][]string{{"-n", "default", "get", "pod", "plain"}, {"-n", "kube-system", "get", "pods", "-l", "k8s-app=kube-dns"}} {
		out, err := node.Kubectl(ctx, lab, append(of, "-o", "jsonpath={..podIPs[*].ip}")...).Output()
		if err != nil {
			return fmt.Errorf("cannot find the pods that may: %w", err)
		}
		for _, ip := range strings.Fields(string(out)) {
			known[ip] = true
		}
	}
	out := map[string]int{}
	for pair, n := range all[fromPod] {
		if src, _, _ := strings.Cut(pair, " "); !known[src] {
			out[pair] = n
		}
	}
	return json.NewEncoder(os.Stdout).Encode(out)
}
