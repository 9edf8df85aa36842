package client_test

import (
	"archive/zip"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/juju/juju/core/life"
	"github.com/juju/juju/rpc/params"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/charmarr/charmarr-go/tests/lab/juju/model"
	"github.com/charmarr/charmarr-go/tests/lab/juju/server"
)

// TestStories runs the unmodified juju program against a controller in this process, one for each story and
// without a cluster: no agent ever answers, so units stay as they were made.
func TestStories(t *testing.T) {
	juju := jujuProgram(t)
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			env.Setenv("JUJU", juju) // for what is to run in the background
			return serve(env)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"juju": func(ts *testscript.TestScript, neg bool, args []string) {
				err := ts.Exec(juju, args...)
				if (err != nil) != neg {
					ts.Fatalf("juju %s: %v", strings.Join(args, " "), err)
				}
			},
			"pack":   packCharm,
			"agent":  pretendAgent,
			"moment": func(*testscript.TestScript, bool, []string) { time.Sleep(700 * time.Millisecond) },
		},
	})
}

// jujuProgram is the program of $JUJU, or else built from this module's own requirement of Juju.
func jujuProgram(t *testing.T) string {
	if path := os.Getenv("JUJU"); path != "" {
		return path
	}
	path := filepath.Join(t.TempDir(), "juju")
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-tags=minimal,provider_kubernetes", "-o", path, "github.com/juju/juju/cmd/juju")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("cannot build juju: %v\n%s", err, out)
	}
	return path
}

// packCharm zips a folder of the story as a charm: pack FOLDER FILE.
func packCharm(ts *testscript.TestScript, _ bool, args []string) {
	out, err := os.Create(ts.MkAbs(args[1]))
	ts.Check(err)
	defer out.Close()
	z := zip.NewWriter(out)
	files, err := filepath.Glob(filepath.Join(ts.MkAbs(args[0]), "*"))
	ts.Check(err)
	for _, path := range files {
		text, err := os.ReadFile(path)
		ts.Check(err)
		header := &zip.FileHeader{Name: filepath.Base(path), Method: zip.Deflate}
		header.SetMode(0o755)
		w, err := z.CreateHeader(header)
		ts.Check(err)
		_, err = w.Write(text)
		ts.Check(err)
	}
	ts.Check(z.Close())
}

// pretendAgent does what an agent would, for the stories that wait for one:
//
//	agent MODEL status UNIT STATUS MESSAGE: and it leads
//	agent MODEL action NAME: the next action of that name starts, says "working" and completes with seen=203.0.113.9
//	agent MODEL log TEXT
//	agent MODEL farewell UNIT: once it is dying, it is dead and gone
func pretendAgent(ts *testscript.TestScript, _ bool, args []string) {
	c := ts.Value(controllerKey{}).(*model.Controller)
	var m *model.Model
	c.View(func() {
		for _, have := range c.Models {
			if have.Name == args[0] {
				m = have
			}
		}
	})
	switch args[1] {
	case "status":
		ts.Check(c.Update(func() error {
			u := m.Units[args[2]]
			u.Agent, u.Workload = model.StatusNow("idle", ""), model.StatusNow(args[3], args[4])
			m.Apps[u.App].Leader = u.Name
			return nil
		}))
	case "log":
		c.Log(m, params.LogMessage{Entity: "unit-client-0", Timestamp: time.Now(), Severity: "INFO", Module: "unit.client/0.juju-log", Message: args[2]})
	case "farewell":
		go func() {
			for !farewell(c, m, args[2]) {
				time.Sleep(50 * time.Millisecond)
			}
		}()
	case "action":
		go func() {
			for !runAction(c, m, args[2]) {
				time.Sleep(50 * time.Millisecond)
			}
		}()
	}
}

// runAction takes up the next action of a name, if there is one, and completes it a while after its first message.
func runAction(c *model.Controller, m *model.Model, name string) bool {
	var taken *model.Action
	_ = c.Update(func() error {
		for _, a := range m.Actions {
			if a.Name == name && a.Status == params.ActionPending {
				taken = a
				a.Status, a.Started = params.ActionRunning, time.Now()
				a.Log = append(a.Log, params.ActionMessage{Timestamp: time.Now(), Message: "working"})
			}
		}
		return nil
	})
	if taken == nil {
		return false
	}
	time.Sleep(500 * time.Millisecond)
	_ = c.Update(func() error {
		taken.Status, taken.Completed, taken.Results = params.ActionCompleted, time.Now(), map[string]any{"seen": "203.0.113.9"}
		return nil
	})
	return true
}

func farewell(c *model.Controller, m *model.Model, name string) (done bool) {
	_ = c.Update(func() error {
		if u := m.Units[name]; u != nil && u.Life == life.Dying {
			c.KillUnit(m, u)
			c.RemoveUnit(m, u)
			done = true
		}
		return nil
	})
	return done
}

type controllerKey struct{}

// serve starts a controller for one story and gives the story a juju that knows it.
func serve(env *testscript.Env) error {
	ctl := model.New()
	env.Values[controllerKey{}] = ctl
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	charms, data := filepath.Join(env.WorkDir, ".charms"), filepath.Join(env.WorkDir, ".juju")
	if err := os.MkdirAll(charms, 0o700); err != nil {
		return err
	}
	settings := server.Settings{
		Controller: ctl, Charms: charms, Addresses: []string{fmt.Sprintf("localhost:%d", listener.Addr().(*net.TCPAddr).Port)},
	}
	if os.Getenv("TRACE") != "" {
		settings.Trace = os.Stderr
	}
	s, err := server.New(settings)
	if err != nil {
		return err
	}
	go func() { _ = s.Serve(listener) }() // ends with Close
	env.Defer(func() { _ = s.Close(context.Background()) })
	env.Setenv("JUJU_DATA", data)
	env.Setenv("HOME", env.WorkDir)
	return s.WriteStore(data)
}
