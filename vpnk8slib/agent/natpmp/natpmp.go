// Package natpmp asks a router for ports of its outer address: NAT-PMP, RFC 6886. Providers of VPNs answer it at the tunnel's
// other end.
package natpmp

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/charmarr/charmarr-go/vpnk8slib/agent/route"
)

// Port is where a router listens (RFC 6886, 1.1).
const Port = 5351

// Protocol is what a mapping is of: the number of its request (RFC 6886, 3.3).
type Protocol byte

// The protocols that there are.
const (
	UDP Protocol = 1
	TCP Protocol = 2
)

func (p Protocol) String() string { return [...]string{UDP: "UDP", TCP: "TCP"}[p] }

// Mapping is a port of the router's outer address that leads to one of the asker's.
type Mapping struct {
	Protocol Protocol
	Inner    uint16 // the asker's: what tells its mappings apart
	Outer    uint16 // the router's; asked for, it is a wish
	Lifetime time.Duration
}

// Refusal is a router's word.
type Refusal uint16

func (r Refusal) Error() string {
	words := map[Refusal]string{1: "it speaks another version", 2: "it does not grant ports here", 3: "it has trouble with its own network", 4: "it has no port left", 5: "it does not know this request"}
	if w := words[r]; w != "" {
		return w
	}
	return fmt.Sprintf("it refuses with the code %d", uint16(r))
}

// Nobody answers, or nobody is there who could.
var (
	ErrSilent = errors.New("it does not answer")
	ErrAbsent = errors.New("it does not know NAT-PMP")
)

// Router is one, behind one interface: what is asked leaves by no other.
type Router struct {
	Addr   netip.AddrPort
	Device string
}

// waits are how long for an answer to each attempt (RFC 6886, 3.1, the first of them): a tunnel's other end is not far.
var waits = []time.Duration{250 * time.Millisecond, 500 * time.Millisecond, time.Second}

// Map asks for a mapping, and returns what there is now. The error is ErrSilent,
// ErrAbsent, a Refusal, or the network's.
func (r Router) Map(ctx context.Context, m Mapping) (Mapping, error) {
	got, err := r.ask(ctx, m)
	if socket := new(net.OpError); errors.As(err, &socket) { // it names the asker's port, another one each time
		err = socket.Err
	}
	if errors.Is(err, unix.ECONNREFUSED) {
		err = ErrAbsent
	}
	if err != nil {
		return Mapping{}, fmt.Errorf("cannot have a %s port from %s: %w", m.Protocol, r.Addr.Addr(), err)
	}
	return got, nil
}

func (r Router) ask(ctx context.Context, m Mapping) (Mapping, error) {
	dialer := net.Dialer{Control: route.Bound(r.Device)}
	conn, err := dialer.DialContext(ctx, "udp", r.Addr.String())
	if err != nil {
		return Mapping{}, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })()
	request, buf := m.request(), make([]byte, 64)
	for _, wait := range waits {
		if _, err := conn.Write(request); err != nil { // refused by whom the last one reached, or by this end
			return Mapping{}, err
		}
		for until := time.Now().Add(wait); ; {
			_ = conn.SetReadDeadline(until)
			if ctx.Err() != nil {
				return Mapping{}, ctx.Err()
			}
			n, err := conn.Read(buf)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				break
			}
			if err != nil {
				return Mapping{}, err
			}
			if got, err := m.answer(buf[:n]); !errors.Is(err, errForeign) {
				return got, err
			}
		}
	}
	return Mapping{}, ErrSilent
}

func (m Mapping) request() []byte {
	b := make([]byte, 12) // version 0
	b[1] = byte(m.Protocol)
	binary.BigEndian.PutUint16(b[4:], m.Inner)
	binary.BigEndian.PutUint16(b[6:], m.Outer)
	binary.BigEndian.PutUint32(b[8:], uint32(m.Lifetime/time.Second))
	return b
}

// errForeign is of an answer to another question.
var errForeign = errors.New("this answers something else")

// answer reads what came for m.
func (m Mapping) answer(b []byte) (Mapping, error) {
	if len(b) < 8 || b[0] != 0 || b[1] != 128+byte(m.Protocol) {
		return Mapping{}, errForeign
	}
	if code := binary.BigEndian.Uint16(b[2:]); code != 0 {
		return Mapping{}, Refusal(code)
	}
	// Some providers answer with an inner port of their own.
	if len(b) < 16 {
		return Mapping{}, errForeign
	}
	got := m
	got.Outer, got.Lifetime = binary.BigEndian.Uint16(b[10:]), time.Duration(binary.BigEndian.Uint32(b[12:]))*time.Second
	if got.Outer == 0 || got.Lifetime == 0 {
		return Mapping{}, Refusal(4) // what is granted for no time is not granted
	}
	return got, nil
}
