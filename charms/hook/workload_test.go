package hook

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/canonical/pebble/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A real Pebble, as it is in a workload's container: nothing starts by itself.
func startPebble(t *testing.T, container string) Env {
	t.Helper()
	root := t.TempDir()
	dir := filepath.Join(root, container)
	require.NoError(t, os.Mkdir(dir, 0o755))
	t.Setenv("CHARM_CONTAINERS", root)
	cmd := exec.Command("pebble", "run", "--create-dirs", "--hold")
	cmd.Env = append(os.Environ(), "PEBBLE="+dir, "PEBBLE_SOCKET="+filepath.Join(dir, "pebble.socket"))
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	})
	require.Eventually(t, func() bool { _, err := ContainerPebble(container); return err == nil }, 10*time.Second, 20*time.Millisecond)
	return Env{Pebble: ContainerPebble}
}

// Another hook is asked for by a notice of a real Pebble; without Pebble its coming is the next hook.
func TestAgain(t *testing.T) {
	env := startPebble(t, "web")
	require.NoError(t, again(env, "web"))
	require.NoError(t, again(env, "web"))
	p, err := env.Pebble("web")
	require.NoError(t, err)
	notices, err := p.(*client.Client).Notices(&client.NoticesOptions{Types: []client.NoticeType{client.CustomNotice}})
	require.NoError(t, err)
	require.Len(t, notices, 1)
	assert.Equal(t, 2, notices[0].Occurrences)
	assert.Equal(t, notices[0].LastOccurred, notices[0].LastRepeated, "each one wakes Juju")
	require.NoError(t, again(env, "absent"))
}

// counting counts what changes something.
type counting struct {
	Pebble
	changes []string
}

func (c *counting) AddLayer(o *client.AddLayerOptions) error {
	c.changes = append(c.changes, "layer")
	return c.Pebble.AddLayer(o)
}
func (c *counting) Replan(o *client.ServiceOptions) (string, error) {
	c.changes = append(c.changes, "replan")
	return c.Pebble.Replan(o)
}
func (c *counting) Stop(o *client.ServiceOptions) (string, error) {
	c.changes = append(c.changes, "stop")
	return c.Pebble.Stop(o)
}
func (c *counting) Push(o *client.PushOptions) error {
	c.changes = append(c.changes, "push")
	return c.Pebble.Push(o)
}

// The life of a workload: started, left alone, changed, stopped; only a difference changes anything.
func TestWorkload(t *testing.T) {
	juju(t, model{}, "config-changed")
	env := startPebble(t, "web")
	home := t.TempDir()
	w := Workload{
		Container: "web", Mode: Running,
		Dirs: []Dir{{Path: filepath.Join(home, "conf"), Mode: 0o750}},
		Files: []File{
			{Path: filepath.Join(home, "conf", "key"), Content: "secret", Mode: 0o600},
			{Path: filepath.Join(home, "conf", "seed"), Content: "first", Mode: 0o600, Seed: true},
		},
		Layer: Layer{
			Services: map[string]Service{"web": {
				Summary: "s", Override: "replace", Command: "sleep 600", Startup: "enabled", Environment: map[string]string{"TZ": "UTC"},
				UserID: ID(os.Getuid()), GroupID: ID(os.Getgid()), WorkingDir: home, KillDelay: "2s", OnFailure: "restart",
			}},
			Checks: map[string]Check{
				"ui":    {Override: "replace", HTTP: &HTTPCheck{URL: "http://localhost:1/"}},
				"alive": {Override: "replace", Period: "1m0s", Timeout: "5s", Threshold: 7, Exec: &ExecCheck{Command: "true"}},
			},
		},
	}
	apply := func(w Workload) []string {
		t.Helper()
		c := &counting{}
		require.NoError(t, applyWorkload(Env{Pebble: func(name string) (Pebble, error) {
			p, err := env.Pebble(name)
			c.Pebble = p
			return c, err
		}}, w))
		return c.changes
	}
	running := func() bool {
		t.Helper()
		seen, err := SeeContainer(env, "web")
		require.NoError(t, err)
		require.True(t, seen.Up)
		return seen.Running
	}

	assert.False(t, running())
	assert.Equal(t, []string{"push", "push", "layer", "replan"}, apply(w))
	assert.True(t, running())
	assert.Empty(t, apply(w), "the second time nothing differs")

	info, err := os.Stat(filepath.Join(home, "conf", "key"))
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	info, err = os.Stat(filepath.Join(home, "conf"))
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o750), info.Mode().Perm())
	p, err := env.Pebble("web")
	require.NoError(t, err)
	plan, err := p.PlanBytes(&client.PlanOptions{})
	require.NoError(t, err)
	assert.Contains(t, string(plan), "sleep 600")
	assert.NotContains(t, string(plan), "secret")

	// The workload writes its own settings: they are its own now.
	require.NoError(t, os.WriteFile(filepath.Join(home, "conf", "seed"), []byte("its own"), 0o600))
	assert.Empty(t, apply(w))

	// A changed key: the service does not run on while its file changes.
	w.Files[0].Content = "another"
	assert.Equal(t, []string{"stop", "push", "replan"}, apply(w))
	assert.True(t, running())

	// Somebody opened the file to others.
	require.NoError(t, os.Chmod(filepath.Join(home, "conf", "key"), 0o644))
	assert.Equal(t, []string{"stop", "push", "replan"}, apply(w))

	// A changed environment, and one that is gone.
	s := w.Layer.Services["web"]
	s.Environment = map[string]string{"TZ": "Europe/Berlin"}
	w.Layer.Services["web"] = s
	assert.Equal(t, []string{"layer", "replan"}, apply(w))
	s.Environment = nil
	w.Layer.Services["web"] = s
	assert.Equal(t, []string{"layer", "replan"}, apply(w))
	assert.Empty(t, apply(w))

	// Left as it is: nothing differs, whatever is wanted.
	w.Mode = AsIs
	assert.Empty(t, apply(w))
	assert.True(t, running())

	w.Mode = Stopped
	assert.Equal(t, []string{"stop"}, apply(w))
	assert.False(t, running())
	assert.Empty(t, apply(w))

	// As it is, stopped, stays stopped.
	w.Mode = AsIs
	assert.Empty(t, apply(w))
	assert.False(t, running())

	w.Mode = Running
	assert.Equal(t, []string{"replan"}, apply(w))
	assert.True(t, running())
}

