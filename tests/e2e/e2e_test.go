//go:build e2e

// Package e2e tells whole stories on the lab: the unmodified juju, real pods, real packets. Each script under testdata is
// one story in models of its own; they share one lab and run one after the other, because there is one VPN subscription.
package e2e

import (
	"archive/zip"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/charmarr/charmarr-go/tests/e2e/world"
)

const (
	vpnAddress   = "192.0.2.2"    // what the far end sees of traffic through the tunnel
	nodeAddress  = "198.51.100.1" // what it sees of a leak
	nodeAddress6 = "2001:db8:51::1"
)

var outside world.Outside

func TestStories(t *testing.T) {
	root, err := world.Root()
	if err != nil {
		t.Fatal(err)
	}
	w := world.World{Root: root}
	if _, err := w.Lab(t.Context(), "up"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if out, err := w.Lab(context.Background(), "down"); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
	stories, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(stories) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, story := range stories {
		name := strings.TrimSuffix(filepath.Base(story), ".txtar")
		t.Run(name, func(t *testing.T) {
			testscript.Run(t, testscript.Params{
				Files:    []string{story},
				Setup:    func(e *testscript.Env) error { return setup(e, w, name) },
				Cmds:     commands(w),
				Deadline: time.Now().Add(8 * time.Minute),
			})
		})
	}
}

// setup gives a story its models' names and the two programs of a user.
func setup(e *testscript.Env, w world.World, name string) error {
	root := w.Root
	e.Setenv("D", name)         // the model of gateway and downloads
	e.Setenv("C", name+"-core") // the other model
	e.Setenv("ROOT", root)
	e.Setenv("LAB_DIR", os.Getenv("LAB_DIR"))
	e.Setenv("HOME", os.Getenv("HOME"))
	bin := filepath.Join(e.WorkDir, "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return err
	}
	for _, program := range []string{"juju", "kubectl"} {
		script := fmt.Sprintf("#!/bin/sh\ncd %s && exec build/bin/lab %s \"$@\"\n", root, program) // files of a story are named by $WORK
		if err := os.WriteFile(filepath.Join(bin, program), []byte(script), 0o755); err != nil {
			return err
		}
	}
	e.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	e.Defer(func() { removeModels(w, name+"-core", name) })
	return nil
}

// removeModels makes room for the next story: two gateways with one subscription would take the tunnel from each other.
func removeModels(w world.World, models ...string) {
	ctx := context.Background()
	for _, m := range models {
		if _, err := w.Juju(ctx, "show-model", m); err != nil {
			continue // the story did not need it
		}
		_, err := w.Juju(ctx, "destroy-model", "--no-prompt", "--force", "--no-wait", m)
		if err == nil {
			_, err = w.Kubectl(ctx, "wait", "--for=delete", "namespace/"+m, "--timeout=120s")
		}
		if err != nil {
			panic(fmt.Sprintf("cannot remove the model of a story: %v", err))
		}
	}
}

func commands(w world.World) map[string]func(*testscript.TestScript, bool, []string) {
	ctx := context.Background()
	deploy := world.Deploy{World: w}
	return map[string]func(*testscript.TestScript, bool, []string){
		// deploy MODEL APP: one of our charms, with the lab's images and, for gluetun, without its key
		"deploy": func(ts *testscript.TestScript, _ bool, a []string) { ts.Check(deploy.App(ctx, a[0], a[1])) },
		// subscribe MODEL: adds the lab's VPN key as a Juju secret, grants it to gluetun and configures it
		"subscribe": func(ts *testscript.TestScript, _ bool, a []string) { ts.Check(deploy.Subscribe(ctx, a[0])) },
		// rekey MODEL: puts the subscription's key into its secret again
		"rekey": func(ts *testscript.TestScript, _ bool, a []string) { ts.Check(deploy.Rekey(ctx, a[0])) },
		// pack FOLDER: zips a folder of the story as FOLDER.charm
		"pack": func(ts *testscript.TestScript, _ bool, a []string) {
			ts.Check(pack(ts.MkAbs(a[0]), ts.MkAbs(a[0]+".charm")))
		},
		// status MODEL UNIT WORKLOAD-STATUS [TEXT]: waits for it
		"status": func(ts *testscript.TestScript, _ bool, a []string) {
			ts.Check(w.WaitStatus(ctx, 3*time.Minute, a[0], a[1], a[2], strings.Join(a[3:], " ")))
		},
		// external MODEL/POD CONTAINER: waits until outside traffic leaves with the VPN's address, and saw no other
		"external": func(ts *testscript.TestScript, _ bool, a []string) {
			var last string
			ts.Check(world.Until(ctx, 90*time.Second, func() string {
				dst := outside.Next()
				seen, err := w.Probe(ctx, a[0], a[1], "http", dst)
				ts.Check(err)
				packets, err := w.OnUplink(ctx, dst)
				ts.Check(err)
				if packets > 0 {
					ts.Fatalf("LEAK: %d packets to %s left outside the tunnel; the far end saw %s", packets, dst, seen)
				}
				if last = seen.String(); last == vpnAddress {
					return ""
				}
				return "the far end sees " + last + " of " + a[0]
			}))
		},
		// blocked MODEL/POD CONTAINER: nothing of tcp, udp and icmp gets out, and an unprotected pod's same probe does
		"blocked": func(ts *testscript.TestScript, _ bool, a []string) {
			for kind, seen := range confined(ts, w, a[0], a[1]) {
				if seen.Answered() {
					ts.Fatalf("%s from %s got out: %s", kind, a[0], seen)
				}
			}
		},
		// silent MODEL/POD: what anything at all in the pod's network sends of its own leaves through the tunnel or not at all
		"silent": func(ts *testscript.TestScript, _ bool, a []string) { silent(ts, w, a[0]) },
		// confined MODEL/POD CONTAINER: what gets out leaves through the tunnel, and an unprotected pod's same probe does not
		"confined": func(ts *testscript.TestScript, _ bool, a []string) { confined(ts, w, a[0], a[1]) },
		// internal MODEL/POD CONTAINER URL: the pod reaches something in the cluster by its name
		"internal": func(ts *testscript.TestScript, _ bool, a []string) {
			ts.Check(world.Until(ctx, 30*time.Second, func() string {
				seen, err := w.Probe(ctx, a[0], a[1], "http", a[2])
				ts.Check(err)
				if seen.Err != "" {
					return a[0] + " cannot reach " + a[2] + ": " + seen.Err
				}
				return ""
			}))
		},
		// tunnel up|down: the provider's end
		"tunnel": func(ts *testscript.TestScript, _ bool, a []string) {
			_, err := w.Lab(ctx, "tunnel", a[0])
			ts.Check(err)
		},
		// rolls MODEL APP N: the template has changed N times since Juju made it
		"rolls": func(ts *testscript.TestScript, _ bool, a []string) {
			n, err := deploy.Rolls(ctx, a[0], a[1])
			ts.Check(err)
			if fmt.Sprint(n) != a[2] {
				ts.Fatalf("%s rolled %d times, not %s", a[1], n, a[2])
			}
		},
		// gone MODEL APP: nothing of the application is left in its namespace
		"gone": func(ts *testscript.TestScript, _ bool, a []string) {
			ts.Check(world.Until(ctx, 2*time.Minute, func() string {
				out, err := w.Kubectl(ctx, "-n", a[0], "get", "statefulset,pod,configmap,networkpolicy,service,secret,serviceaccount",
					"-l", "app.kubernetes.io/name="+a[1], "-o", "name")
				ts.Check(err)
				return strings.Join(strings.Fields(out), " ")
			}))
		},
	}
}

// confined sends a probe of each kind and tells what came of it. None may leave outside the tunnel, and each time an
// unprotected pod shows that the same would have been seen.
func confined(ts *testscript.TestScript, w world.World, pod, container string) map[string]world.Seen {
	ctx := context.Background()
	all := map[string]world.Seen{}
	for _, probe := range []struct {
		kind string
		next func() string
	}{{"http", outside.Next}, {"udp", outside.Next}, {"icmp", outside.Next}, {"http", outside.Next6}, {"udp", outside.Next6}} {
		kind, dst := probe.kind, probe.next()
		seen, err := w.Probe(ctx, pod, container, kind, dst)
		ts.Check(err)
		packets, err := w.OnUplink(ctx, dst)
		ts.Check(err)
		if packets > 0 || seen.Source == nodeAddress || seen.Source == nodeAddress6 {
			ts.Fatalf("LEAK: %s from %s to %s: %s, %d packets left outside the tunnel", kind, pod, dst, seen, packets)
		}
		control, err := w.Control(ctx, kind, dst)
		ts.Check(err)
		if packets, err = w.OnUplink(ctx, dst); err != nil || packets == 0 || !control.Answered() {
			ts.Fatalf("the control is blind: %s to %s from an unprotected pod: %s, %d packets counted, %v", kind, dst, control, packets, err)
		}
		all[kind+" to "+dst] = seen
	}
	return all
}

// silent sends from inside a pod's network as root, with this machine's own programs: for a pod whose workload has no probe.
func silent(ts *testscript.TestScript, w world.World, pod string) {
	ctx := context.Background()
	for _, command := range []string{"ping -c 5 -i 0.2 -W 1 %s", "timeout 1 bash -c <>/dev/tcp/%s/443", "timeout 1 bash -c <>/dev/tcp/%s/80", "timeout 2 busybox nslookup canary.test %s"} {
		for _, next := range []func() string{outside.Next, outside.Next6} {
			dst := next()
			line := strings.Fields(fmt.Sprintf(command, dst))
			_, _ = w.Lab(ctx, append([]string{"exec", "--pod", pod, "--"}, line...)...) // that it fails is what is hoped for
			packets, err := w.OnUplink(ctx, dst)
			ts.Check(err)
			if packets > 0 {
				ts.Fatalf("LEAK: %s in %s: %d packets left outside the tunnel", strings.Join(line, " "), pod, packets)
			}
			_, _ = w.Lab(ctx, append([]string{"exec", "--pod", "default/plain", "--"}, line...)...)
			if packets, err = w.OnUplink(ctx, dst); err != nil || packets == 0 {
				ts.Fatalf("the control is blind: %s in an unprotected pod: %d packets counted, %v", strings.Join(line, " "), packets, err)
			}
		}
	}
}

// pack zips a charm whose dispatch is a script.
func pack(folder, file string) error {
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	defer out.Close()
	z := zip.NewWriter(out)
	files, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil {
		return err
	}
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		header := &zip.FileHeader{Name: filepath.Base(path), Method: zip.Deflate}
		header.SetMode(0o755)
		w, err := z.CreateHeader(header)
		if err != nil {
			return err
		}
		if _, err := w.Write(text); err != nil {
			return err
		}
	}
	return z.Close()
}
