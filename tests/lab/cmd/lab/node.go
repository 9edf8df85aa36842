package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/charmarr/charmarr-go/tests/lab/internal/images"
	"github.com/charmarr/charmarr-go/tests/lab/internal/inet"
	"github.com/charmarr/charmarr-go/tests/lab/internal/mesh"
	"github.com/charmarr/charmarr-go/tests/lab/internal/node"
	"github.com/charmarr/charmarr-go/tests/lab/internal/openvpn"
	"github.com/charmarr/charmarr-go/tests/lab/internal/radv"
	"github.com/charmarr/charmarr-go/tests/lab/internal/vpn"
	"github.com/charmarr/charmarr-go/tests/lab/internal/where"
)

func build(ctx context.Context, lab where.Lab, _ []string) error {
	if err := images.Programs(ctx, lab); err != nil {
		return err
	}
	if err := images.Images(ctx, lab); err != nil {
		return err
	}
	return where.Prune() // after the build has noted what this tree uses
}

func up(ctx context.Context, lab where.Lab, _ []string) error {
	if _, err := node.PID(lab); err == nil {
		where.Say("the lab is up already")
		return nil
	}
	if err := node.Up(ctx, lab); err != nil {
		return err
	}
	where.Say("the lab is up")
	return nil
}

func down(_ context.Context, lab where.Lab, _ []string) error { return node.Down(lab) }

func advertise(ctx context.Context, _ where.Lab, _ []string) error { return radv.Serve(ctx) }

func ztunnel(ctx context.Context, _ where.Lab, _ []string) error { return mesh.Serve(ctx) }

func inside(_ context.Context, lab where.Lab, _ []string) error { return node.Inside(lab) }

func inetServer(ctx context.Context, lab where.Lab, _ []string) error { return inet.Serve(ctx, lab) }

func vpnServer(ctx context.Context, lab where.Lab, _ []string) error { return vpn.Serve(ctx, lab) }

func status(ctx context.Context, lab where.Lab, _ []string) error {
	pid, err := node.PID(lab)
	if err != nil {
		return err
	}
	fmt.Printf("the lab in %s is up (first process %d)\n", lab.Dir, pid)
	return attach(node.Kubectl(ctx, lab, "get", "nodes,pods", "-A", "-o", "wide"))
}

// attach runs a command on the caller's own terminal and ends as it does.
func attach(cmd *exec.Cmd) error {
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err := cmd.Run()
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		os.Exit(ended.ExitCode())
	}
	return err
}

func kubectl(ctx context.Context, lab where.Lab, args []string) error {
	if os.Getenv("LAB") == "microk8s" {
		return attach(exec.CommandContext(ctx, "microk8s", append([]string{"kubectl"}, args...)...))
	}
	return attach(node.Kubectl(ctx, lab, args...))
}

func info(_ context.Context, lab where.Lab, _ []string) error {
	if _, err := node.PID(lab); err != nil {
		return err
	}
	public, err := os.ReadFile(vpn.PublicFile(lab))
	if err != nil {
		return fmt.Errorf("cannot read the provider's key: %w", err)
	}
	out := json.NewEncoder(os.Stdout)
	out.SetIndent("", "  ")
	var subscriptions []map[string]string
	for _, s := range vpn.Subscriptions {
		subscriptions = append(subscriptions, map[string]string{"key_file": s.KeyFile(lab), "address": s.Address + "/32," + s.Address6 + "/128"})
	}
	return out.Encode(map[string]any{
		"vpn": map[string]any{"endpoint": where.VPNEndpoint, "port": where.VPNPort, "other_port": where.VPNOtherPort, "public_key": strings.TrimSpace(string(public)),
			"subscriptions": subscriptions, "exit": where.VPNExit, "user": where.OpenVPNUser, "password": where.OpenVPNPassword, "openvpn_file": openvpn.FilePath(lab)},
		"echo": "203.0.113.7", "node": where.UplinkIP,
		"kubeconfig": lab.Path("pki", "admin.kubeconfig"), "images": images.Resources(), "tun": where.TUN,
	})
}

// logFiles are the logs that have a name of their own.
var logFiles = map[string]string{"dns": "dns.jsonl", "inet": "arrivals.jsonl"}

func logs(_ context.Context, lab where.Lab, args []string) error {
	if len(args) != 1 {
		return errors.New("usage: lab logs NAME")
	}
	file, ok := logFiles[args[0]]
	if !ok {
		file = args[0] + ".log"
	}
	data, err := os.ReadFile(lab.Path("log", file))
	if err != nil {
		return fmt.Errorf("cannot read the log of %s: %w", args[0], err)
	}
	_, err = os.Stdout.Write(data)
	return err
}

func tunnel(ctx context.Context, lab where.Lab, args []string) error {
	if len(args) != 1 || (args[0] != "up" && args[0] != "down") {
		return errors.New("usage: lab tunnel up|down")
	}
	rule := "flush chain inet provider down"
	if args[0] == "down" {
		rule += fmt.Sprintf("; add rule inet provider down meta l4proto { tcp, udp } th dport { %d, %d, %d } drop", where.VPNPort, where.OpenVPNUDP, where.OpenVPNTCP)
	}
	return provider(ctx, lab, rule)
}

func exit(ctx context.Context, lab where.Lab, args []string) error {
	if len(args) != 1 || (args[0] != "first" && args[0] != "second") {
		return errors.New("usage: lab exit first|second")
	}
	rule := "flush chain inet provider server"
	if args[0] == "second" {
		rule += "; add rule inet provider server oifname eth0 ip saddr 10.2.0.0/24 snat ip to " + where.VPNOtherExit
	}
	return provider(ctx, lab, rule)
}

// provider changes the rules of the provider's host.
func provider(ctx context.Context, lab where.Lab, rule string) error {
	cmd, err := node.Enter(ctx, lab, "ip", "netns", "exec", "vpn", "nft", rule)
	if err != nil {
		return err
	}
	return attach(cmd)
}

func juju(ctx context.Context, lab where.Lab, args []string) error {
	if os.Getenv("LAB") == "microk8s" {
		return attach(exec.CommandContext(ctx, "juju", args...))
	}
	return attach(node.Juju(ctx, lab, args...))
}
