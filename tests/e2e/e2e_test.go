//go:build e2e

// Package e2e tells whole stories on the lab: the unmodified juju, real pods, real packets. Each script under testdata is
// one story in models of its own. They run one after the other, because there is one VPN subscription. Those about leaks are
// told on a second lab as well, where every model is in the mesh.
package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/tests/e2e/world"
)

// longest is what a story may take before it has failed.
const longest = 8 * time.Minute

// teller is who tells stories on one lab.
type teller struct {
	world.World
	outside world.Outside
	mesh    bool           // models are in the mesh
	before  map[string]int // packets of pods that earlier stories had opened on purpose
	named0  int            // and how many names they had asked for

	excused map[string]map[string]int // packets, by kind, that have left a pod because a story took its guard away
}

func TestStories(t *testing.T) {
	stories, err := filepath.Glob("testdata/*.txtar")
	require.NoError(t, err)
	require.NotEmpty(t, stories)
	tellAll(t, "plain", &teller{}, stories)
}

// TestStoriesInTheMesh tells one of each routing method. make leaks plays the rest in the mesh: a first deploy, gateways and pods that go and
// come, routes broken by hand, a relation that is removed.
func TestStoriesInTheMesh(t *testing.T) {
	var stories []string
	for _, s := range []string{"by-overlay", "route-broken"} {
		stories = append(stories, filepath.Join("testdata", s+".txtar"))
	}
	tellAll(t, "mesh", &teller{mesh: true}, stories)
}

// tellAll tells stories on a lab of their own, one after the other, beside whoever tells some on another: most of a story is waiting.
func tellAll(t *testing.T, name string, w *teller, stories []string) {
	t.Parallel()
	var err error
	w.World, err = world.New("e2e-" + name)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.Down(context.Background())) })
	require.NoError(t, w.Up(t.Context()))
	for _, story := range stories {
		// Go ends a test that is late on the spot, and the lab would stay up.
		if end, limited := t.Deadline(); limited && time.Until(end) < longest+6*time.Minute {
			require.Fail(t, "no time is left for another story: see go test -timeout", story)
		}
		t.Run(strings.TrimSuffix(filepath.Base(story), ".txtar"), func(t *testing.T) { w.story(t, story) })
	}
}

func (w *teller) story(t *testing.T, file string) {
	name := strings.TrimSuffix(filepath.Base(file), ".txtar")
	t.Cleanup(func() {
		ctx := context.Background()
		_, up := w.Lab(ctx, "tunnel", "up") // a story that failed half way leaves it down
		_, first := w.Lab(ctx, "exit", "first")
		require.NoError(t, errors.Join(up, first, w.removeModels(ctx, name+"-core", name)))
	})
	testscript.RunT(listener{t}, testscript.Params{
		Files:    []string{file},
		Setup:    func(e *testscript.Env) error { return w.setup(e, name) },
		Cmds:     w.words(),
		Deadline: time.Now().Add(longest),
	})
}

// setup gives a story its models' names and the two programs of a user.
func (w *teller) setup(e *testscript.Env, name string) (err error) {
	if w.before, err = w.Strangers(context.Background()); err != nil {
		return err
	}
	names, err := w.named(context.Background())
	if err != nil {
		return err
	}
	w.named0 = len(names)
	e.Setenv("D", name)         // the model of gateway and downloads
	e.Setenv("C", name+"-core") // the other model
	e.Setenv("ROOT", w.Root)
	e.Setenv("GOARCH", runtime.GOARCH)
	e.Setenv("HOME", os.Getenv("HOME"))
	bin := filepath.Join(e.WorkDir, "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return err
	}
	for _, program := range []string{"juju", "kubectl", "lab"} {
		words := program
		if program == "lab" {
			words = ""
		}
		// Files of a story are named by $WORK.
		script := fmt.Sprintf("#!/bin/sh\ncd %s && LAB_DIR=%s exec build/bin/lab %s \"$@\"\n", w.Root, w.Dir, words)
		if err := os.WriteFile(filepath.Join(bin, program), []byte(script), 0o755); err != nil {
			return err
		}
	}
	e.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	return nil
}

// removeModels makes room for the next story: two gateways with one subscription would take the tunnel from each other.
func (w *teller) removeModels(ctx context.Context, models ...string) error {
	for _, m := range models {
		if _, err := w.Juju(ctx, "show-model", m); err != nil {
			continue // the story did not need it
		}
		if _, err := w.Juju(ctx, "destroy-model", "--no-prompt", "--force", "--no-wait", m); err != nil {
			return err
		}
		if _, err := w.Kubectl(ctx, "wait", "--for=delete", "namespace/"+m, "--timeout=120s"); err != nil {
			return err
		}
	}
	return nil
}