// A workload that does not run is watched all the same, also one that may go on and is in a pod that is new: the check that begins to succeed brings the hook that starts it.
func TestWorkloadThatDoesNotRunIsWatched(t *testing.T) {
	for _, mode := range []Mode{Stopped, AsIs} {
		t.Run(mode.String(), func(t *testing.T) { watched(t, mode) })
	}
}

func watched(t *testing.T, mode Mode) {
	juju(t, model{}, "config-changed")
	env := startPebble(t, "web")
	there := filepath.Join(t.TempDir(), "vxlan0")
	w := Workload{Container: "web", Mode: mode, Layer: Layer{
		Services: map[string]Service{"web": {Override: "replace", Command: "sleep 600", Startup: "enabled"}},
		Checks:   map[string]Check{OverlayCheck: {Override: "replace", Period: "100ms", Timeout: "90ms", Threshold: 1, Exec: &ExecCheck{Command: "test -e " + there}}},
	}}
	require.NoError(t, applyWorkload(env, w))
	up := func() bool {
		seen, err := SeeContainer(env, "web")
		require.NoError(t, err)
		assert.False(t, seen.Running)
		up, known := seen.Checks[OverlayCheck]
		require.True(t, known)
		return up
	}
	require.Eventually(t, func() bool { return !up() }, 5*time.Second, 50*time.Millisecond)
	require.NoError(t, os.WriteFile(there, nil, 0o600))
	require.Eventually(t, up, 5*time.Second, 50*time.Millisecond)
}

func TestWorkloadThatDoesNotStayUp(t *testing.T) {
	juju(t, model{}, "config-changed")
	env := startPebble(t, "web")
	err := applyWorkload(env, Workload{Container: "web", Mode: Running, Layer: Layer{
		Services: map[string]Service{"web": {Override: "replace", Command: "false", Startup: "enabled"}},
	}})
	assert.ErrorContains(t, err, "failed")
}

func TestContainerThatIsNotThere(t *testing.T) {
	juju(t, model{}, "install")
	root := t.TempDir()
	t.Setenv("CHARM_CONTAINERS", root)
	start := time.Now()
	env := Env{Pebble: ContainerPebble}
	seen, err := SeeContainer(env, "web")
	require.NoError(t, err)
	assert.False(t, seen.Up)
	assert.NoError(t, applyWorkload(env, Workload{Container: "web", Mode: Stopped}), "what is not there does not run")
	assert.Error(t, applyWorkload(env, Workload{Container: "web", Mode: Running}))

	// A socket that a dead Pebble left behind.
	require.NoError(t, os.Mkdir(filepath.Join(root, "web"), 0o755))
	left, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(root, "web", "pebble.socket")})
	require.NoError(t, err)
	left.SetUnlinkOnClose(false)
	require.NoError(t, left.Close())
	seen, err = SeeContainer(env, "web")
	require.NoError(t, err)
	assert.False(t, seen.Up)
	assert.Less(t, time.Since(start), 2*time.Second, "Pebble's client would have asked for five seconds")
}

