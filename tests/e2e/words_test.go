//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/charmarr/charmarr-go/tests/e2e/world"
)

type word = func(ts *testscript.TestScript, neg bool, args []string)

// words are what a story is told in, beside testscript's own.
func (w *teller) words() map[string]word {
	ctx := context.Background()
	deploy := world.Deploy{World: w.World}
	return map[string]word{
		// model NAME [ARG...]: adds it, and takes it into the mesh where the lab has one
		"model": func(ts *testscript.TestScript, _ bool, a []string) {
			_, err := w.Juju(ctx, append([]string{"add-model"}, a...)...)
			ts.Check(err)
			if w.mesh {
				ts.Check(w.Enroll(ctx, a[0]))
			}
		},
		// deploy MODEL CHARM [APP] [OPTION=VALUE...]: one of our charms, with the lab's images and, for gluetun, without its key
		"deploy": func(ts *testscript.TestScript, _ bool, a []string) {
			var options []string
			for option := a[len(a)-1]; strings.Contains(option, "="); option = a[len(a)-1] {
				a, options = a[:len(a)-1], append(options, "--config", option)
			}
			ts.Check(deploy.As(ctx, a[0], a[1], a[len(a)-1], options...))
		},
		// subscribe MODEL: adds a key of the lab's VPN as a Juju secret, grants it to gluetun and configures it
		"subscribe": func(ts *testscript.TestScript, _ bool, a []string) {
			ts.Check(deploy.Subscribe(ctx, a[0], "gluetun", 0))
		},
		// file MODEL APP: the same with the other subscription, as a whole file, for another gateway
		"file": func(ts *testscript.TestScript, _ bool, a []string) { ts.Check(deploy.File(ctx, a[0], a[1])) },
		// refile MODEL: puts another file into its secret, with the server at another port
		"refile": func(ts *testscript.TestScript, _ bool, a []string) { ts.Check(deploy.Refile(ctx, a[0])) },
		// account MODEL PROVIDER PASSWORD: has gluetun come by OpenVPN, with the lab's account at a provider
		"account": func(ts *testscript.TestScript, _ bool, a []string) { ts.Check(deploy.OpenVPN(ctx, a[0], a[1], a[2])) },
		// rekey MODEL [WORD=VALUE...]: puts the subscription's key into its secret again
		"rekey": func(ts *testscript.TestScript, _ bool, a []string) { ts.Check(deploy.Rekey(ctx, a[0], a[1:]...)) },
		// pack FOLDER: zips a folder of the story as FOLDER.charm
		"pack": func(ts *testscript.TestScript, _ bool, a []string) {
			ts.Check(pack(ts.MkAbs(a[0]), ts.MkAbs(a[0]+".charm")))
		},
		// buildcharm PACKAGE: builds a charm that is a Go program of this repository, as its last part's name with .charm
		"buildcharm": func(ts *testscript.TestScript, _ bool, a []string) {
			ts.Check(buildCharm(w.Root, a[0], ts.Getenv("WORK")))
		},
		// status MODEL UNIT WORKLOAD-STATUS [TEXT]: waits for it
		"status": func(ts *testscript.TestScript, _ bool, a []string) {
			ts.Check(w.WaitStatus(ctx, 3*time.Minute, a[0], a[1], a[2], strings.Join(a[3:], " ")))
		},
		// after MODEL UNIT HOOK juju|kubectl ARG...: runs a command and waits until the unit has run the hook it leads to
		"after": func(ts *testscript.TestScript, _ bool, a []string) {
			ts.Check(w.After(ctx, 3*time.Minute, a[0], a[1], a[2], func() error {
				_, err := w.Lab(ctx, a[3:]...)
				return err
			}))
		},
		// external MODEL/POD CONTAINER [ADDRESS]: waits until outside traffic leaves with the VPN's address, or its other server's, and saw no other
		"external": func(ts *testscript.TestScript, _ bool, a []string) {
			w.external(ts, a[0], a[1], w.outside.Next, append(a, world.VPNAddress)[2])
		},
		// external6 is the same over IPv6
		"external6": func(ts *testscript.TestScript, _ bool, a []string) {
			w.external(ts, a[0], a[1], w.outside.Next6, world.VPNAddress6)
		},
		// blocked MODEL/POD CONTAINER: nothing of tcp, udp and icmp gets out, and an unprotected pod's same probe does
		"blocked": func(ts *testscript.TestScript, _ bool, a []string) {
			for _, pair := range w.confined(ts, a[0], a[1]) {
				if pair.Seen.Answered() {
					ts.Fatalf("got out of %s: %s", a[0], pair)
				}
			}
		},
		// confined MODEL/POD CONTAINER: what gets out leaves through the tunnel, and an unprotected pod's same probe does not
		"confined": func(ts *testscript.TestScript, _ bool, a []string) { w.confined(ts, a[0], a[1]) },
		// silent MODEL/POD: what anything at all in the pod's network sends of its own leaves through the tunnel or not at all
		"silent": func(ts *testscript.TestScript, _ bool, a []string) { w.silent(ts, a[0]) },
		// sending MODEL/POD CONTAINER: the workload's Pebble runs a sender, and all that it sends arrives from the VPN
		"sending": func(ts *testscript.TestScript, _ bool, a []string) { w.sending(ts, a[0], a[1]) },
		// untouched ADDRESS...: nothing to these has left the node outside the tunnel, and what an unprotected pod sends there does
		"untouched": func(ts *testscript.TestScript, _ bool, a []string) { w.untouched(ts, a) },
		// unleaked MODEL/POD: of all that its sender has sent in all its lives, nothing left the pod outside the tunnel; and
		// no packet of any pod but the unprotected one has left the node
		"unleaked": func(ts *testscript.TestScript, _ bool, a []string) { w.unleaked(ts, a[0]) },
		// internal MODEL/POD CONTAINER URL: the pod reaches something in the cluster by its name
		"internal": func(ts *testscript.TestScript, _ bool, a []string) {
			ts.Check(world.Until(ctx, 30*time.Second, func() string {
				seen, err := w.Probe(ctx, a[0], a[1], "http", a[2])
				if err != nil {
					return err.Error()
				}
				if seen.Err != "" {
					return a[0] + " cannot reach " + a[2] + ": " + seen.Err
				}
				return ""
			}))
		},
		// killed MODEL/POD CONTAINER N MODEL/POD CONTAINER: the first one's first process is killed so often, each time when it has come back
		// and the other one's packets leave by the VPN again
		"killed": func(ts *testscript.TestScript, _ bool, a []string) {
			n, err := strconv.Atoi(a[2])
			ts.Check(err)
			for range n {
				ts.Check(w.Kill(ctx, a[0], a[1]))
				w.external(ts, a[3], a[4], w.outside.Next, world.VPNAddress)
			}
		},
		// crashed MODEL/POD N: its process gluetun is killed so often, each time when it has come back by itself as another one
		"crashed": func(ts *testscript.TestScript, _ bool, a []string) {
			n, err := strconv.Atoi(a[1])
			ts.Check(err)
			ts.Check(w.Crash(ctx, a[0], n))
		},
		// remove MODEL POD...: deletes them, and waits until they are gone
		"remove": func(ts *testscript.TestScript, _ bool, a []string) { ts.Check(w.Remove(ctx, a[0], a[1:]...)) },
		// scrape MODEL/POD MODEL/POD LINE: waits until one pod reads a line among the metrics of another
		"scrape": func(ts *testscript.TestScript, _ bool, a []string) {
			line := strings.Join(a[2:], " ")
			ts.Check(world.Until(ctx, 2*time.Minute, func() string {
				told, err := w.Scrape(ctx, a[0], a[1])
				if err != nil {
					return err.Error()
				}
				if !slices.Contains(strings.Split(told, "\n"), line) {
					return fmt.Sprintf("%s does not tell %q:\n%s", a[1], line, told)
				}
				return ""
			}))
		},
		// tunnel up|down: the provider's end
		"tunnel": func(ts *testscript.TestScript, _ bool, a []string) {
			_, err := w.Lab(ctx, "tunnel", a[0])
			ts.Check(err)
		},
		// peers PORT: waits until somebody outside gets an answer at this port of the address that the world sees, by TCP and by UDP;
		// ! peers PORT: nobody does any more, by neither
		"peers": func(ts *testscript.TestScript, neg bool, a []string) {
			ts.Check(world.Until(ctx, 90*time.Second, func() string {
				tcp, udp, err := w.Peer(ctx, a[0])
				switch {
				case err != nil:
					return err.Error()
				case neg && (tcp || udp) || !neg && !(tcp && udp):
					return fmt.Sprintf("a peer at port %s is answered by TCP: %t, by UDP: %t", a[0], tcp, udp)
				}
				return ""
			}))
		},
		// policyalone MODEL/POD: the pod's guard is taken away, and its packets are led out of its own interface, while nobody repairs anything:
		// each kind of them leaves the pod, and none the node. It asks for no names meanwhile: those the policy lets go to the cluster's resolver
		"policyalone": func(ts *testscript.TestScript, _ bool, a []string) {
			left, err := w.PolicyAlone(ctx, a[0], 5*time.Second)
			ts.Check(err)
			w.excused = map[string]map[string]int{a[0]: left}
		},
		"takesover": w.takesOver,
		"reached":   w.reached,
		"told":      w.told,
		"shown":     w.shown,
		// rolls MODEL APP N: the template has changed N times since Juju made it
		"rolls": func(ts *testscript.TestScript, _ bool, a []string) {
			n, err := deploy.Rolls(ctx, a[0], a[1])
			ts.Check(err)
			if fmt.Sprint(n) != a[2] {
				ts.Fatalf("%s rolled %d times, not %s", a[1], n, a[2])
			}
		},
		// gone MODEL APP: nothing of the application is left in its namespace, under whatever label
		"gone": func(ts *testscript.TestScript, _ bool, a []string) {
			ts.Check(world.Until(ctx, 2*time.Minute, func() string {
				out, err := w.Kubectl(ctx, "-n", a[0], "get", "statefulset,pod,configmap,networkpolicy,service,endpointslice,secret,serviceaccount,role,rolebinding", "-o", "name")
				if err != nil {
					return err.Error()
				}
				var left []string
				for _, object := range strings.Fields(out) {
					if _, name, _ := strings.Cut(object, "/"); name == a[1] || strings.HasPrefix(name, a[1]+"-") {
						left = append(left, object)
					}
				}
				return strings.Join(left, " ")
			}))
		},
	}
}
