// Package agent runs the agent as a pod's container does: in the pod's network namespace, with its files.
package agent

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/tests/internal/ns"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// program is the agent, built once.
var program string

// Main runs a package's tests with the agent built.
func Main(m *testing.M) int {
	dir, err := os.MkdirTemp("", "agent")
	if err == nil {
		defer os.RemoveAll(dir)
		program = filepath.Join(dir, "agent")
		var out []byte
		if out, err = exec.Command("go", "build", "-o", program, "github.com/charmarr/charmarr-go/vpnk8slib/agent/cmd").CombinedOutput(); err != nil {
			err = fmt.Errorf("%w: %s", err, out)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "cannot build the agent:", err)
		return 1
	}
	return m.Run()
}

// Agent is the program in a pod, with its files.
type Agent struct {
	*testing.T
	Command string // its subcommand
	File    string // its configuration
	Started time.Time
	Flags   []string // more of them
	Env     []string // beside the test's own

	pod     *ns.NS
	dir     string
	running *exec.Cmd
	said    output
}

// New is one that does not run yet.
func New(t *testing.T, pod *ns.NS, command string) *Agent {
	dir := t.TempDir()
	return &Agent{T: t, Command: command, pod: pod, dir: dir, File: filepath.Join(dir, "agent.json")}
}

// Write replaces the configuration, as the kubelet does: at once.
func (a *Agent) Write(text string) {
	a.Helper()
	require.NoError(a, os.WriteFile(a.File+".new", []byte(text), 0o600))
	require.NoError(a, os.Rename(a.File+".new", a.File))
}

// Configure writes a configuration.
func (a *Agent) Configure(c overlay.Config) {
	a.Helper()
	text, err := json.Marshal(c)
	require.NoError(a, err)
	a.Write(string(text))
}

// Key gives it a key.
func (a *Agent) Key(name, key string) {
	a.Helper()
	require.NoError(a, os.WriteFile(filepath.Join(a.dir, name), []byte(key), 0o600))
}

// Init is the pod's init container, before any other runs: it ends, and well, and says what it did. By is a command that runs it.
func (a *Agent) Init(by ...string) string {
	a.Helper()
	var out []byte
	require.NoError(a, a.pod.Do(a.T, func() (err error) {
		command := append(by, program, "guard", "--once", "--config", a.File)
		out, err = exec.Command(command[0], command[1:]...).CombinedOutput()
		return err
	}))
	return string(out)
}

// Start starts it. It ends with the test, if nothing has ended it before.
func (a *Agent) Start() {
	a.Helper()
	a.Cleanup(func() {
		if a.Failed() {
			a.Logf("the %s's agent said:\n%s", a.Command, a.said.String())
		}
	})
	a.running = exec.Command(program, append([]string{a.Command, "--config", a.File, "--keys", a.dir, "--socket", a.Socket()}, a.Flags...)...)
	a.running.Env = append(os.Environ(), a.Env...)
	a.running.Stderr = &a.said
	a.Started = time.Now()
	require.NoError(a, a.pod.Do(a.T, a.running.Start))
	a.Cleanup(a.Kill)
}

// Socket is where it answers its charm.
func (a *Agent) Socket() string { return filepath.Join(a.dir, "run", "agent.sock") }

// Kill ends it without a chance to say or do anything.
func (a *Agent) Kill() {
	_ = a.running.Process.Kill()
	_ = a.running.Wait()
}

// Pid is the process that runs now.
func (a *Agent) Pid() int { return a.running.Process.Pid }

// Report asks it as the charm does, by the socket: in whatever network namespace. It is empty when nobody answers.
func (a *Agent) Report() (r overlay.Report) {
	out, err := exec.Command(program, "status", "--socket", a.Socket()).Output()
	if err == nil {
		require.NoError(a, json.Unmarshal(out, &r))
	}
	return r
}

// Told counts how often it has said something in its log.
func (a *Agent) Told(what string) int { return strings.Count(a.said.String(), what) }

// Until waits for a report.
func (a *Agent) Until(what string, holds func(overlay.Report) bool) (r overlay.Report) {
	a.Helper()
	if !eventually(func() bool { r = a.Report(); return holds(r) }) {
		require.Failf(a, "it did not come to that", "%s\n%+v\n%s", what, r, a.said.String())
	}
	return r
}

// patience is what a busy machine may take.
const patience = 10 * time.Second

func eventually(holds func() bool) bool {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if holds() {
			return true
		}
	}
	return false
}

// output may be read while it is written.
type output struct {
	mu   sync.Mutex
	text strings.Builder
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
