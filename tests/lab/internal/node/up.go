// Package node makes the lab's one-node Kubernetes: real programs in one set of namespaces, with no way out.
package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/charmarr/charmarr-go/tests/lab/internal/where"
)

// PID is the lab's first process as this machine counts it; an error when the lab is not up.
func PID(lab where.Lab) (int, error) {
	data, err := os.ReadFile(lab.Path("pid"))
	if err != nil {
		return 0, errors.New("the lab is not up; run: lab up")
	}
	var pid int
	var began string
	if _, err := fmt.Sscan(string(data), &pid, &began); err != nil || began == "" || began != startTime(pid) {
		return 0, errors.New("the lab is not up, and its state folder says it was; run: lab down")
	}
	return pid, nil
}

// startTime tells a process from a later one of the same number, after a restart of the machine above all; empty for one
// that has ended. (proc(5): state and starttime in /proc/pid/stat)
func startTime(pid int) string {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, after, _ := strings.Cut(string(data), ") ")
	f := strings.Fields(after)
	if err != nil || len(f) < 20 || f[0] == "Z" {
		return ""
	}
	return f[19]
}

// ours marks a state folder: what has no such file is not removed.
const ours = ".lab"

// clear makes an empty state folder, in the place of an earlier lab's.
func clear(lab where.Lab) error {
	found, err := os.ReadDir(lab.Dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if _, err := os.Stat(lab.Path(ours)); err != nil && len(found) > 0 {
		return fmt.Errorf("cannot use %s for a lab: there is something else in it; set LAB_DIR to a folder that is empty or new", lab.Dir)
	}
	if err := os.RemoveAll(lab.Dir); err != nil {
		return err
	}
	if err := os.MkdirAll(lab.Dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(lab.Path(ours), nil, 0o644)
}

// Up brings the node up from nothing and waits until it schedules pods. What fails half way is taken down again; its logs stay.
func Up(ctx context.Context, lab where.Lab) error {
	if err := clear(lab); err != nil {
		return err
	}
	err := up(ctx, lab)
	if err != nil {
		return errors.Join(err, Down(lab))
	}
	return nil
}

func up(ctx context.Context, lab where.Lab) error {
	if err := errors.Join(writePKI(lab), writeConfigs(lab)); err != nil {
		return fmt.Errorf("cannot write the node's configuration: %w", err)
	}
	if err := errors.Join(saveMachine(lab), bridgeFilter()); err != nil {
		return err
	}
	if err := makeCgroups(lab); err != nil {
		return err
	}
	if err := startInside(ctx, lab); err != nil {
		return err
	}
	where.Say("namespaces and network are there")
	if err := wait(ctx, time.Minute, func() error {
		return Kubectl(ctx, lab, "get", "--raw=/readyz").Run()
	}); err != nil {
		return fmt.Errorf("the API server does not become ready: %w; see: lab logs controlplane", err)
	}
	where.Say("the API server answers")
	if err := wait(ctx, time.Minute, func() error {
		return Kubectl(ctx, lab, "apply", "-f", lab.Path("etc/manifests.yaml")).Run()
	}); err != nil {
		return fmt.Errorf("cannot apply the node's manifests: %w", err)
	}
	if err := wait(ctx, time.Minute, func() error {
		return Kubectl(ctx, lab, "wait", "--for=condition=Ready", "node/"+Name, "--timeout=5s").Run()
	}); err != nil {
		return fmt.Errorf("the node does not become ready: %w; see: lab logs kubelet", err)
	}
	where.Say("the node is ready")
	if err := Kubectl(ctx, lab, "-n", "kube-system", "rollout", "status", "deploy/coredns", "--timeout=120s").Run(); err != nil {
		return fmt.Errorf("the cluster's DNS does not come up: %w; see: lab kubectl -n kube-system describe pods", err)
	}
	where.Say("the cluster's DNS answers")
	if err := startController(ctx, lab); err != nil {
		return err
	}
	where.Say("the Juju controller answers")
	return nil
}

// startInside starts the lab's first process in namespaces of its own and waits until it has made the network.
func startInside(ctx context.Context, lab where.Lab) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	log, err := os.Create(lab.Path("log", "inside.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(self, "inside")
	cmd.Dir = lab.Root
	cmd.Env = append(os.Environ(), "LAB_DIR="+lab.Dir)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWNET | syscall.CLONE_NEWPID}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("cannot make namespaces (this needs root): %w", err)
	}
	gone := make(chan error, 1)
	go func() { gone <- cmd.Wait() }()
	if err := os.WriteFile(lab.Path("pid"), fmt.Appendf(nil, "%d %s", cmd.Process.Pid, startTime(cmd.Process.Pid)), 0o644); err != nil {
		return err
	}
	err = wait(ctx, 3*time.Minute, func() error { // most of it is the import of every image
		select {
		case err := <-gone:
			text, _ := os.ReadFile(lab.Path("log", "inside.log"))
			return stopWaiting{fmt.Errorf("the lab's first process ended: %v\n%s", err, text)}
		default:
			_, err := os.Stat(lab.Path("inside-up"))
			return err
		}
	})
	if err != nil {
		return fmt.Errorf("the lab's network does not come up: %w; see: lab logs inside", err)
	}
	return nil
}

// Down ends the lab and removes what it made outside its namespaces. The kernel ends every process, pod, mount and
// network with the first process. The logs stay in the state folder; all else in it goes, the keys above all.
func Down(lab where.Lab) error {
	if pid, err := PID(lab); err == nil {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			return fmt.Errorf("cannot end the lab: %w", err)
		}
		for range 200 {
			if startTime(pid) == "" {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	if _, err := os.Stat(lab.Path(ours)); err != nil {
		return restoreMachine(lab) // there never was a lab here; one that was killed may have left something
	}
	return errors.Join(removeCgroups(lab), restoreMachine(lab), leaveLogs(lab))
}

func leaveLogs(lab where.Lab) error {
	found, err := os.ReadDir(lab.Dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, f := range found {
		if f.Name() != "log" && f.Name() != ours {
			errs = append(errs, os.RemoveAll(lab.Path(f.Name())))
		}
	}
	return errors.Join(errs...)
}

// Enter is a command inside the node's namespaces, in the caller's working directory.
func Enter(ctx context.Context, lab where.Lab, argv ...string) (*exec.Cmd, error) {
	pid, err := PID(lab)
	if err != nil {
		return nil, err
	}
	dir, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	args := append([]string{"-t", strconv.Itoa(pid), "-m", "-n", "-p", "--", "sh", "-c", `cd "$0" && exec "$@"`, dir}, argv...)
	return exec.CommandContext(ctx, "nsenter", args...), nil
}

// EnterNetwork is a command in the node's network alone: files and processes stay those of this machine, so that the lab
// program works in it as well.
func EnterNetwork(ctx context.Context, lab where.Lab, argv ...string) (*exec.Cmd, error) {
	pid, err := PID(lab)
	if err != nil {
		return nil, err
	}
	return exec.CommandContext(ctx, "nsenter", append([]string{"-t", strconv.Itoa(pid), "-n", "--"}, argv...)...), nil
}

// Kubectl is kubectl as the cluster's administrator.
func Kubectl(ctx context.Context, lab where.Lab, args ...string) *exec.Cmd {
	cmd, err := Enter(ctx, lab, append([]string{lab.Program("kubectl"), "--kubeconfig", lab.Path("pki", "admin.kubeconfig")}, args...)...)
	if err != nil {
		return &exec.Cmd{Err: err}
	}
	return cmd
}

// Juju is the unmodified juju program as the lab controller's user.
func Juju(ctx context.Context, lab where.Lab, args ...string) *exec.Cmd {
	cmd, err := Enter(ctx, lab, append([]string{"env", "JUJU_DATA=" + JujuData(lab), lab.Program("juju")}, args...)...)
	if err != nil {
		return &exec.Cmd{Err: err}
	}
	return cmd
}

// stopWaiting is an error that no later try will mend.
type stopWaiting struct{ error }

func wait(ctx context.Context, limit time.Duration, try func() error) (err error) {
	deadline := time.Now().Add(limit)
	for time.Now().Before(deadline) {
		if err = try(); err == nil || errors.As(err, &stopWaiting{}) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
	return err
}
