//go:build datapath

package guard

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/tests/internal/ns"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/guard"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// agent is the program in a pod, with its file.
type agent struct {
	*testing.T
	program, config, socket string
	pod                     *ns.NS
	running                 *exec.Cmd
	said                    strings.Builder
}

func newAgent(t *testing.T, pod *ns.NS) *agent {
	dir := t.TempDir()
	return &agent{T: t, program: program, config: filepath.Join(dir, "agent.json"), socket: filepath.Join(dir, "run", "agent.sock"), pod: pod}
}

// program is the agent, built once.
var program string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "agent")
	if err == nil {
		defer os.RemoveAll(dir)
		program = filepath.Join(dir, "agent")
		var out []byte
		if out, err = exec.Command("go", "build", "-o", program, "../../../vpnk8slib/agent/cmd").CombinedOutput(); err != nil {
			err = fmt.Errorf("%w: %s", err, out)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "cannot build the agent:", err)
		os.Exit(1)
	}
	m.Run()
}

// write replaces the file, as the kubelet does: at once.
func (a *agent) write(text string) {
	a.Helper()
	require.NoError(a, os.WriteFile(a.config+".new", []byte(text), 0o600))
	require.NoError(a, os.Rename(a.config+".new", a.config))
}

func (a *agent) rules(g overlay.Guard) {
	a.Helper()
	text, err := json.Marshal(overlay.Config{Guard: g})
	require.NoError(a, err)
	a.write(string(text))
}

func (a *agent) start() {
	a.Helper()
	a.running = exec.Command(a.program, "guard", "--config", a.config, "--socket", a.socket)
	a.running.Stderr = &a.said
	require.NoError(a, a.pod.Do(a.T, a.running.Start))
	a.Cleanup(func() {
		_ = a.running.Process.Kill()
		_ = a.running.Wait()
	})
}

// report asks the agent as the charm does, by the socket: in whatever network namespace.
func (a *agent) report() (r overlay.Report) {
	out, err := exec.Command(a.program, "status", "--socket", a.socket).Output()
	if err == nil {
		require.NoError(a, json.Unmarshal(out, &r))
	}
	return r
}

// until waits for a report.
func (a *agent) until(what string, holds func(overlay.GuardState) bool) overlay.Report {
	a.Helper()
	var r overlay.Report
	require.Eventually(a, func() bool { r = a.report(); return holds(r.Guard) }, 5*time.Second, 20*time.Millisecond, what)
	return r
}

func standing(g overlay.GuardState) bool { return g.Standing && g.Error == "" }

// Whoever changes the guard, it is as it was in the next moment; and it stays when the agent is killed.
func TestTheAgentKeepsTheGuard(t *testing.T) {
	s := newStage(t)
	a := newAgent(t, s.pod)
	a.rules(rules)
	a.start()
	report := a.until("it stands", standing)
	assert.True(t, report.Guard.Raw)
	assert.Equal(t, s.pod.Inode(t), report.Namespace)

	require.NoError(t, s.pod.Do(t, func() error { return udp(9000, nil)(netip.MustParseAddr("198.18.1.1")) }))
	require.Zero(t, s.counted.Of("198.18.1.1"))
	assert.Positive(t, a.report().Guard.Dropped[guard.Out])

	require.NoError(t, s.pod.Do(t, guard.Remove))
	a.until("it stands again", func(g overlay.GuardState) bool { return standing(g) && g.Repairs == 1 })
	require.NoError(t, s.pod.Do(t, func() error { return udp(9000, nil)(netip.MustParseAddr("198.18.1.1")) }))
	assert.Zero(t, s.counted.Of("198.18.1.1"), "LEAK")

	// Somebody lets one address of the world in among the cluster's.
	require.NoError(t, s.pod.Do(t, func() error {
		conn, err := nftables.New()
		if err != nil {
			return err
		}
		set, err := conn.GetSetByName(&nftables.Table{Name: guard.Table, Family: nftables.TableFamilyINet}, "cluster4")
		if err != nil {
			return err
		}
		err = conn.SetAddElements(set, []nftables.SetElement{{Key: []byte{198, 18, 1, 1}}, {Key: []byte{198, 18, 1, 2}, IntervalEnd: true}})
		if err != nil {
			return err
		}
		return conn.Flush()
	}))
	a.until("the hole is closed", func(g overlay.GuardState) bool { return standing(g) && g.Repairs == 2 })
	require.NoError(t, s.pod.Do(t, func() error { return udp(9000, nil)(netip.MustParseAddr("198.18.1.1")) }))
	assert.Zero(t, s.counted.Of("198.18.1.1"), "LEAK")
	before := a.report().Guard.Dropped[guard.Out]

	require.NoError(t, a.running.Process.Kill())
	_ = a.running.Wait()
	require.NoError(t, s.pod.Do(t, func() error { return udp(9000, nil)(netip.MustParseAddr("198.18.1.1")) }))
	assert.Zero(t, s.counted.Of("198.18.1.1"), "LEAK")
	a.start()
	report = a.until("the next agent takes it over", standing)
	assert.Greater(t, report.Guard.Dropped[guard.Out], before, "it goes on counting")
	time.Sleep(2500 * time.Millisecond) // until it has looked once more
	assert.Zero(t, a.report().Guard.Repairs, "nobody has changed anything since")
}

// The cluster's networks change; a file that cannot be read changes nothing.
func TestTheAgentFollowsItsFile(t *testing.T) {
	s := newStage(t)
	s.listen(6881)
	a := newAgent(t, s.pod)
	a.write("{")
	a.start()
	report := a.until("it says what is wrong", func(g overlay.GuardState) bool { return g.Error != "" })
	assert.False(t, report.Guard.Standing)
	assert.Contains(t, report.Guard.Error, a.config)

	a.rules(rules)
	a.until("it stands", standing)
	_, err := s.from(s.world, moment, "198.18.2.1", "10.42.0.5:6881")
	require.Error(t, err)

	more := rules
	more.Inbound = []uint16{8080, 6881}
	a.rules(more)
	assert.Eventually(t, func() bool {
		_, err := s.from(s.world, moment, "198.18.2.2", "10.42.0.5:6881")
		return err == nil
	}, 5*time.Second, 50*time.Millisecond)
	assert.Zero(t, a.report().Guard.Repairs, "a change of the file is no repair")

	a.write(`{"guard": {"device": "eth0"}}`)
	report = a.until("it says what is wrong", func(g overlay.GuardState) bool { return g.Error != "" })
	assert.True(t, report.Guard.Standing, "the last rules stay")
	assert.Contains(t, report.Guard.Error, "overlay must be")
	require.NoError(t, s.pod.Do(t, func() error { return udp(9000, nil)(netip.MustParseAddr("198.18.2.3")) }))
	assert.Zero(t, s.counted.Of("198.18.2.3"), "LEAK")
}

// As an init container it lays the guard and ends, and ends well in any case.
func TestTheAgentAsInitContainer(t *testing.T) {
	s := newStage(t)
	a := newAgent(t, s.pod)
	once := func() string {
		var out []byte
		require.NoError(t, s.pod.Do(t, func() (err error) {
			out, err = exec.Command(a.program, "guard", "--once", "--config", a.config).CombinedOutput()
			return err
		}))
		return string(out)
	}
	assert.Contains(t, once(), "no such file")
	a.rules(rules)
	assert.Contains(t, once(), "the guard stands")
	require.NoError(t, s.pod.Do(t, func() error { return udp(9000, nil)(netip.MustParseAddr("198.18.3.1")) }))
	assert.Zero(t, s.counted.Of("198.18.3.1"), "LEAK")
}
