// Package world drives the lab for the demo and the e2e stories: the real juju and kubectl, and packets sent and counted
// by the lab. It decides nothing about what is right; the stories do.
package world

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// World is one lab.
type World struct {
	Root string    // the repository
	Dir  string    // the lab's state folder, LAB_DIR; another folder is another lab
	Log  io.Writer // commands and their output, for a reader who wants to follow; may be nil
}

// New is a lab of its own name, so that whoever uses it takes no other one down.
func New(name string) (World, error) {
	root, err := Root()
	return World{Root: root, Dir: filepath.Join(root, "build", "lab-"+name)}, err
}

// Up brings the lab up anew: what an earlier run left of it, and counted, would be taken for this one's.
func (w World) Up(ctx context.Context) error {
	if os.Getenv("LAB") == "microk8s" {
		return errors.New("this counts packets on the lab's own network; it does not run with LAB=microk8s")
	}
	for _, command := range []string{"down", "up"} {
		if _, err := w.Lab(ctx, command); err != nil {
			return err
		}
	}
	return nil
}

// Down takes the lab down, whatever has become of ctx.
func (w World) Down(ctx context.Context) error {
	_, err := w.Lab(context.WithoutCancel(ctx), "down")
	return err
}

// Root finds the repository from the working directory upwards.
func Root() (string, error) {
	dir, err := os.Getwd()
	for err == nil && dir != "/" {
		if _, err := os.Stat(filepath.Join(dir, ".ci", "run")); err == nil {
			return dir, nil
		}
		dir = filepath.Dir(dir)
	}
	return "", errors.New("cannot find the repository: run this inside it")
}

// A Failed command keeps what it printed, because that is what a reader needs.
type Failed struct {
	Command string
	Output  string
	Err     error
}

func (e *Failed) Error() string {
	return fmt.Sprintf("cannot run %s: %v\n%s", e.Command, e.Err, strings.TrimSpace(e.Output))
}
func (e *Failed) Unwrap() error { return e.Err }

// Lab runs the lab's own program and returns what it printed on standard output.
func (w World) Lab(ctx context.Context, args ...string) (string, error) {
	return w.run(ctx, w.program(), args)
}

// Juju runs the unmodified juju command against the lab's controller.
func (w World) Juju(ctx context.Context, args ...string) (string, error) {
	return w.Lab(ctx, append([]string{"juju"}, args...)...)
}

// Kubectl runs kubectl as the cluster's administrator.
func (w World) Kubectl(ctx context.Context, args ...string) (string, error) {
	return w.Lab(ctx, append([]string{"kubectl"}, args...)...)
}

// Enroll takes the pods of a model into the mesh, once Juju has made its namespace.
func (w World) Enroll(ctx context.Context, model string) error {
	return Until(ctx, 30*time.Second, func() string {
		if _, err := w.Kubectl(ctx, "label", "namespace", model, "istio.io/dataplane-mode=ambient"); err != nil {
			return err.Error()
		}
		return ""
	})
}

// Attach runs the lab's own program on the caller's terminal.
func (w World) Attach(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, w.program(), args...)
	cmd.Env = append(os.Environ(), "LAB_DIR="+w.Dir)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	return cmd.Run()
}

func (w World) program() string { return filepath.Join(w.Root, "build", "bin", "lab") }

func (w World) run(ctx context.Context, program string, args []string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Env = w.Root, append(os.Environ(), "LAB_DIR="+w.Dir)
	var out bytes.Buffer
	var all both
	cmd.Stdout = io.MultiWriter(&out, &all)
	cmd.Stderr = &all
	err := cmd.Run()
	words := filepath.Base(program) + " " + strings.Join(args, " ")
	if w.Log != nil {
		fmt.Fprintf(w.Log, "$ %s\n%s", words, all.String())
	}
	if err != nil {
		return out.String(), &Failed{words, all.String(), err}
	}
	return out.String(), nil
}

// both is what a program prints on both of its outputs, as it comes. The buffer has a name: by its own ReadFrom it would be filled without
// the lock.
type both struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (b *both) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.Write(p)
}

func (b *both) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.String()
}

// pause is between two looks: looking must not be most of what a machine does.
const pause = time.Second

// Until repeats look until it says that nothing is missing, and otherwise tells what still was.
func Until(ctx context.Context, limit time.Duration, look func() (missing string)) error {
	deadline := time.Now().Add(limit)
	for {
		missing := look()
		if missing == "" {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("after %v still: %s", limit, missing)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// UnitStatus is what `juju status` says of one unit.
type UnitStatus struct {
	Workload, Message, Agent, Address string
	Leader                            bool
}

// Units reads every unit of a model from `juju status --format json`.
func (w World) Units(ctx context.Context, model string) (map[string]UnitStatus, error) {
	out, err := w.Juju(ctx, "status", "-m", model, "--format", "json")
	if err != nil {
		return nil, err
	}
	var s struct {
		Applications map[string]struct {
			Units map[string]struct {
				Workload struct{ Current, Message string } `json:"workload-status"`
				Agent    struct{ Current string }          `json:"juju-status"`
				Leader   bool
				Address  string
			}
		}
	}
	if err := json.Unmarshal([]byte(out), &s); err != nil {
		return nil, fmt.Errorf("cannot read the status of %s: %w", model, err)
	}
	units := map[string]UnitStatus{}
	for _, a := range s.Applications {
		for name, u := range a.Units {
			units[name] = UnitStatus{u.Workload.Current, u.Workload.Message, u.Agent.Current, u.Address, u.Leader}
		}
	}
	return units, nil
}

// WaitStatus waits until a unit's workload status is current, its message contains text, and its agent is idle: twice, a
// moment apart, because an agent is idle too before it has heard of what was just done.
func (w World) WaitStatus(ctx context.Context, limit time.Duration, model, unit, current, text string) error {
	seen := 0
	err := Until(ctx, limit, func() string {
		units, err := w.Units(ctx, model)
		if err != nil {
			return err.Error()
		}
		u, ok := units[unit]
		if !ok {
			return "there is no unit " + unit
		}
		if u.Workload != current || !strings.Contains(u.Message, text) || u.Agent != "idle" {
			seen = 0
			return fmt.Sprintf("%s is %s %q (agent %s), not %s %q", unit, u.Workload, u.Message, u.Agent, current, text)
		}
		if seen++; seen == 1 {
			return "seen once"
		}
		return ""
	})
	if err != nil {
		return fmt.Errorf("cannot see %s of %s become %s: %w", unit, model, current, err)
	}
	return nil
}
