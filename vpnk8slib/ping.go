package vpnk8slib

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"
)

// ICMP's echo, of which this is all (RFC 792, RFC 4443).
const echoHeader = 8 // type, code, checksum, two numbers

// echoKind is a family's: the types of a question and of its answer, and how a socket for them is asked for.
type echoKind struct {
	question, answer byte
	family, protocol int
	raw, any         string
}

var (
	echo4 = echoKind{8, 0, syscall.AF_INET, syscall.IPPROTO_ICMP, "ip4:icmp", "0.0.0.0"}
	echo6 = echoKind{128, 129, syscall.AF_INET6, syscall.IPPROTO_ICMPV6, "ip6:ipv6-icmp", "::"}
)

// ping asks an address for an echo, again and again while there is time: a packet may get lost.
func ping(ctx context.Context, to netip.Addr) (string, error) {
	kind := echo4
	if to.Is6() {
		kind = echo6
	}
	c, address, err := kind.socket(to)
	if err != nil {
		return "", err
	}
	defer c.Close()
	const again = 500 * time.Millisecond
	until, _ := ctx.Deadline() // whoever tries sets one
	question := kind.ask()
	buf := make([]byte, 1500)
	for {
		if _, err := c.WriteTo(question, address); err != nil {
			return "", err
		}
		next := time.Now().Add(again)
		if until.Before(next) {
			next = until
		}
		if err := c.SetReadDeadline(next); err != nil {
			return "", err
		}
		n := 0
		for err = nil; err == nil; {
			if n, _, err = c.ReadFrom(buf); err == nil && kind.answers(buf[:n], question) { // else it is another's
				return "an echo of " + to.String(), nil
			}
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) || !time.Now().Before(until) {
			return "", err
		}
	}
}

// socket is the kernel's own for echoes, or where this pod's group may have none (net.ipv4.ping_group_range, for both families) a raw one.
func (k echoKind) socket(to netip.Addr) (net.PacketConn, net.Addr, error) {
	fd, err := syscall.Socket(k.family, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, k.protocol)
	if errors.Is(err, syscall.EACCES) {
		c, err := net.ListenPacket(k.raw, k.any)
		return c, &net.IPAddr{IP: to.AsSlice()}, err
	}
	if err != nil {
		return nil, nil, fmt.Errorf("cannot make a socket for echoes: %w", err)
	}
	file := os.NewFile(uintptr(fd), "echo")
	defer file.Close() // the connection has its own
	c, err := net.FilePacketConn(file)
	return c, &net.UDPAddr{IP: to.AsSlice()}, err
}

// ask is a question with a text that nobody else's has: the kernel's own socket has numbers of its own. Of IPv6 it makes the checksum too.
func (k echoKind) ask() []byte {
	q := make([]byte, echoHeader+16)
	q[0] = k.question
	_, _ = rand.Read(q[4:]) // never fails (crypto/rand)
	sum := uint32(0)
	for i := 0; i < len(q); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(q[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	binary.BigEndian.PutUint16(q[2:], ^uint16(sum))
	return q
}

// answers says whether a message is the answer to a question.
func (k echoKind) answers(message, question []byte) bool {
	return len(message) == len(question) && message[0] == k.answer && bytes.Equal(message[echoHeader:], question[echoHeader:])
}
