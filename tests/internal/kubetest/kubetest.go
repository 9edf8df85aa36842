// Package kubetest gives tests a real API server: etcd and kube-apiserver, the programs of the lab's node, on loopback in a
// network namespace of their own where the tests run as root. Nothing else of a cluster runs: no object moves by itself.
package kubetest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// Server is the API server of this test binary.
type Server struct {
	Admin      *kubernetes.Clientset // straight to the server, as its administrator
	Kubeconfig string                // the same for other programs

	admin *rest.Config
	jujus string // the program that does what Juju does
}

// inside says to the test binary that it is where it wants to be.
const inside = "KUBETEST_INSIDE"

// Main is the body of TestMain: it starts the server, hands it to ready, and runs the tests. What is missing fails the
// tests; nothing is skipped.
func Main(m *testing.M, ready func(*Server)) {
	code, err := run(m, ready)
	if err != nil {
		fmt.Fprintln(os.Stderr, "kubetest:", err)
		os.Exit(1)
	}
	os.Exit(code)
}

func run(m *testing.M, ready func(*Server)) (int, error) {
	p, err := findPrograms()
	if err != nil {
		return 1, err
	}
	if os.Getuid() == 0 && os.Getenv(inside) == "" {
		return again()
	}
	if os.Getenv(inside) != "" {
		if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
			return 1, fmt.Errorf("cannot set the loopback up: %w: %s", err, out)
		}
	}
	runtime.LockOSThread() // the server dies with the thread that started it
	dir, err := os.MkdirTemp("", "kubetest-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	s, stop, err := start(dir, p)
	if err != nil {
		return 1, err
	}
	defer stop()
	ready(s)
	return m.Run(), nil
}

// again runs this test binary once more, with a network and mounts of its own.
func again() (int, error) {
	self, err := os.Executable()
	if err != nil {
		return 1, err
	}
	cmd := exec.Command(self, os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), inside+"=1")
	runtime.LockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode(), nil
	}
	return 0, err
}
