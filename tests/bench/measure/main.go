// Command measure runs one dispatch of a charm and tells what it took, as JSON on standard output. It runs inside the charm
// container, in a hook's context.
//
//	measure wall ./dispatch    nothing between the charm and its hook tools: wall time, CPU time of the whole tree
//	measure tools ./dispatch   every hook tool counted, and the dispatch process told apart from them
//	measure nothing            what any process costs here: a Go program that ends at once
//
// Two runs, because counting costs time of its own. Called by the name of a hook tool, it is that tool's counter.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/charmarr/charmarr-go/tests/bench/internal/taken"
)

// countFile names the variable that holds the path to which a counter appends its line, "NAME NANOSECONDS-OF-CPU".
const countFile = "MEASURE_COUNTS"

func main() {
	name := filepath.Base(os.Args[0])
	if file := os.Getenv(countFile); file != "" && name != "measure" {
		os.Exit(count(name, file))
	}
	if len(os.Args) == 2 && os.Args[1] == "nothing" {
		return
	}
	if len(os.Args) < 3 || (os.Args[1] != "wall" && os.Args[1] != "tools") {
		fmt.Fprintln(os.Stderr, "usage: measure wall|tools COMMAND [ARG ...]\n       measure nothing")
		os.Exit(2)
	}
	m, err := measure(os.Args[1] == "tools", os.Args[2:])
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(m)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "measure:", err)
		os.Exit(1)
	}
}

func measure(tools bool, argv []string) (m taken.Taken, err error) {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr // standard output is the answer's
	file := ""
	if tools {
		dir, err := os.MkdirTemp("", "measure")
		if err != nil {
			return m, err
		}
		defer os.RemoveAll(dir)
		if cmd.Env, file, err = counters(dir); err != nil {
			return m, err
		}
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return m, err
	}
	stop, peak := make(chan struct{}), make(chan float64, 1)
	if tools {
		go watch(cmd.Process.Pid, stop, peak)
	}
	err = cmd.Wait()
	ended := time.Now()
	if cmd.ProcessState == nil {
		return m, err
	}
	m = taken.Taken{Began: began.UnixNano(), Ended: ended.UnixNano(), Exit: cmd.ProcessState.ExitCode(), Wall: ended.Sub(began).Seconds(),
		CPU: (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()}
	if !tools {
		return m, nil
	}
	close(stop)
	m.RSS = <-peak
	var others time.Duration
	if m.Tools, others, err = counted(file); err != nil {
		return m, err
	}
	m.Own = m.CPU - others.Seconds()
	return m, nil
}

// watch follows the most that a process has had resident, in MiB, until stop. The kernel's own answer at the end of a
// process is the larger of its own and its children's, and a hook tool is larger than a charm.
func watch(pid int, stop <-chan struct{}, peak chan<- float64) {
	most := 0.0
	for {
		if data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)); err == nil {
			if _, after, ok := bytes.Cut(data, []byte("VmHWM:")); ok {
				if kib, err := strconv.ParseFloat(string(bytes.Fields(after)[0]), 64); err == nil {
					most = max(most, kib/1024)
				}
			}
		}
		select {
		case <-stop:
			peak <- most
			return
		case <-time.After(time.Millisecond):
		}
	}
}

// counters makes a folder in which every hook tool's name is this program, and the environment that has it first on PATH.
// The hook tools are the links to Juju's own program, next to that of the tool that every hook has.
func counters(dir string) (env []string, file string, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, "", err
	}
	known, err := exec.LookPath("status-set")
	if err != nil {
		return nil, "", fmt.Errorf("cannot find the hook tools: %w", err)
	}
	tools, err := os.ReadDir(filepath.Dir(known))
	if err != nil {
		return nil, "", err
	}
	for _, tool := range tools {
		if tool.Type()&os.ModeSymlink == 0 {
			continue
		}
		if err := os.Symlink(self, filepath.Join(dir, tool.Name())); err != nil {
			return nil, "", err
		}
	}
	file = filepath.Join(dir, ".counts")
	return append(os.Environ(), countFile+"="+file, "PATH="+dir+":"+os.Getenv("PATH")), file, nil
}

// count is one hook tool's counter: it runs the real tool, notes it with what both took, and ends as the tool did.
func count(name, file string) int {
	_ = os.Setenv("PATH", strings.TrimPrefix(os.Getenv("PATH"), filepath.Dir(file)+":"))
	cmd := exec.Command(name, os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err := cmd.Run()
	if cmd.ProcessState == nil {
		fmt.Fprintln(os.Stderr, "measure:", err)
		return 1
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = fmt.Fprintf(f, "%s %d\n", name, cpu(syscall.RUSAGE_SELF)+cpu(syscall.RUSAGE_CHILDREN))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "measure: cannot note a hook tool:", err)
		return 1
	}
	return cmd.ProcessState.ExitCode()
}

func cpu(who int) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(who, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// counted reads what the counters noted.
func counted(file string) (names []string, took time.Duration, err error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, 0, fmt.Errorf("cannot find any hook tool's note: %w", err)
	}
	for line := range strings.Lines(string(data)) {
		name, ns, _ := strings.Cut(strings.TrimSpace(line), " ")
		n, err := strconv.ParseInt(ns, 10, 64)
		if err != nil {
			return nil, 0, fmt.Errorf("cannot read a hook tool's note %q: %w", line, err)
		}
		names, took = append(names, name), took+time.Duration(n)
	}
	return names, took, nil
}
