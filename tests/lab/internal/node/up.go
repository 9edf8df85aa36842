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
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil || syscall.Kill(pid, 0) != nil {
		return 0, errors.New("the lab is not up, and its state folder says it was; run: lab down")
	}
	return pid, nil
}

// Up brings the node up from nothing and waits until it schedules pods.
func Up(ctx context.Context, lab where.Lab) error {
	if err := os.RemoveAll(lab.Dir); err != nil {
		return err
	}
	if err := errors.Join(writePKI(lab), writeConfigs(lab)); err != nil {
		return fmt.Errorf("cannot write the node's configuration: %w", err)
	}
	if err := saveSysctls(lab); err != nil {
		return err
	}
	if err := makeCgroups(lab); err != nil {
		return err
	}
	if err := startInside(lab); err != nil {
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
func startInside(lab where.Lab) error {
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
	if err := os.WriteFile(lab.Path("pid"), []byte(strconv.Itoa(cmd.Process.Pid)), 0o644); err != nil {
		return err
	}
	for range 300 {
		select {
		case err := <-gone:
			text, _ := os.ReadFile(lab.Path("log", "inside.log"))
			return fmt.Errorf("the lab's first process ended: %v\n%s", err, text)
		case <-time.After(100 * time.Millisecond):
		}
		if _, err := os.Stat(lab.Path("inside-up")); err == nil {
			return nil
		}
	}
	return errors.New("the lab's network does not come up; see: lab logs inside")
}

// Down ends the lab and removes what it made outside its namespaces. The kernel ends every process, pod, mount and
// network with the first process.
func Down(lab where.Lab) error {
	if pid, err := PID(lab); err == nil {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			return fmt.Errorf("cannot end the lab: %w", err)
		}
		for range 200 {
			if syscall.Kill(pid, 0) != nil || zombie(pid) {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	if err := errors.Join(removeCgroups(lab), restoreSysctls(lab)); err != nil {
		return err
	}
	err := os.Remove(lab.Path("pid"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

func zombie(pid int) bool {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, after, _ := strings.Cut(string(data), ") ")
	return err == nil && strings.HasPrefix(after, "Z")
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
	kubectl, err := where.Program("kubectl")
	if err == nil {
		var cmd *exec.Cmd
		if cmd, err = Enter(ctx, lab, append([]string{kubectl, "--kubeconfig", lab.Path("pki", "admin.kubeconfig")}, args...)...); err == nil {
			return cmd
		}
	}
	return &exec.Cmd{Err: err}
}

// Juju is the unmodified juju program as the lab controller's user.
func Juju(ctx context.Context, lab where.Lab, args ...string) *exec.Cmd {
	program, err := where.Program("juju")
	if err == nil {
		var cmd *exec.Cmd
		if cmd, err = Enter(ctx, lab, append([]string{"env", "JUJU_DATA=" + JujuData(lab), program}, args...)...); err == nil {
			return cmd
		}
	}
	return &exec.Cmd{Err: err}
}

func wait(ctx context.Context, limit time.Duration, try func() error) (err error) {
	deadline := time.Now().Add(limit)
	for time.Now().Before(deadline) {
		if err = try(); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
	return err
}
