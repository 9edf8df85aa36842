package hook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/canonical/pebble/client"
)

// Look is how long one question to something outside this process may take: a hook holds up every other hook.
const Look = 2 * time.Second

// Pebble is the part of a Pebble client that is used here.
type Pebble interface {
	PlanBytes(*client.PlanOptions) ([]byte, error)
	AddLayer(*client.AddLayerOptions) error
	Replan(*client.ServiceOptions) (string, error)
	Restart(*client.ServiceOptions) (string, error)
	Stop(*client.ServiceOptions) (string, error)
	WaitChange(string, *client.WaitChangeOptions) (*client.Change, error)
	Changes(*client.ChangesOptions) ([]*client.Change, error)
	Services(*client.ServicesOptions) ([]*client.ServiceInfo, error)
	Checks(*client.ChecksOptions) ([]*client.CheckInfo, error)
	Logs(*client.LogsOptions) error
	ListFiles(*client.ListFilesOptions) ([]*client.FileInfo, error)
	MakeDir(*client.MakeDirOptions) error
	Push(*client.PushOptions) error
	Pull(*client.PullOptions) error
	Exec(*client.ExecOptions) (*client.ExecProcess, error)
	Notify(*client.NotifyOptions) (string, error)
}

var _ Pebble = (*client.Client)(nil)

// errDown: there is nobody at a container's Pebble socket (yet).
var errDown = errors.New("its Pebble does not answer")

// ContainerPebble reaches a container's Pebble over the socket that Juju shares with the charm. The socket is tried
// first, because Pebble's client asks again for five seconds when nobody listens.
func ContainerPebble(container string) (Pebble, error) {
	path := filepath.Join(containers(), container, "pebble.socket")
	conn, err := net.DialTimeout("unix", path, Look)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil, fmt.Errorf("cannot reach container %s: %w", container, errDown)
	}
	if err != nil { // a Pebble that is stuck may still run something
		return nil, fmt.Errorf("cannot reach container %s: %w", container, err)
	}
	if err := conn.Close(); err != nil {
		return nil, fmt.Errorf("cannot reach container %s: %w", container, err)
	}
	return client.New(&client.Config{Socket: path})
}

// containers is the folder with one folder per container; Juju's, unless a test says otherwise.
func containers() string {
	if dir := os.Getenv("CHARM_CONTAINERS"); dir != "" {
		return dir
	}
	return "/charm/containers"
}

// Seen is what a container's Pebble says in one hook.
type Seen struct {
	Up      bool            // it answers
	Running bool            // at least one service runs
	Checks  map[string]bool // by name: up
}

// SeeContainer asks a container's Pebble once. A Pebble that is not there is an answer, not an error.
func SeeContainer(env Env, container string) (Seen, error) {
	p, err := env.Pebble(container)
	if errors.Is(err, errDown) {
		return Seen{}, nil
	}
	if err != nil {
		return Seen{}, err
	}
	seen := Seen{Up: true, Checks: map[string]bool{}}
	running, err := runningServices(p)
	if err != nil {
		return Seen{}, fmt.Errorf("cannot list the services of container %s: %w", container, err)
	}
	seen.Running = len(running) > 0
	checks, err := p.Checks(&client.ChecksOptions{})
	if err != nil {
		return Seen{}, fmt.Errorf("cannot list the checks of container %s: %w", container, err)
	}
	for _, c := range checks {
		seen.Checks[c.Name] = c.Status != client.CheckStatusDown
	}
	return seen, nil
}

// PlannedEnvironment is what a service of a container has in its environment; nothing where there is no such service, or no Pebble.
func PlannedEnvironment(env Env, container, service string) (map[string]string, error) {
	p, err := env.Pebble(container)
	if errors.Is(err, errDown) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	have, err := plan(p)
	if err != nil {
		return nil, fmt.Errorf("cannot see the services of container %s: %w", container, err)
	}
	return have.Services[service].Environment, nil
}

