package main

import (
	"context"
	"errors"
	"flag"
	"strings"

	"github.com/charmarr/charmarr-go/tests/lab/internal/node"
	"github.com/charmarr/charmarr-go/tests/lab/internal/where"
)

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
