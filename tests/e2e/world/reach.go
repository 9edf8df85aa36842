package world

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Reached tells which ports of a pod (NAMESPACE/POD) are answered at to somebody in the pod, and to an unprotected pod of the cluster:
// all at which anybody in it listens by TCP, at whatever address, and those that are said. At these a program of this machine's listens
// meanwhile, on every address of the pod's own interface: what a VPN client's servers would be that are not bound to the loopback.
func (w World) Reached(ctx context.Context, pod string, also ...uint16) (inside, outside []uint16, err error) {
	at, err := w.Address(ctx, pod)
	if err != nil {
		return nil, nil, err
	}
	listening, end := context.WithCancel(ctx)
	defer end()
	for _, port := range also {
		go func() { // until it is ended below
			_, _ = w.Lab(listening, "exec", "--pod", pod, "--", "timeout", "30", "busybox", "httpd", "-f", "-p", netip.AddrPortFrom(at, port).String(), "-h", "/srv")
		}()
	}
	var ports []uint16
	err = Until(ctx, 20*time.Second, func() string {
		if ports, err = w.listening(ctx, pod); err != nil {
			return err.Error()
		}
		for _, port := range also {
			if !slices.Contains(ports, port) {
				return fmt.Sprintf("nobody listens at port %d of %s yet: %v", port, pod, ports)
			}
		}
		return ""
	})
	if err != nil {
		return nil, nil, err
	}
	if inside, err = w.answered(ctx, pod, at, ports); err != nil {
		return nil, nil, err
	}
	outside, err = w.answered(ctx, Plain, at, ports)
	return inside, outside, err
}

// listening are the ports at which anybody in a pod's network listens.
func (w World) listening(ctx context.Context, pod string) ([]uint16, error) {
	out, err := w.Lab(ctx, "exec", "--pod", pod, "--", "cat", "/proc/net/tcp", "/proc/net/tcp6")
	if err != nil {
		return nil, err
	}
	return sockets(out, listen)
}

// States of a socket that is nobody's yet: of TCP's, and of UDP's (include/net/tcp_states.h).
const listen, unconnected = "0A", "07"

// sockets reads the ports of those in a state from the kernel's tables (Documentation/networking/proc_net_tcp.rst).
func sockets(table, state string) (ports []uint16, err error) {
	for line := range strings.Lines(table) {
		f := strings.Fields(line)
		if len(f) < 4 || f[3] != state {
			continue
		}
		_, port, _ := strings.Cut(f[1], ":")
		b, err := hex.DecodeString(port)
		if err != nil || len(b) != 2 {
			return nil, fmt.Errorf("cannot read the kernel's table of sockets: %q", line)
		}
		ports = append(ports, uint16(b[0])<<8|uint16(b[1]))
	}
	slices.Sort(ports)
	return slices.Compact(ports), nil
}

// answered are the ports of an address at which somebody is there for who asks from inside a pod's network. A refusal is an answer as
// well, because the question has come there.
func (w World) answered(ctx context.Context, from string, at netip.Addr, ports []uint16) (there []uint16, err error) {
	const ask = `for p in "${@:2}"; do (timeout 3 bash -c "<>/dev/tcp/$1/$p" 2>/dev/null; [ $? = 124 ] || echo "$p") & done; wait`
	command := []string{"exec", "--pod", from, "--", "bash", "-c", ask, "ask", at.String()}
	for _, p := range ports {
		command = append(command, fmt.Sprint(p))
	}
	out, err := w.Lab(ctx, command...)
	if err != nil {
		return nil, err
	}
	for _, word := range strings.Fields(out) {
		p, err := strconv.ParseUint(word, 10, 16)
		if err != nil {
			return nil, fmt.Errorf("cannot read who answered in %s: %q", from, word)
		}
		there = append(there, uint16(p))
	}
	slices.Sort(there)
	return there, nil
}
