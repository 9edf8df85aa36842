package vpnk8slib

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"time"
)

// STUN, of which this is all (RFC 8489): a datagram asks, and one answers with the address that it came from.
const (
	stunBinding = 0x0001
	stunBound   = 0x0101
	stunCookie  = 0x2112a442
	stunHeader  = 20     // type, length, cookie and a number of 12 bytes
	stunXORed   = 0x0020 // the attribute XOR-MAPPED-ADDRESS
	stunXORed4  = 8      // its size with IPv4: a family, a port, an address
	stunXORed6  = 20     // and with IPv6
)

// askSTUN asks the server at the other end of a connection by UDP as whom it sees this end, again and again until a moment: a datagram
// may get lost.
func askSTUN(c net.Conn, until time.Time) (netip.Addr, error) {
	const again = 500 * time.Millisecond
	question := binary.BigEndian.AppendUint16(nil, stunBinding)
	question = binary.BigEndian.AppendUint16(question, 0)
	question = binary.BigEndian.AppendUint32(question, stunCookie)
	question = append(question, make([]byte, 12)...)
	_, _ = rand.Read(question[8:]) // never fails (crypto/rand)
	buf := make([]byte, 1500)
	for {
		if _, err := c.Write(question); err != nil {
			return netip.Addr{}, err
		}
		next := time.Now().Add(again)
		if until.Before(next) {
			next = until
		}
		if err := c.SetReadDeadline(next); err != nil {
			return netip.Addr{}, err
		}
		n, err := c.Read(buf)
		if err == nil {
			return readSTUN(buf[:n], question)
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) || !time.Now().Before(until) {
			return netip.Addr{}, err
		}
	}
}

// readSTUN reads the address out of an answer.
func readSTUN(answer, question []byte) (netip.Addr, error) {
	if len(answer) < stunHeader || binary.BigEndian.Uint16(answer) != stunBound || !bytes.Equal(answer[4:stunHeader], question[4:stunHeader]) {
		return netip.Addr{}, errors.New("the answer is not STUN's to this question")
	}
	for rest := answer[stunHeader:]; len(rest) >= 4; {
		kind, size := binary.BigEndian.Uint16(rest), int(binary.BigEndian.Uint16(rest[2:]))
		if len(rest) < 4+size {
			break
		}
		switch value := rest[4 : 4+size]; {
		case kind != stunXORed:
		case size >= stunXORed4 && value[1] == 1:
			return netip.AddrFrom4([4]byte(xored(value[4:8], question))), nil
		case size >= stunXORed6 && value[1] == 2:
			return netip.AddrFrom16([16]byte(xored(value[4:20], question))), nil
		}
		rest = rest[min(len(rest), 4+(size+3)/4*4):]
	}
	return netip.Addr{}, errors.New("the answer holds no address")
}

// xored takes away what hides an address from routers that would translate it: the cookie, and the question's number.
func xored(hidden, question []byte) []byte {
	out := make([]byte, len(hidden))
	for i := range out {
		out[i] = hidden[i] ^ question[4+i]
	}
	return out
}
