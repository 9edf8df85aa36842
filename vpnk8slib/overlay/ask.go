package overlay

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"syscall"
)

// SocketDir is a folder that the agent's container and the charm's share, and no other. In it is the Socket on which the agent
// answers.
const (
	SocketDir = "/run/vpn-agent"
	Socket    = SocketDir + "/agent.sock"
)

// PodVariable is the environment variable with the name of the agent's pod.
const PodVariable = "POD_NAME"

// Ask asks the agent behind a socket.
func Ask(ctx context.Context, socket string) (r Report, err error) {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://agent/v1/report", nil)
	if err != nil {
		return r, err
	}
	answer, err := client.Do(request)
	if err != nil {
		return r, fmt.Errorf("cannot ask the agent: %w", err)
	}
	defer answer.Body.Close()
	if err := json.NewDecoder(answer.Body).Decode(&r); err != nil {
		return r, fmt.Errorf("cannot read the agent's answer: %w", err)
	}
	return r, nil
}

// Namespace is the inode of this process's network namespace: of a pod, and of no other on its node.
func Namespace() (uint64, error) {
	info, err := os.Stat("/proc/self/ns/net")
	if err != nil {
		return 0, fmt.Errorf("cannot tell this pod from others: %w", err)
	}
	return info.Sys().(*syscall.Stat_t).Ino, nil
}
