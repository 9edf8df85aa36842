// Package sender sends from inside a pod without end, twenty a second of each kind, each kind to a destination that nothing
// else in the world is sent to. What leaves outside the tunnel, at any moment of a pod's life, is then counted under that
// destination, whatever source it carries.
package sender

import (
	"hash/fnv"
	"net/netip"
	"strings"
)

// Kinds are what is sent.
var Kinds = []string{"tcp4", "udp4", "icmp4", "tcp6", "udp6"}

// Target is where a pod's sender sends one kind: in a part of the pretend internet that single probes leave alone.
func Target(namespace, pod string, kind int) netip.Addr {
	h := fnv.New32a()
	_, _ = h.Write([]byte(namespace + "/" + pod))
	sum := h.Sum32()
	if strings.HasSuffix(Kinds[kind], "6") {
		return netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 0x01, 0x13, 0, 0, 0x5e, 0, byte(sum >> 24), byte(sum >> 16), byte(sum >> 8), byte(sum), 0, byte(kind)})
	}
	low := uint16(sum)<<3 | uint16(kind)
	return netip.AddrFrom4([4]byte{198, 19, byte(low >> 8), byte(low)})
}
