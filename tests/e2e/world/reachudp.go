package world

import (
	"context"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ReachedByUDP tells the same of UDP, by which nobody need answer: of the ports at which anybody in a pod has a socket, and of those that are
// said. What is sent there is noted as it comes to the pod, and where it has passed everything that could drop it, before a socket is looked
// for.
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
	noted := func(set string, from netip.Addr) ([]uint16, error) {
		text, err := w.Lab(ctx, "exec", "--pod", pod, "--", "nft", "-nn", "list set inet reached "+set)
		return passed(text, from), err
	}
	ports = append(ports, also...)
	const send = `for p in "${@:2}"; do echo hello > "/dev/udp/$1/$p"; done; sleep 0.2`
	command := []string{"--", "bash", "-c", send, "send", at.String()}
	for _, p := range ports {
		command = append(command, fmt.Sprint(p))
	}
	reached := func(pod string, from netip.Addr) (there []uint16, err error) {
		err = Until(ctx, 30*time.Second, func() string { // a busy machine loses one, or is late with it
			if _, err := w.Lab(ctx, append([]string{"exec", "--pod", pod}, command...)...); err != nil {
				return err.Error()
			}
			came, err := noted("came", from)
			if err != nil {
				return err.Error()
			}
			for _, p := range ports {
				if !slices.Contains(came, p) {
					return fmt.Sprintf("what %s sends to port %d has not come there", pod, p)
				}
			}
			return ""
		})
		if err != nil {
			return nil, err
		}
		return noted("seen", from)
	}
	if inside, err = reached(pod, at); err != nil {
		return nil, nil, err
	}
	outside, err = reached(Plain, plain)
	return inside, outside, err
}

// noting are rules that keep who has sent to which port by UDP: as it comes in, before anything is asked of it, and at the very end.
const noting = `add table inet reached
add set inet reached came { type ipv4_addr . inet_service; flags dynamic; size 4096; }
add set inet reached seen { type ipv4_addr . inet_service; flags dynamic; size 4096; }
add chain inet reached early { type filter hook prerouting priority -450; policy accept; }
add chain inet reached late { type filter hook input priority 2147483646; policy accept; }
add rule inet reached early meta l4proto udp add @came { ip saddr . udp dport }
add rule inet reached late meta l4proto udp add @seen { ip saddr . udp dport }`

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
