//go:build bench

package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/charmarr/charmarr-go/tests/bench/internal/taken"
)

// inCharm is where measure lies in a charm container.
const inCharm = "/tmp/measure"

// install builds measure and puts it into every charm container.
func (b bench) install(ctx context.Context, dir string) error {
	program := filepath.Join(dir, "measure")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", program, "./tests/bench/measure")
	build.Dir, build.Env = b.Root, append(os.Environ(), "CGO_ENABLED=0") // the container has no C library
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot build measure: %w\n%s", err, out)
	}
	for _, u := range units {
		in, err := os.Open(program)
		if err != nil {
			return err
		}
		put := exec.CommandContext(ctx, filepath.Join(b.Root, "build", "bin", "lab"), "kubectl", "-n", u.Model, "exec", "-i", u.App+"-0", "-c", "charm", "--",
			"sh", "-c", "cat > "+inCharm+" && chmod +x "+inCharm)
		put.Dir, put.Stdin, put.Env = b.Root, in, append(os.Environ(), "LAB_DIR="+b.Dir)
		out, err := put.CombinedOutput()
		_ = in.Close()
		if err != nil {
			return fmt.Errorf("cannot put measure into %s: %w\n%s", u.App, err, out)
		}
	}
	return nil
}

// dispatch runs the charm once, measured, by Juju's own way for commands in a hook's context: between hooks, and
// committed like one.
func (b bench) dispatch(ctx context.Context, u Unit, hook, kind string) (m taken.Taken, err error) {
	return b.taken(ctx, u, kind, "./dispatch", "JUJU_HOOK_NAME="+hook, "JUJU_DISPATCH_PATH=hooks/"+hook)
}

// taken runs a command in a hook's context, measured.
func (b bench) taken(ctx context.Context, u Unit, kind, command string, env ...string) (m taken.Taken, err error) {
	script := fmt.Sprintf("cd $CHARM_DIR && %s exec %s %s %s", strings.Join(env, " "), inCharm, kind, command)
	out, err := b.Kubectl(ctx, "-n", u.Model, "exec", u.App+"-0", "-c", "charm", "--", "juju-exec", script)
	if err == nil {
		err = json.Unmarshal([]byte(out), &m)
	}
	if err == nil && m.Exit != 0 {
		err = fmt.Errorf("exit status %d", m.Exit)
	}
	if err != nil {
		err = fmt.Errorf("cannot measure %s %s in %s: %w", command, strings.Join(env, " "), u.App, err)
	}
	return m, err
}
