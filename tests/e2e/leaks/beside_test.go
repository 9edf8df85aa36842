//go:build leaks

package leaks

import (
	"bytes"
	"context"
	"encoding/json"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/tests/e2e/world"
)

// beside is who sends from a workload's container whether the workload may run or not, as anybody does who has a shell in it: again after
// each end of it.
type beside struct {
	running sync.Mutex // held while it may

	mu   sync.Mutex
	last map[string]int // how many of each kind, by the process that runs
	sum  map[string]int // by those before it
}

func (b *beside) sent(kind string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.sum[kind] + b.last[kind]
}

// Write takes the program's lines: how many it has sent.
func (b *beside) Write(text []byte) (int, error) {
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	b.mu.Lock()
	defer b.mu.Unlock()
	sent := map[string]int{}
	if json.Unmarshal(lines[len(lines)-1], &sent) == nil { // the next one tells of all
		b.last = sent
	}
	return len(text), nil
}

// run keeps one of the probe's programs going in a pod wherever it may, until the test ends, or who called ends it.
func (s *stage) run(of, container string, may func(context.Context) bool, program ...string) (b *beside, end func()) {
	b = &beside{last: map[string]int{}, sum: map[string]int{}}
	namespace, name, _ := strings.Cut(of, "/")
	end = s.again(200*time.Millisecond, func(ctx context.Context) {
		b.running.Lock()
		defer b.running.Unlock()
		if !may(ctx) {
			return
		}
		// By a process group of its own, which ends with the test; in the pod it ends with its container.
		cmd := exec.CommandContext(ctx, s.Root+"/build/bin/lab",
			append([]string{"kubectl", "-n", namespace, "exec", name, "-c", container, "--", "/usr/bin/probe"}, program...)...)
		cmd.Env = append(cmd.Environ(), "LAB_DIR="+s.Dir)
		cmd.WaitDelay = time.Second // what it has begun in the pod may hold its output
		cmd.Stdout = b
		_ = cmd.Run() // its end is the pod's, or the test's
		b.mu.Lock()
		defer b.mu.Unlock()
		for kind, n := range b.last {
			b.sum[kind] += n
		}
		b.last = map[string]int{}
	})
	return b, end
}

// guarded says whether the client's pod is one of ours, which is closed before anybody can run in it. Nobody protects what is asked for in
// another: its policy admits the cluster's resolver, who asks outside for whoever asks it.
func (s *stage) guarded(ctx context.Context) bool {
	containers, err := s.Kubectl(ctx, "-n", s.model, "get", "pod", pod, "-o", "jsonpath={.spec.initContainers[*].name}")
	return err == nil && strings.Contains(containers, "vpn-guard")
}

// still lets time pass in which the workload may not run: who has a shell beside it sends all the same.
func (s *stage) still() {
	s.Helper()
	_, err := s.Sender(s.Context(), s.client(), app)
	require.Error(s, err, "the workload runs")
	before := map[string]int{}
	for _, kind := range kinds {
		before[kind] = s.also(kind)
	}
	require.NoError(s, world.Until(s.Context(), 20*time.Second, func() string {
		for _, kind := range kinds {
			if s.also(kind) < before[kind]+40 {
				return "not much of " + kind + " is sent beside the workload"
			}
		}
		return ""
	}))
}

func (s *stage) also(kind string) int {
	if kind == "dns" {
		return s.names[s.client()].sent(kind)
	}
	return s.beside.sent(kind)
}

// hush has nobody ask for names in a pod until the function that it returns is called.
func (s *stage) hush(of string) (resume func()) {
	s.Helper()
	n, quiet := s.names[of], make(chan struct{})
	go func() {
		n.running.Lock()
		close(quiet)
	}()
	require.NoError(s, world.Until(s.Context(), 20*time.Second, func() string {
		_ = s.Signal(s.Context(), of, "KILL", "^[^ ]*/probe names ") // it may have ended, or not begun
		select {
		case <-quiet:
			return ""
		case <-time.After(time.Second):
			return "names are still asked for in " + of
		}
	}))
	return n.running.Unlock
}
