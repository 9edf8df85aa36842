// Package wire carries beats between pods: datagrams, over the pods' own interfaces, beside the overlay that they tell of.
package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/charmarr/charmarr-go/vpnk8slib/agent/beat"
)

// Packet is a datagram, and where it came from.
type Packet struct {
	From netip.Addr
	Text []byte
	Came time.Time // to the pod, which may be a while before it is looked at
}

// Wire is a socket on a pod's own address. Both ends use one port: an end answers to where it is asked from, and calls where
// nobody has asked yet. It wakes nobody: who has it looks when there is time.
type Wire struct {
	At netip.AddrPort

	fd   int
	text [beat.Size + 1]byte // one more: what is longer is no beat
	told [64]byte            // what the kernel tells beside it
}

// kept is how much the kernel keeps until it is read, in bytes: more than anybody sends between two looks.
const kept = 1 << 20

// Open opens it.
func Open(at netip.AddrPort) (*Wire, error) {
	family := unix.AF_INET
	if at.Addr().Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot hear heartbeats: %w", err)
	}
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, kept) != nil { // for which NET_ADMIN must be the node's
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, kept)
	}
	err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1)
	if err == nil {
		err = unix.Bind(fd, end(at))
	}
	if err != nil {
		_ = unix.Close(fd)
		if errors.Is(err, unix.EADDRINUSE) {
			err = fmt.Errorf("%w: juju config <gateway> vxlan-port=<another>", err)
		}
		return nil, fmt.Errorf("cannot hear heartbeats on %s: %w", at, err)
	}
	return &Wire{At: at, fd: fd}, nil
}

func end(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}

// Each hears the packets that have come, and says whether they were so many that it should be called again soon: whoever sends many
// keeps nothing else from being done, and nobody from being heard. A packet's text is the wire's again when hear returns.
func (w *Wire) Each(hear func(Packet)) (many bool) {
	const most, few = 1024, 128 // where the node lets a socket keep little, it keeps a few hundred
	for n := range most {
		size, told, _, from, err := unix.Recvmsg(w.fd, w.text[:], w.told[:], 0)
		switch err {
		case unix.EAGAIN:
			return n > few
		case nil:
			hear(Packet{From: address(from), Text: w.text[:size], Came: came(w.told[:told])})
		default: // an answer of somebody's network to what was sent
		}
	}
	return true
}

// came is when, by what the kernel tells of it: by the clock of the day, which somebody may have set meanwhile.
func came(told []byte) time.Time {
	now := time.Now()
	all, _ := unix.ParseSocketControlMessage(told)
	for _, m := range all {
		if m.Header.Level != unix.SOL_SOCKET || m.Header.Type != unix.SO_TIMESTAMPNS || len(m.Data) < 16 {
			continue
		}
		at := time.Unix(int64(binary.NativeEndian.Uint64(m.Data)), int64(binary.NativeEndian.Uint64(m.Data[8:])))
		if ago := now.Sub(at); ago > 0 {
			return now.Add(-min(ago, time.Minute)) // a clock that was set makes one packet old, and no other
		}
	}
	return now
}

func address(of unix.Sockaddr) netip.Addr {
	switch a := of.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrFrom4(a.Addr)
	case *unix.SockaddrInet6:
		return netip.AddrFrom16(a.Addr).Unmap()
	}
	return netip.Addr{}
}

// Send sends a beat to a pod. What does not arrive is not told: the other end's silence tells it.
func (w *Wire) Send(text []byte, to netip.Addr) {
	if to.Is4() == w.At.Addr().Is4() {
		_ = unix.Sendto(w.fd, text, 0, end(netip.AddrPortFrom(to, w.At.Port())))
	}
}

// Move is a socket at an address: this one if it is there, or another in its place. It may be nil; where the other cannot be opened
// it stays.
func (w *Wire) Move(at netip.AddrPort) (*Wire, error) {
	if w != nil && w.At == at {
		return w, nil
	}
	next, err := Open(at)
	if err != nil {
		return w, err
	}
	w.Close()
	return next, nil
}

// Close closes it, if there is one.
func (w *Wire) Close() {
	if w != nil {
		_ = unix.Close(w.fd)
	}
}
