//go:build bench

// Package bench measures one dispatch of each charm in its real pod: the real API server, Pebble, hook tools and agent, on
// a lab of its own. It writes build/bench.json and lists what is over a budget. What is over fails it, but for times: those
// depend on the machine and on what else it does.
package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/tests/e2e/world"
)

const (
	downloads, core = "charmarr-downloads", "charmarr-core"
	ready           = 5 * time.Minute
)

// Unit is one unit that is measured.
type Unit struct {
	Model, App string
	Related    int // applications related to it: each has its share of the budget of hook tools
}

var units = []Unit{{downloads, "gluetun", 2}, {downloads, "qbittorrent", 1}, {core, "multimeter", 1}}

// Report is build/bench.json.
type Report struct {
	Notes    []string `json:"notes"`
	Budgets  Budgets  `json:"budgets"`
	Machine  Machine  `json:"machine"`
	Dispatch []Row    `json:"dispatch"`
	Packed   []Packed `json:"packed"`
}

func TestBudgets(t *testing.T) {
	w, err := world.New("bench") // beside any lab that is up
	require.NoError(t, err)
	b := bench{World: w}
	report := Report{Notes: notes, Budgets: budgets}
	report.Packed, err = packed(w.Root)
	require.NoError(t, err)

	t.Cleanup(func() { require.NoError(t, b.Down(context.Background())) })
	require.NoError(t, b.Up(t.Context()))
	require.NoError(t, b.deploy(t.Context()))
	require.NoError(t, b.install(t.Context(), t.TempDir()))
	require.NoError(t, b.quiet(t.Context()))
	report.Machine, err = b.machine(t.Context())
	require.NoError(t, err)

	for _, u := range units {
		for _, hook := range []string{"update-status", "config-changed"} {
			t.Logf("%s %s", u.App, hook)
			row, err := b.row(t.Context(), u, hook, steady)
			require.NoError(t, err)
			report.Dispatch = append(report.Dispatch, row)
		}
	}
	require.NoError(t, b.counts(t.Context()))
	t.Log("gluetun update-status with the tunnel down")
	row, err := b.down(t.Context())
	require.NoError(t, err)
	report.Dispatch = append(report.Dispatch, row)

	require.NoError(t, write(filepath.Join(w.Root, "build", "bench.json"), report))
	t.Log("\n" + report.String())
	for _, r := range report.Dispatch {
		for _, over := range r.Over {
			if !strings.Contains(over, timing) {
				t.Errorf("%s %s, %s: %s %v", r.Charm, r.Hook, r.State, over, r.Wrote)
			}
		}
	}
	for _, p := range report.Packed {
		for _, over := range p.Over {
			t.Errorf("%s %s: %s", p.Charm, p.Arch, over)
		}
	}
}

// bench drives its lab.
type bench struct{ world.World }

// deploy deploys every charm, related, and waits until all is active.
func (b bench) deploy(ctx context.Context) error {
	d := world.Deploy{World: b.World}
	for _, step := range []func() error{
		func() error { return d.Bundle(ctx, downloads, "downloads") },
		func() error { return d.Subscribe(ctx, downloads, "gluetun", 0) },
		func() error { return d.Bundle(ctx, core, "core") },
		func() error { return b.active(ctx) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (b bench) active(ctx context.Context) error {
	for _, u := range units {
		if err := b.WaitStatus(ctx, ready, u.Model, u.App+"/0", "active", ""); err != nil {
			return err
		}
	}
	return nil
}

// quiet ends what the lab sends without end for the sake of the stories: it would take half of a small machine.
func (b bench) quiet(ctx context.Context) error {
	for _, u := range units[1:] {
		if _, err := b.Kubectl(ctx, "-n", u.Model, "exec", u.App+"-0", "-c", u.App, "--", "/charm/bin/pebble", "stop", "lab-sender"); err != nil {
			return err
		}
	}
	_, err := b.Kubectl(ctx, "-n", "default", "delete", "pod", "plain", "--grace-period=0")
	return err
}

// down measures the gateway while the provider is silent and its check has told so.
func (b bench) down(ctx context.Context) (row Row, err error) {
	if _, err := b.Lab(ctx, "tunnel", "down"); err != nil {
		return row, err
	}
	gateway := units[0]
	if err := b.WaitStatus(ctx, ready, gateway.Model, gateway.App+"/0", "waiting", "tunnel is down"); err != nil {
		return row, err
	}
	return b.row(ctx, gateway, "update-status", tunnelDown)
}

func write(path string, r Report) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}

// String is the report for a reader.
func (r Report) String() string {
	var out strings.Builder
	t := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "CHARM\tHOOK\tSTATE\tWALL s\tCPU s\tOWN CPU s\tRSS MiB\tTOOLS\tK8S READS\tK8S WRITES\tOVER")
	for _, d := range r.Dispatch {
		fmt.Fprintf(t, "%s\t%s\t%s\t%.3f\t%.3f\t%.3f\t%.1f\t%d\t%d\t%d\t%s\n", d.Charm, d.Hook, d.State, d.Wall, d.CPU, d.Own, d.RSS,
			d.Tools, d.Reads, d.Writes, strings.Join(d.Over, "; "))
	}
	fmt.Fprintf(t, "\nHERE\tWALL s\tCPU s\na process that does nothing\t%.3f\t%.3f\none hook tool\t%.3f\t%.3f\n",
		r.Machine.ProcessWall, r.Machine.ProcessCPU, r.Machine.ToolWall, r.Machine.ToolCPU)
	fmt.Fprintln(t, "\nCHARM\tARCH\tMB\tOVER")
	for _, p := range r.Packed {
		fmt.Fprintf(t, "%s\t%s\t%.2f\t%s\n", p.Charm, p.Arch, p.MB, strings.Join(p.Over, "; "))
	}
	_ = t.Flush()
	for _, n := range r.Notes {
		fmt.Fprintln(&out, n)
	}
	return out.String()
}