// again asks for another hook: a notice from Pebble is one to Juju (<container>-pebble-custom-notice). Under a Pebble that is
// not there nothing is lost, since its coming brings a hook as well.
func again(env Env, container string) error {
	p, err := env.Pebble(container)
	if errors.Is(err, errDown) {
		return nil
	}
	if err == nil {
		_, err = p.Notify(&client.NotifyOptions{Type: client.CustomNotice, Key: againNotice})
	}
	if err != nil {
		return fmt.Errorf("cannot ask for another hook: %w", err)
	}
	return nil
}

const againNotice = "vpn.charmarr.io/again"

// soonFile has the Soon by which hooks are brought, as long as they are, and is as old as the wait.
const soonFile = ".soon"

// patience is how long somebody waits who is about to be served. What takes longer may take for ever.
const patience = 2 * time.Minute

// soon has a container's Pebble bring hooks one after the other. A check can send the notice as well as we can. Nothing takes a check out of a
// plan again: one that is not needed any more is asked once a day, until the pod ends.
func soon(env Env, s Soon) error {
	before, since, err := waiting()
	if err != nil {
		return fmt.Errorf("cannot read who brings other hooks: %w", err)
	}
	asked := s.Container + " " + s.For
	period := "3s"
	switch {
	case s.Container == "" && before == "":
		return nil
	case s.Container == "":
		s.Container, _, _ = strings.Cut(before, " ")
		period = "24h"
	case asked == before && time.Since(since) > patience:
		period = "30s"
	}
	p, err := env.Pebble(s.Container)
	if errors.Is(err, errDown) {
		return nil // its coming brings a hook as well
	}
	if err == nil {
		_, err = ensureLayer(p, "soon", Layer{Checks: map[string]Check{"soon": {
			Override: "replace", Period: period, Timeout: "2s", Exec: &ExecCheck{"/charm/bin/pebble notify " + againNotice},
		}}})
	}
	if err == nil && period == "24h" {
		err = os.Remove(inPod(soonFile))
	} else if err == nil && asked != before {
		err = os.WriteFile(inPod(soonFile), []byte(asked), 0o600)
	}
	if err != nil {
		return fmt.Errorf("cannot ask for other hooks: %w", err)
	}
	return nil
}

// waiting is what soonFile has, and since when; empty: nobody waits.
func waiting() (asked string, since time.Time, err error) {
	text, err := os.ReadFile(inPod(soonFile))
	if err == nil {
		var info fs.FileInfo
		if info, err = os.Stat(inPod(soonFile)); err == nil {
			since = info.ModTime()
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return string(text), since, err
}

// ExecError is a command in a container that ended with another status than 0.
type ExecError struct {
	Command string
	Status  int
	Stderr  string
}

func (e *ExecError) Error() string {
	return fmt.Sprintf("cannot run %s: exit status %d: %s", e.Command, e.Status, strings.TrimSpace(e.Stderr))
}

// Exec runs a command in a container, as that container's user, and returns its standard output. Pebble ends it after the timeout.
func Exec(_ context.Context, env Env, container string, timeout time.Duration, as ExecAs, command ...string) (string, error) {
	p, err := env.Pebble(container)
	if err != nil {
		return "", err
	}
	var out, stderr bytes.Buffer
	process, err := p.Exec(&client.ExecOptions{Command: command, Timeout: timeout, UserID: as.UserID, GroupID: as.GroupID, Stdout: &out, Stderr: &stderr})
	if err != nil {
		return "", fmt.Errorf("cannot run %s in container %s: %w", command[0], container, err)
	}
	err = process.Wait()
	var exit *client.ExitError
	if errors.As(err, &exit) {
		return out.String(), &ExecError{strings.Join(command, " "), exit.ExitCode(), stderr.String()}
	}
	if err != nil {
		return out.String(), fmt.Errorf("cannot run %s in container %s: %w", command[0], container, err)
	}
	return out.String(), nil
}

// ExecAs is the user and group a command runs as; nil is the container's own.
type ExecAs struct{ UserID, GroupID *int }
