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

// ICMP's echo, of which this is all (RFC 792).
const (
	echoQuestion, echoAnswer = 8, 0
	echoHeader               = 8 // type, code, checksum, two numbers
)

// ping asks an address for an echo, again and again while there is time: a packet may get lost.
func ping(ctx context.Context, to netip.Addr) (string, error) {
	c, address, err := echoSocket(to)
	if err != nil {
		return "", err
	}
	defer c.Close()
	const again = 500 * time.Millisecond
	until, _ := ctx.Deadline() // whoever tries sets one
	question := echo()
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
			if n, _, err = c.ReadFrom(buf); err == nil && echoes(buf[:n], question) { // else it is another's
				return "an echo of " + to.String(), nil
			}
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) || !time.Now().Before(until) {
			return "", err
		}
	}
}

// echoSocket is the kernel's own for echoes, or where this pod's group may have none (net.ipv4.ping_group_range) a raw one.
func echoSocket(to netip.Addr) (net.PacketConn, net.Addr, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, syscall.IPPROTO_ICMP)
	if errors.Is(err, syscall.EACCES) {
		c, err := net.ListenPacket("ip4:icmp", "0.0.0.0")
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

// echo is a question with a text that nobody else's has: the kernel's own socket has numbers of its own.
func echo() []byte {
	q := make([]byte, echoHeader+16)
	q[0] = echoQuestion
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

// echoes says whether a message is the answer to a question.
func echoes(message, question []byte) bool {
	return len(message) == len(question) && message[0] == echoAnswer && bytes.Equal(message[echoHeader:], question[echoHeader:])
}
