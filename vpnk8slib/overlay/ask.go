package overlay

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
)

// SocketDir is a folder that the agent's container and the charm's share, and no other. In it is the Socket on which the agent
// answers.
const (
	SocketDir = "/run/vpn-agent"
	Socket    = SocketDir + "/agent.sock"
)

// WireGuardDir is where a WireGuard that is not the kernel's is asked about its devices: wireguard-go makes a socket there for each of them
// (ipc/uapi_unix.go). A gateway's VPN client and the agent share it.
const WireGuardDir = "/var/run/wireguard"

// PodVariable is the environment variable with the name of the agent's pod.
const PodVariable = "POD_NAME"

// Ask asks the agent behind a socket.
func Ask(ctx context.Context, socket string) (r Report, err error) {
	err = call(ctx, socket, http.MethodGet, "/v1/report", &r)
	return r, err
}

// call asks the agent behind a socket, and reads its answer. What it refuses it says in a line.
func call(ctx context.Context, socket, method, path string, into any) error {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	request, err := http.NewRequestWithContext(ctx, method, "http://agent"+path, nil)
	if err != nil {
		return err
	}
	answer, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("cannot ask the agent: %w", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		const most = 1024
		why, _ := io.ReadAll(io.LimitReader(answer.Body, most)) // half of it is better than none
		return fmt.Errorf("cannot have the agent do it: %s", strings.TrimSpace(string(why)))
	}
	if into == nil {
		return nil
	}
	if err := json.NewDecoder(answer.Body).Decode(into); err != nil {
		return fmt.Errorf("cannot read the agent's answer: %w", err)
	}
	return nil
}

// Leave tells the agent behind a socket that its pod is about to end: another unit may have the tunnel from now on.
func Leave(ctx context.Context, socket string) error {
	return call(ctx, socket, http.MethodPost, LeavePath, nil)
}

// Stay tells it that the pod does not end after all.
func Stay(ctx context.Context, socket string) error {
	return call(ctx, socket, http.MethodDelete, LeavePath, nil)
}

// LeavePath is where it is told so, by POST, and by DELETE that it is not so any more.
const LeavePath = "/v1/leave"

// Namespace is the inode of this process's network namespace: of a pod, and of no other on its node.
func Namespace() (uint64, error) {
	info, err := os.Stat("/proc/self/ns/net")
	if err != nil {
		return 0, fmt.Errorf("cannot tell this pod from others: %w", err)
	}
	return info.Sys().(*syscall.Stat_t).Ino, nil
}
