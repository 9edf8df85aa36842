package beat

import (
	"net/netip"
	"slices"

	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// End is one end's half of the talk with one other. It is not safe for use by several at once.
type End struct {
	Role   Role
	Key    []byte
	Own    netip.Addr   // the address of the pod that this end is in
	Client netip.Addr   // the overlay address of the client of the two
	Tunnel bool         // what a gateway tells
	Six    bool         // and this
	Said   overlay.Said // what a client tells

	numbers   []uint64 // drawn, the newest last; answers are late where packets are
	challenge uint64   // of answers to stale beats, until it is repeated: whoever sends many cannot make us forget the others
	echo      uint64   // the newest that was heard
}

// waiting is how many of our own numbers may be repeated: beats are sent faster than some networks answer.
const waiting = 16

// Next is the beat to send now.
func (e *End) Next() []byte {
	n := draw()
	e.numbers = append(e.numbers, n)
	if len(e.numbers) > waiting {
		e.numbers = e.numbers[1:]
	}
	return e.seal(n, e.echo)
}

func (e *End) seal(number, echo uint64) []byte {
	b := Beat{From: e.Role, Client: e.Client, Number: number, Echo: echo}
	if e.Role == Gateway {
		b.Tunnel, b.Six = e.Tunnel, e.Six
	} else {
		b.Said = e.Said
	}
	return b.Seal(e.Key, e.Own)
}

// Verdict is what a packet means.
type Verdict int

// What becomes of a packet.
const (
	Foreign Verdict = iota // nothing: it is no beat of the other end's
	Stale                  // it is of the other end, from whenever: answer, and change nothing
	Fresh                  // the other end is there now, where the packet came from
)

// Hear says what a packet from the pod at an address means. A number of ours counts once: whoever repeats it a second time is
// heard as stale.
func (e *End) Hear(packet []byte, at netip.Addr) (Beat, Verdict) {
	other := Client
	if e.Role == Client {
		other = Gateway
	}
	b, err := Open(e.Key, packet, other, at)
	if err != nil || b.Client != e.Client {
		return Beat{}, Foreign
	}
	switch i := slices.Index(e.numbers, b.Echo); {
	case b.Echo == 0:
		return b, Stale
	case b.Echo == e.challenge:
		e.challenge = 0
	case i < 0:
		return b, Stale // and not remembered: we would repeat a number that nobody waits for
	default:
		e.numbers = e.numbers[i+1:] // older ones were overtaken
	}
	e.echo = b.Number
	return b, Fresh
}

// Answer is the beat that a stale one is answered with: it repeats that one's number, and nothing is remembered.
func (e *End) Answer(b Beat) []byte {
	if e.challenge == 0 {
		e.challenge = draw()
	}
	return e.seal(e.challenge, b.Number)
}
