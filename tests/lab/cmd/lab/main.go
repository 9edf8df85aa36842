// Command lab makes and drives a lab: a real one-node Kubernetes, a pretend internet, a VPN provider and a Juju controller,
// all inside namespaces of its own. No packet leaves the machine, and `lab down` leaves nothing but its logs.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"sort"
	"syscall"

	"github.com/charmarr/charmarr-go/tests/lab/internal/mesh"
	"github.com/charmarr/charmarr-go/tests/lab/internal/where"
)

type command struct {
	words string // of its arguments
	help  string
	run   func(ctx context.Context, lab where.Lab, args []string) error
}

var commands map[string]command

// users are the commands that are there with LAB=microk8s as well: on the user's own programs.
var users = []string{"juju", "kubectl"}

func init() {
	commands = map[string]command{
		"build":     {"", "build every program and image, into a cache outside the tree", build},
		"up":        {"", "bring the lab up and wait until it is ready; does nothing when it is", up},
		"down":      {"", "end every process of the lab and remove what it made", down},
		"status":    {"", "tell whether the lab is up, and its parts", status},
		"info":      {"", "print addresses, files and images as JSON", info},
		"kubectl":   {"ARG ...", "run kubectl as the cluster's administrator", kubectl},
		"juju":      {"ARG ...", "run the unmodified juju against the lab's controller", juju},
		"exec":      {"[--net | --pod NS/POD] -- CMD ...", "run a command in the node's namespaces, in its network alone, or in a pod's network", execute},
		"probe":     {"[--pod NS/POD [--container C] | --plain] KIND DST", "send one probe and print what came of it as JSON; KIND is http, tcp, udp, icmp or dns", probe},
		"count":     {"ADDRESS...", "print how many packets to each address left the node, and left a pod, outside the tunnel, as JSON", count},
		"sent":      {"NS/POD", "print what was seen outside of a pod's sender, as JSON", sent},
		"strangers": {"", "print which pods' packets left the node outside the tunnel, but for the unprotected pod's and the resolver's, as JSON", strangers},
		"tunnel":    {"up|down", "make the VPN provider answer, or not", tunnel},
		"exit":      {"first|second", "have what comes out of the VPN seen as 192.0.2.2, or by IPv4 as 192.0.2.3, as by another of the provider's servers", exit},
		"grant":     {"PORT|none", "have the VPN provider grant this port to whoever asks by NAT-PMP; none: it does not answer", grant},
		"peer":      {"ADDRESS:PORT", "connect from the pretend internet as torrent clients do, by TCP and by UDP, and print what answered as JSON", peer},
		"logs":      {"NAME", "print a log: dns (queries outside), inet (arrivals outside), or a program's", logs},
		"advertise": {"", "(the pod network's router)", advertise},
		"ztunnel":   {"", "(the mesh's process of one pod)", ztunnel},
		"inside":    {"", "(the lab's own first process)", inside},
		"inet":      {"", "(the pretend internet)", inetServer},
		"peering":   {"ADDRESS:PORT", "(a peer in the pretend internet)", peering},
		"holding":   {"ADDRESS:PORT FROM INFOHASH DURATION", "(a peer in the pretend internet that has connected)", holding},
		"vpn":       {"", "(the VPN provider)", vpnServer},
	}
}

func main() {
	if filepath.Base(os.Args[0]) == "mesh" { // as the container runtime calls it
		if err := mesh.Plugin(context.Background()); err != nil {
			// A CNI plugin's error is JSON on standard output.
			fmt.Printf("{\"cniVersion\":\"0.4.0\",\"code\":999,\"msg\":%q}\n", err.Error())
			os.Exit(1)
		}
		return
	}
	if len(os.Args) < 2 || os.Args[1] == "--help" || os.Args[1] == "-h" || os.Args[1] == "help" {
		usage()
		return
	}
	c, ok := commands[os.Args[1]]
	if !ok {
		fmt.Fprintf(os.Stderr, "lab: there is no command %q; lab --help lists them\n", os.Args[1])
		os.Exit(2)
	}
	args := os.Args[2:]
	if len(args) > 0 && (args[0] == "--help" || args[0] == "-h") && os.Args[1] != "juju" && os.Args[1] != "kubectl" {
		fmt.Printf("usage: lab %s %s\n  %s\n", os.Args[1], c.words, c.help)
		return
	}
	lab, err := where.Here()
	if err == nil && os.Getenv("LAB") == "microk8s" && !slices.Contains(users, os.Args[1]) {
		err = fmt.Errorf("LAB=microk8s has the commands %v only, on your own MicroK8s and Juju; %s is the lab's", users, os.Args[1])
	}
	if err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		err = c.run(ctx, lab, args)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "lab:", err)
		os.Exit(1)
	}
}

func usage() {
	fmt.Println("usage: lab COMMAND [ARG ...]\n\nA lab's state is in LAB_DIR (default build/lab). Another folder is another lab, beside the first.")
	fmt.Println("With LAB=microk8s, juju and kubectl are your own (not run by this project's CI).")
	var names []string
	for n := range commands {
		names = append(names, n)
	}
	sort.Strings(names)
	for _, n := range names {
		if c := commands[n]; c.help[0] != '(' {
			fmt.Printf("  %-8s %-52s %s\n", n, c.words, c.help)
		}
	}
}
