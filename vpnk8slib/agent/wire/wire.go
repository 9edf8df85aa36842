// Package wire carries beats between pods: datagrams, over the pods' own interfaces, beside the overlay that they tell of.
package wire

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/charmarr/charmarr-go/vpnk8slib/agent/beat"
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
	Packets <-chan Packet // closed when the socket is
	conn    *net.UDPConn
}

// waiting is how many packets may wait to be read; more are lost, as on any network.
const waiting = 64

// Open opens it.
func Open(at netip.AddrPort) (*Wire, error) {
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
	if err != nil {
		return nil, fmt.Errorf("cannot hear heartbeats: %w", err)
	}
	packets := make(chan Packet, waiting)
	go read(conn, packets)
	return &Wire{At: at, Packets: packets, conn: conn}, nil
}

func read(conn *net.UDPConn, packets chan<- Packet) {
	defer close(packets)
	for {
		buf := make([]byte, beat.Size+1) // one more: what is longer is no beat
		n, from, err := conn.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // an answer of somebody's network to what was sent; the next read waits
		}
		select {
		case packets <- Packet{From: from.Addr().Unmap(), Text: buf[:n]}:
		default:
		}
	}
}

// Send sends a beat to a pod. What does not arrive is not told: the other end's silence tells it.
func (w *Wire) Send(text []byte, to netip.Addr) {
	_, _ = w.conn.WriteToUDPAddrPort(text, netip.AddrPortFrom(to, w.At.Port()))
}

// Close closes it.
func (w *Wire) Close() error { return w.conn.Close() }
