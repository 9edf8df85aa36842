//go:build e2e

// Package e2e tells whole stories on the lab: the unmodified juju, real pods, real packets. Each script under testdata is
// one story in models of its own. On one lab they run one after the other, because it has one VPN subscription. One of each
// routing method is told on a lab as well where every model is in the mesh.
package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
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
	name    string // of the lab
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
	t.Parallel()
	rest := listed(stories)
	var both sync.WaitGroup
	both.Go(func() { tellAll(t, &teller{name: "plain"}, rest) })
	both.Go(func() {
		inMesh.Wait()
		tellAll(t, &teller{name: "second"}, rest)
	})
	both.Wait()
}

// inMesh is over when the lab in the mesh is down again. Two labs stand side by side, most of a story is waiting; with a third one what is
// measured in seconds would be late.
var inMesh sync.WaitGroup

// TestStoriesInTheMesh tells one of each routing method. make leaks plays the rest in the mesh: a first deploy, gateways and pods that go and
// come, routes broken by hand, a relation that is removed.
func TestStoriesInTheMesh(t *testing.T) {
	var stories []string
	for _, s := range []string{"by-overlay", "route-broken"} {
		stories = append(stories, filepath.Join("testdata", s+".txtar"))
	}
	inMesh.Add(1) // before any test that is parallel goes on
	t.Cleanup(inMesh.Done)
	t.Parallel()
	tellAll(t, &teller{name: "mesh", mesh: true}, listed(stories))
}

func listed(stories []string) <-chan string {
	list := make(chan string, len(stories))
	for _, s := range stories {
		list <- s
	}
	close(list)
	return list
}

// tellAll tells stories on a lab of its own, one after the other, and takes each from a list that others may take from as well.
func tellAll(t *testing.T, w *teller, stories <-chan string) {
	for story := range stories {
		t.Run(strings.TrimSuffix(filepath.Base(story), ".txtar"), func(one *testing.T) {
			// Go ends a test that is late on the spot, and the lab would stay up.
			if end, limited := one.Deadline(); limited && time.Until(end) < longest+6*time.Minute {
				require.Fail(one, "no time is left for another story: see go test -timeout", story)
			}
			w.begin(t, one)
			w.story(one, story)
		})
	}
}

// begin brings the lab up for the first of its stories; it stays until all of them have been told.
func (w *teller) begin(all, first *testing.T) {
	if w.Dir != "" {
		return
	}
	lab, err := world.New("e2e-" + w.name)
	require.NoError(first, err)
	all.Cleanup(func() { require.NoError(all, lab.Down(context.Background())) })
	require.NoError(first, lab.Up(all.Context()))
	w.World = lab
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
