package world

import (
	"context"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// ReachedByUDP tells the same of UDP, by which nobody need answer: of the ports at which anybody in a pod has a socket, and of those that are
// said. What is sent there is noted where it has passed everything that could drop it, before a socket is looked for.
func (w World) ReachedByUDP(ctx context.Context, pod string, also ...uint16) (inside, outside []uint16, err error) {
	at, err := w.Address(ctx, pod)
	if err != nil {
		return nil, nil, err
	}
	plain, err := w.Address(ctx, Plain)
	if err != nil {
		return nil, nil, err
	}
	table, err := w.Lab(ctx, "exec", "--pod", pod, "--", "cat", "/proc/net/udp", "/proc/net/udp6")
	if err != nil {
		return nil, nil, err
	}
	ports, err := sockets(table, unconnected)
	if err != nil {
		return nil, nil, err
	}
	if _, err := w.Lab(ctx, "exec", "--pod", pod, "--", "nft", noting); err != nil {
		return nil, nil, err
	}
	defer func() {
		_, _ = w.Lab(context.WithoutCancel(ctx), "exec", "--pod", pod, "--", "nft", "delete table inet reached")
	}()
	const send = `for p in "${@:2}"; do echo hello > "/dev/udp/$1/$p"; done; sleep 1`
	command := []string{"bash", "-c", send, "send", at.String()}
	for _, p := range append(ports, also...) {
		command = append(command, fmt.Sprint(p))
	}
	for _, from := range []string{pod, Plain} {
		if _, err := w.Lab(ctx, append([]string{"exec", "--pod", from, "--"}, command...)...); err != nil {
			return nil, nil, err
		}
	}
	noted, err := w.Lab(ctx, "exec", "--pod", pod, "--", "nft", "-nn", "list set inet reached seen")
	if err != nil {
		return nil, nil, err
	}
	return passed(noted, at), passed(noted, plain), nil
}

// noting are rules that keep who has sent to which port by UDP, at the very end of what is asked of a packet.
const noting = `add table inet reached; add set inet reached seen { type ipv4_addr . inet_service; flags dynamic; size 4096; };
add chain inet reached in { type filter hook input priority 2147483646; policy accept; };
add rule inet reached in meta l4proto udp add @seen { ip saddr . udp dport }`

var note = regexp.MustCompile(`([0-9.]+) \. ([0-9]+)`)

// passed are the ports that an address has reached.
func passed(noted string, from netip.Addr) (ports []uint16) {
	for _, m := range note.FindAllStringSubmatch(noted, -1) {
		if port, err := strconv.ParseUint(m[2], 10, 16); err == nil && m[1] == from.String() {
			ports = append(ports, uint16(port))
		}
	}
	slices.Sort(ports)
	return ports
}

// Address is where the cluster finds a pod (NAMESPACE/POD).
func (w World) Address(ctx context.Context, pod string) (netip.Addr, error) {
	namespace, name, _ := strings.Cut(pod, "/")
	text, err := w.Kubectl(ctx, "-n", namespace, "get", "pod", name, "-o", "jsonpath={.status.podIP}")
	if err != nil {
		return netip.Addr{}, err
	}
	at, err := netip.ParseAddr(strings.TrimSpace(text))
	if err != nil {
		return netip.Addr{}, fmt.Errorf("cannot find %s: %w", pod, err)
	}
	return at, nil
}
