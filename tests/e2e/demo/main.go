// Command demo is the main job in one command: the lab comes up, two bundles are deployed into two models with the real
// juju, packets take the four flows, and a table says for each what was seen where. It writes build/demo.json and ends
// with status 1 if any flow is not as it must be.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/charmarr/charmarr-go/tests/e2e/world"
)

// Report is build/demo.json.
type Report struct {
	Steps  []Step            `json:"steps"`
	Status map[string]string `json:"status"`
	Flows  []Flow            `json:"flows"`
	OK     bool              `json:"ok"`
}

// Step is one long step and what it took.
type Step struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"`
}

func main() {
	keep := flag.Bool("keep", false, "leave the lab up afterwards (`make lab-down` ends it)")
	since := flag.Int64("since", 0, "when the building for it began, in seconds of the epoch, to be told as its first step")
	verbose := flag.Bool("v", false, "show every command and its output")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ok, err := demo(ctx, *since, *keep, *verbose)
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
	}
	if err != nil || !ok {
		os.Exit(1)
	}
}

func demo(ctx context.Context, since int64, keep, verbose bool) (bool, error) {
	w, err := world.New("demo")
	if err != nil {
		return false, err
	}
	if verbose {
		w.Log = os.Stderr
	}
	r := &Report{Status: map[string]string{}}
	if since > 0 {
		built := time.Since(time.Unix(since, 0)).Round(time.Second).Seconds()
		fmt.Printf("build: packages, charms, programs and images ... %.0f s\n", built)
		r.Steps = append(r.Steps, Step{"build: packages, charms, programs and images", built})
	}
	err = r.run(ctx, w)
	if keep {
		fmt.Printf("the lab stays up; LAB_DIR=%[1]s build/bin/lab drives it, LAB_DIR=%[1]s make lab-down ends it\n", w.Dir)
	} else {
		err = errors.Join(err, w.Down(ctx)) // an interrupted demo still takes its lab down
	}
	r.OK = err == nil && len(r.Flows) > 0
	for _, f := range r.Flows {
		r.OK = r.OK && f.OK
	}
	return r.OK, errors.Join(err, r.write(filepath.Join(w.Root, "build", "demo.json")))
}

func (r *Report) run(ctx context.Context, w world.World) error {
	d := world.Deploy{World: w}
	const downloads, core = "charmarr-downloads", "charmarr-core"
	steps := []struct {
		name string
		do   func() error
	}{
		{"lab up: a Kubernetes node, a pretend internet, a VPN provider, a Juju controller", func() error { return w.Up(ctx) }},
		{"juju deploy bundles/downloads", func() error { return d.Bundle(ctx, downloads, "downloads") }},
		{"juju add-secret, grant-secret, config: the VPN subscription", func() error { return d.Subscribe(ctx, downloads, "gluetun", 0) }},
		{"juju deploy bundles/core, integrated across models", func() error { return d.Bundle(ctx, core, "core") }},
		{"gluetun is connected", func() error { return w.WaitStatus(ctx, 5*time.Minute, downloads, "gluetun/0", "active", "") }},
		{"qbittorrent is routed", func() error { return w.WaitStatus(ctx, 5*time.Minute, downloads, "qbittorrent/0", "active", "") }},
		{"multimeter is routed, across models", func() error { return w.WaitStatus(ctx, 5*time.Minute, core, "multimeter/0", "active", "") }},
	}
	for _, s := range steps {
		if err := r.step(s.name, s.do); err != nil {
			return err
		}
	}
	for key, model := range map[string]string{"core": core, "downloads": downloads} {
		out, err := w.Juju(ctx, "status", "--relations", "-m", model)
		if err != nil {
			return err
		}
		r.Status[key] = out
	}
	fmt.Printf("\n$ juju status --relations -m %s\n%s\n$ juju status --relations -m %s\n%s\n", downloads, r.Status["downloads"], core, r.Status["core"])
	err := r.step("four flows, with packets", func() (err error) {
		r.Flows, err = flows(ctx, w)
		return err
	})
	show(r.Flows)
	return err
}

// step runs one step and says how long it took.
func (r *Report) step(name string, f func() error) error {
	fmt.Printf("%s ...", name)
	t := time.Now()
	err := f()
	s := time.Since(t).Seconds()
	r.Steps = append(r.Steps, Step{name, float64(int(s*10)) / 10})
	if err != nil {
		fmt.Printf(" failed after %.1f s\n", s)
		return err
	}
	fmt.Printf(" %.1f s\n", s)
	return nil
}

func (r *Report) write(path string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}

func show(flows []Flow) {
	t := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\nFLOW\tFROM\tTO\tEXPECTED\tSEEN\tPACKETS OUTSIDE THE TUNNEL\tCONTROL\tOK")
	for _, f := range flows {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%d\t%s\t%v\n", f.Name, f.From, f.To, f.Expect, f.Seen, f.PacketsOnUplink, f.Control, f.OK)
	}
	_ = t.Flush()
}
