// Package beat is how a gateway and its clients know of each other: small datagrams, many times a second, that nobody else can
// make, and that nobody can use a second time.
//
// Each beat bears a number that its sender has just drawn, and repeats the last one that it has heard of the other. Who finds
// his own newest number in a beat knows that the other is there now, and where; a beat without it changes nothing and is
// answered, so that the next one bears it. One key for each application keeps them apart.
//
// A beat is signed together with the address of the pod that sends it, which only the network says: who passes on what he has
// heard is no end of it, and so can neither take a client's place nor stand between the two.
//
//	client                                 gateway
//	  │ ── number a, repeats nothing ──────► │  nothing changes
//	  │ ◄───────── number b, repeats a ───── │
//	  │  the gateway is where this came from │
//	  │ ── number c, repeats b ────────────► │  the client is where this came from
package beat

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"net/netip"

	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// Role is who sends: a beat of one end is none of the other's.
type Role byte

// The two ends.
const (
	Client  Role = 1
	Gateway Role = 2
)

// Beat is one datagram.
type Beat struct {
	From   Role
	Client netip.Addr   // the client's overlay address, which it is about
	Number uint64       // drawn by the sender, never 0
	Echo   uint64       // the newest number that the sender has heard of the other; 0: none
	Tunnel bool         // of a gateway: packets come back through its tunnel
	Six    bool         // of a gateway: IPv6 may go through it too
	Said   overlay.Said // of a client
}

// MinKey is the least that a key has, in bytes.
const MinKey = 32

// Size of a beat in bytes.
const Size = 4 + 1 + 1 + 2 + 4 + 8 + 8 + tag

const (
	tag     = 16 // of the 32 bytes of HMAC-SHA-256, as RFC 4868 cuts it
	version = 1

	flagTunnel, flagSix = 1 << 0, 1 << 1
	// Behind these a client has two bits for each of its words. Who is older than they are sends none, and reads none.
	guard, policy, leaves = 2, 4, 6
)

var magic = [4]byte{'c', 'v', 'p', 'n'}

// ErrForeign: it is no beat, or none of this key's. Why is nobody's business.
var ErrForeign = errors.New("this is no beat of this key")

// Seal writes a beat that the pod at an address sends.
func (b Beat) Seal(key []byte, own netip.Addr) []byte {
	out := append(make([]byte, 0, Size), magic[:]...)
	flags := uint16(0)
	if b.Tunnel {
		flags |= flagTunnel
	}
	if b.Six {
		flags |= flagSix
	}
	flags |= uint16(b.Said.Guard)<<guard | uint16(b.Said.Policy)<<policy | uint16(b.Said.Leaves)<<leaves
	out = append(out, version, byte(b.From))
	out = binary.BigEndian.AppendUint16(out, flags)
	out = append(out, b.Client.AsSlice()...)
	out = binary.BigEndian.AppendUint64(out, b.Number)
	out = binary.BigEndian.AppendUint64(out, b.Echo)
	return append(out, sign(key, out, own)...)
}

// Open reads a beat of a role, which came from the pod at an address.
func Open(key, packet []byte, from Role, at netip.Addr) (Beat, error) {
	if len(packet) != Size || !hmac.Equal(packet[Size-tag:], sign(key, packet[:Size-tag], at)) {
		return Beat{}, ErrForeign
	}
	if [4]byte(packet) != magic || packet[4] != version || Role(packet[5]) != from {
		return Beat{}, ErrForeign
	}
	flags := binary.BigEndian.Uint16(packet[6:])
	b := Beat{
		From: from, Tunnel: flags&flagTunnel != 0, Six: flags&flagSix != 0, Client: netip.AddrFrom4([4]byte(packet[8:])),
		Number: binary.BigEndian.Uint64(packet[12:]), Echo: binary.BigEndian.Uint64(packet[20:]),
		Said: overlay.Said{Guard: word(flags, guard), Policy: word(flags, policy), Leaves: word(flags, leaves)},
	}
	if b.Number == 0 {
		return Beat{}, ErrForeign
	}
	return b, nil
}

func word(flags uint16, at int) overlay.Word { return overlay.Word(flags >> at & 3) }

// About is the client that a packet says it is about, before anybody knows whether that is so: it names the key to try.
func About(packet []byte) (netip.Addr, bool) {
	if len(packet) != Size || [4]byte(packet) != magic {
		return netip.Addr{}, false
	}
	return netip.AddrFrom4([4]byte(packet[8:])), true
}

func sign(key, text []byte, sender netip.Addr) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(text)
	at := sender.Unmap().As16()
	h.Write(at[:])
	return h.Sum(nil)[:tag]
}

// draw is a new number.
func draw() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return max(1, binary.BigEndian.Uint64(b[:]))
}
