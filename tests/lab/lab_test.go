// Package lab_test holds the lab to its word: two at once do not meet, and what goes down leaves nothing.
package lab_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// lab is the lab's own program with a state folder of the test's.
type lab struct {
	t            *testing.T
	program, dir string
}

func (l lab) run(args ...string) string {
	l.t.Helper()
	cmd := exec.Command(l.program, args...)
	cmd.Env = append(os.Environ(), "LAB_DIR="+l.dir)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(l.t, err, "lab %s: %s", strings.Join(args, " "), stderr.String())
	return string(out)
}

// file is one of the lab's state folder.
func (l lab) file(name string) string {
	l.t.Helper()
	data, err := os.ReadFile(filepath.Join(l.dir, name))
	require.NoError(l.t, err)
	return string(data)
}

// machine is what a lab could leave behind outside its namespaces.
func machine(t *testing.T) map[string]string {
	t.Helper()
	state := map[string]string{}
	for name, command := range map[string]string{
		"links":      "ip -br link | awk '{print $1}' | sort",
		"namespaces": "ip netns list",
		"firewall":   "nft list ruleset",
		"routes":     "ip route; ip -6 route",
		"cgroups":    "find /sys/fs/cgroup -maxdepth 2 -name 'charmarr-*' | sort",
		"sysctls":    "sysctl -n vm.overcommit_memory vm.panic_on_oom kernel.panic kernel.panic_on_oops kernel.keys.root_maxkeys kernel.keys.root_maxbytes net.ipv4.ip_forward",
		"shared":     "ls -A /run/charmarr-lab 2>/dev/null || true",
	} {
		out, err := exec.Command("bash", "-o", "pipefail", "-c", command).Output()
		require.NoError(t, err, command)
		state[name] = string(out)
	}
	return state
}

// processes lists what still runs with a folder in its command line or environment's LAB_DIR.
func processes(t *testing.T, dir string) (left []string) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	for _, f := range files {
		line, err := os.ReadFile(f)
		if err == nil && bytes.Contains(line, []byte(dir)) {
			left = append(left, strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return left
}

func TestTwoLabsAtOnce(t *testing.T) {
	if os.Getuid() != 0 {
		t.Fatal("the lab makes namespaces: run this as root")
	}
	program := filepath.Join(t.TempDir(), "lab")
	out, err := exec.Command("go", "build", "-trimpath", "-o", program, "./cmd/lab").CombinedOutput()
	require.NoError(t, err, string(out))
	labs := []lab{{t, program, filepath.Join(t.TempDir(), "a")}, {t, program, filepath.Join(t.TempDir(), "b")}}
	labs[0].run("down") // puts back what a lab left that was killed before us
	before := machine(t)

	for _, l := range labs {
		t.Cleanup(func() { _ = l.run("down") }) // once more does nothing
	}
	var both sync.WaitGroup
	for _, l := range labs {
		both.Add(1)
		go func() {
			defer both.Done()
			cmd := exec.Command(l.program, "up")
			cmd.Env = append(os.Environ(), "LAB_DIR="+l.dir)
			out, err := cmd.CombinedOutput()
			assert.NoError(t, err, string(out))
		}()
	}
	both.Wait()
	if t.Failed() {
		return
	}

	// Each has a node, a controller and a world of its own: what leaves one is seen in that one only.
	for n, l := range labs {
		l.run("kubectl", "wait", "--for=condition=Ready", "node/lab", "--timeout=10s")
		l.run("juju", "add-model", "only-"+filepath.Base(l.dir))
		dst := []string{"203.0.113.21", "203.0.113.22"}[n]
		var seen struct{ Seen, Error string }
		require.NoError(t, json.Unmarshal([]byte(l.run("probe", "--plain", "http", dst)), &seen))
		assert.Equal(t, "198.51.100.1", seen.Seen, seen.Error)
	}
	for n, l := range labs {
		own, other := "203.0.113.2"+[]string{"1", "2"}[n], "203.0.113.2"+[]string{"2", "1"}[n]
		assert.Positive(t, uplink(t, l, own))
		assert.Zero(t, uplink(t, l, other))
		assert.Contains(t, l.run("juju", "models"), "only-"+filepath.Base(l.dir))
		assert.NotContains(t, l.run("juju", "models"), "only-"+filepath.Base(labs[1-n].dir))
	}

	// To the VPN's server a pod's packets are a VPN's at its ports, and a stranger's at all others.
	labs[0].run("exec", "--pod", "default/plain", "--", "bash", "-c", "echo x >/dev/udp/198.51.100.200/443; echo x >/dev/udp/198.51.100.200/51820")
	assert.Regexp(t, `\. 198\.51\.100\.200 counter packets 1 `, labs[0].run("exec", "--net", "--", "nft", "list", "set", "inet", "uplink", "from4"))

	// A pod that joins with the lowest hardware address of all does not take another's way to its node.
	for _, command := range []string{"ip link add low0 address 02:00:00:00:00:01 type veth peer name low1", "ip link set low0 master pods0 up"} {
		labs[0].run(append([]string{"exec", "--net", "--"}, strings.Fields(command)...)...)
	}
	for _, kind := range []string{"http", "udp"} {
		assert.Contains(t, labs[0].run("probe", "--plain", kind, "203.0.113.23"), "198.51.100.1")
	}
	labs[0].run("exec", "--net", "--", "ip", "link", "del", "low0")

	// One goes; the other stays.
	labs[0].run("down")
	assert.Empty(t, processes(t, labs[0].dir))
	labs[1].run("kubectl", "get", "nodes")
	labs[1].run("juju", "models")

	// The other one is killed. Whoever takes a lab down next, puts back what it left of the machine.
	pid := strings.Fields(labs[1].file("pid"))[0]
	out, err = exec.Command("kill", "-KILL", pid).CombinedOutput()
	require.NoError(t, err, string(out))
	require.Eventually(t, func() bool { return len(processes(t, labs[1].dir)) == 0 }, 10*time.Second, 50*time.Millisecond)
	assert.NotEqual(t, before, machine(t))
	labs[0].run("down")
	assert.Equal(t, before, machine(t), "what two labs left behind")
	labs[1].run("down")
	assert.Empty(t, processes(t, labs[1].dir))
	assert.Equal(t, before, machine(t), "what two labs left behind")
}

func uplink(t *testing.T, l lab, dst string) int {
	t.Helper()
	var counts map[string]struct{ Uplink int }
	require.NoError(t, json.Unmarshal([]byte(l.run("count", dst)), &counts))
	require.Contains(t, counts, dst)
	return counts[dst].Uplink
}
