package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"github.com/charmarr/charmarr-go/tests/lab/internal/node"
	"github.com/charmarr/charmarr-go/tests/lab/internal/where"
)

// count reads the node's own counter at the uplink: packets that are not the tunnel's, by destination.
func count(ctx context.Context, lab where.Lab, args []string) error {
	if len(args) != 2 || args[0] != "--dst" {
		return errors.New("usage: lab count --dst ADDRESS")
	}
	dst, err := netip.ParseAddr(args[1])
	if err != nil {
		return err
	}
	set := "seen4"
	if dst.Is6() {
		set = "seen6"
	}
	cmd, err := node.Enter(ctx, lab, "nft", "-j", "list", "set", "inet", "uplink", set)
	if err != nil {
		return err
	}
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("cannot read the counters: %w", err)
	}
	n, err := counted(out, dst)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{"dst": dst, "uplink": n})
}

// counted finds one element's counter in what nft prints.
func counted(listing []byte, dst netip.Addr) (int, error) {
	var l struct {
		Nftables []struct {
			Set struct {
				Elem []struct {
					Elem struct {
						Val     string
						Counter struct{ Packets int }
					}
				}
			}
		}
	}
	if err := json.Unmarshal(listing, &l); err != nil {
		return 0, fmt.Errorf("cannot read the counters: %w", err)
	}
	for _, o := range l.Nftables {
		for _, e := range o.Set.Elem {
			if a, err := netip.ParseAddr(e.Elem.Val); err == nil && a == dst {
				return e.Elem.Counter.Packets, nil
			}
		}
	}
	return 0, nil
}

func execute(ctx context.Context, lab where.Lab, args []string) error {
	if len(args) > 1 && args[0] == "--pod" {
		pod, argv := args[1], args[2:]
		if len(argv) > 1 && argv[0] == "--" {
			cmd, err := node.InPod(ctx, lab, pod, argv[1:]...)
			if err != nil {
				return err
			}
			return attach(cmd)
		}
	}
	enter := node.Enter
	if len(args) > 0 && args[0] == "--net" {
		enter, args = node.EnterNetwork, args[1:]
	}
	if len(args) < 2 || args[0] != "--" {
		return errors.New("usage: lab exec [--net | --pod NS/POD] -- CMD")
	}
	cmd, err := enter(ctx, lab, args[1:]...)
	if err != nil {
		return err
	}
	return attach(cmd)
}

// probe sends from inside a container that has the probe program in its image, through kubectl exec: the packets are the
// container's own. --plain is the control: a pod that nothing protects.
func probe(ctx context.Context, lab where.Lab, args []string) error {
	flags := flag.NewFlagSet("probe", flag.ContinueOnError)
	pod := flags.String("pod", "", "NAMESPACE/POD to send from")
	container := flags.String("container", "", "its container; empty for the first")
	plain := flags.Bool("plain", false, "send from the unprotected pod")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *plain {
		*pod, *container = "default/plain", ""
	}
	namespace, name, ok := strings.Cut(*pod, "/")
	if !ok || flags.NArg() != 2 {
		return errors.New("usage: lab probe --pod NS/POD [--container C] | --plain KIND DST")
	}
	words := []string{"-n", namespace, "exec", name}
	if *container != "" {
		words = append(words, "-c", *container)
	}
	return attach(node.Kubectl(ctx, lab, append(words, "--", "/usr/bin/probe", flags.Arg(0), flags.Arg(1))...))
}