// A Pebble that takes nobody's call any more may still run something: it is not one that is not there.
func TestContainerThatIsStuck(t *testing.T) {
	juju(t, model{}, "install")
	root := t.TempDir()
	t.Setenv("CHARM_CONTAINERS", root)
	require.NoError(t, os.Mkdir(filepath.Join(root, "web"), 0o755))
	path := filepath.Join(root, "web", "pebble.socket")
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	require.NoError(t, err)
	defer func() { _ = syscall.Close(fd) }()
	require.NoError(t, syscall.Bind(fd, &syscall.SockaddrUnix{Name: path}))
	require.NoError(t, syscall.Listen(fd, 0))
	first, err := net.Dial("unix", path) // the only one that can wait
	require.NoError(t, err)
	defer func() { _ = first.Close() }()

	env := Env{Pebble: ContainerPebble}
	_, err = SeeContainer(env, "web")
	assert.ErrorContains(t, err, "cannot reach container web")
	assert.Error(t, applyWorkload(env, Workload{Container: "web", Mode: Stopped}), "nobody knows whether it stopped")
}

func TestExec(t *testing.T) {
	env := startPebble(t, "web")
	out, err := Exec(t.Context(), env, "web", 5*time.Second, ExecAs{}, "echo", "hello")
	require.NoError(t, err)
	assert.Equal(t, "hello", strings.TrimSpace(out))
	_, err = Exec(t.Context(), env, "web", 5*time.Second, ExecAs{}, "sh", "-c", "echo why >&2; exit 3")
	var failed *ExecError
	require.ErrorAs(t, err, &failed)
	assert.Equal(t, 3, failed.Status)
	assert.ErrorContains(t, err, "why")
}

// Pebble counts a service as inactive from the moment at which it is told to end, and it may run for seconds more. Whoever lays what lets
// packets out behind a stop waits for its end, whoever began it; and who wants it to run has it run, and no failed hook.
func TestOnItsWayDown(t *testing.T) {
	juju(t, model{}, "config-changed")
	env := startPebble(t, "web")
	home := t.TempDir()
	inHome := func(name string) string { return filepath.Join(home, name) }
	there := func(name string) bool { _, err := os.Stat(inHome(name)); return err == nil }
	slow := inHome("slow")
	require.NoError(t, os.WriteFile(slow, []byte(`#!/bin/sh
cd "${0%/*}" && touch running && echo >> started || exit
trap 'touch ending; sleep 1; rm running; exit' TERM
while :; do sleep 0.05; done
`), 0o700))
	w := Workload{Container: "web", Mode: Running, Layer: Layer{
		Services: map[string]Service{"web": {Override: "replace", Command: slow, Startup: "enabled", KillDelay: "5s", OnCheckFailure: map[string]string{"alive": "restart"}}},
		Checks:   map[string]Check{"alive": {Override: "replace", Period: "100ms", Timeout: "100ms", Threshold: 1, Exec: &ExecCheck{Command: "test ! -e " + inHome("dead")}}},
	}}
	down := w
	down.Mode = Stopped
	require.NoError(t, applyWorkload(env, w))
	p, err := env.Pebble("web")
	require.NoError(t, err)
	ending := func() {
		t.Helper()
		require.Eventually(t, func() bool { return there("ending") }, 5*time.Second, 10*time.Millisecond)
		require.NoError(t, os.Remove(inHome("ending")))
		names, err := runningServices(p)
		require.NoError(t, err)
		require.True(t, there("running"))
		require.Empty(t, names, "as Pebble has it")
	}

	_, err = p.Stop(&client.ServiceOptions{Names: []string{"web"}})
	require.NoError(t, err)
	ending()
	require.NoError(t, applyWorkload(env, down))
	assert.True(t, there("running"), "as Pebble has it, it does not")
	require.NoError(t, ended(env, down))
	assert.False(t, there("running"))

	require.NoError(t, applyWorkload(env, w))
	require.True(t, there("running"))
	_, err = p.Stop(&client.ServiceOptions{Names: []string{"web"}})
	require.NoError(t, err)
	ending()
	require.NoError(t, applyWorkload(env, w))
	assert.True(t, there("running"))

	// By its check it is none of Pebble's changes, and can be neither stopped nor started until it has ended.
	require.NoError(t, os.WriteFile(inHome("dead"), nil, 0o600))
	ending()
	require.NoError(t, os.Remove(inHome("dead")))
	require.NoError(t, applyWorkload(env, w))
	require.Eventually(t, func() bool { return there("running") }, 5*time.Second, 10*time.Millisecond)
	require.NoError(t, applyWorkload(env, down))
	require.NoError(t, ended(env, down))
	require.NoError(t, ended(env, Workload{Container: "absent"}))
}
