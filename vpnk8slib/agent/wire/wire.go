// Package wire carries beats between pods: datagrams, over the pods' own interfaces, beside the overlay that they tell of.
package wire

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"github.com/charmarr/charmarr-go/vpnk8slib/agent/beat"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/tick"
)

// Packet is a datagram, and where it came from.
type Packet struct {
	From netip.Addr
	Text []byte
}

// Wire is a socket on a pod's own address. Both ends use one port: an end answers to where it is asked from, and calls where
// nobody has asked yet.
type Wire struct {
	At      netip.AddrPort
	Packets <-chan []Packet // those that came together; closed when the socket is

	conn   *net.UDPConn
	closed chan struct{}
	many   batches
	out    []ipv4.Message
}

// batches are the kernel's recvmmsg and sendmmsg.
type batches interface {
	ReadBatch(ms []ipv4.Message, flags int) (int, error)
	WriteBatch(ms []ipv4.Message, flags int) (int, error)
}

// together is how many packets are read or written at once.
const together = 64

// Open opens it. Where gather is not 0 packets are taken up so often only, and those that came meanwhile together: to wake up
// for each costs more than all that is done with it.
func Open(at netip.AddrPort, gather time.Duration) (*Wire, error) {
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
	if err != nil {
		return nil, fmt.Errorf("cannot hear heartbeats: %w", err)
	}
	w := &Wire{At: at, conn: conn, closed: make(chan struct{}), many: ipv4.NewPacketConn(conn)}
	if at.Addr().Is6() {
		w.many = ipv6.NewPacketConn(conn)
	}
	rest := func() {}
	if gather > 0 {
		pause, err := tick.NewPause(gather)
		if err != nil {
			_ = conn.Close()
			return nil, err
		}
		rest = pause.Rest
	}
	packets := make(chan []Packet)
	w.Packets = packets
	go w.read(packets, rest)
	return w, nil
}

func (w *Wire) read(packets chan<- []Packet, rest func()) {
	defer close(packets)
	messages := make([]ipv4.Message, together)
	for i := range messages {
		messages[i].Buffers = [][]byte{make([]byte, beat.Size+1)} // one more: what is longer is no beat
	}
	for {
		n, err := w.many.ReadBatch(messages, 0)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // an answer of somebody's network to what was sent; the next read waits
		}
		came := make([]Packet, n)
		for i, m := range messages[:n] {
			came[i] = Packet{From: m.Addr.(*net.UDPAddr).AddrPort().Addr().Unmap(), Text: append([]byte(nil), m.Buffers[0][:m.N]...)}
		}
		select {
		case <-w.closed:
			return
		case packets <- came:
		}
		if n < together { // whoever sends many keeps nobody else from being heard
			rest()
		}
	}
}

// Send sends a beat to a pod, with the next Flush. What does not arrive is not told: the other end's silence tells it.
func (w *Wire) Send(text []byte, to netip.Addr) {
	w.out = append(w.out, ipv4.Message{Buffers: [][]byte{text}, Addr: net.UDPAddrFromAddrPort(netip.AddrPortFrom(to, w.At.Port()))})
}

// Flush sends what was to be sent. What cannot be is left out.
func (w *Wire) Flush() {
	for out := w.out; len(out) > 0; {
		n, err := w.many.WriteBatch(out[:min(len(out), together)], 0)
		if err != nil || n == 0 {
			n = max(n, 0) + 1 // the one that was refused
		}
		out = out[min(n, len(out)):]
	}
	w.out = w.out[:0]
}

// Move is a socket at an address: this one if it is there, or another in its place. It may be nil, and is when there is an error.
func (w *Wire) Move(at netip.AddrPort, gather time.Duration) (*Wire, error) {
	if w != nil && w.At == at {
		return w, nil
	}
	_ = w.Close()
	return Open(at, gather)
}

// Close closes it, if there is one.
func (w *Wire) Close() error {
	if w == nil {
		return nil
	}
	close(w.closed)
	return w.conn.Close()
}
