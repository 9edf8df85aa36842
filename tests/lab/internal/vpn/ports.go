package vpn

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/charmarr/charmarr-go/tests/lab/internal/where"
)

// GrantFile says which port is granted, or "none" when the provider is to be silent.
func GrantFile(lab where.Lab) string { return lab.Path("vpn", "grant") }

const (
	firstGrant = 40001
	lifetime   = 10 // seconds: a test waits for renewals
)

// mapping is what a subscriber has asked for: its own address and port, by a protocol.
type mapping struct {
	protocol byte // NAT-PMP's: 1 is UDP, 2 is TCP
	to       netip.AddrPort
}

// grant answers NAT-PMP (RFC 6886) in every tunnel, until ctx ends: one port of the exit address, for whoever asks last.
func grant(ctx context.Context, lab where.Lab) error {
	if err := os.Remove(GrantFile(lab)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	p := ports{lab: lab, given: map[mapping]uint16{}}
	routers := []string{where.VPNServer, where.OpenVPNRouterUDP, where.OpenVPNRouterTCP}
	ended := make(chan error, len(routers))
	for _, router := range routers { // an answer comes from where it was asked
		go func() { ended <- p.answer(ctx, router) }()
	}
	for range routers {
		if err := <-ended; err != nil {
			return fmt.Errorf("cannot grant ports: %w", err)
		}
	}
	return nil
}

// ports are those that were granted.
type ports struct {
	lab   where.Lab
	mu    sync.Mutex
	given map[mapping]uint16
}

// answer answers at one of the provider's addresses, which OpenVPN may not have made yet.
func (p *ports) answer(ctx context.Context, at string) error {
	free := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var set error
		err := c.Control(func(fd uintptr) { set = syscall.SetsockoptInt(int(fd), syscall.SOL_IP, syscall.IP_FREEBIND, 1) })
		return errors.Join(err, set)
	}}
	conn, err := free.ListenPacket(ctx, "udp4", at+":5351")
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	for buf := make([]byte, 64); ; {
		n, from, err := conn.ReadFrom(buf)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if answer := p.to(buf[:n], from.(*net.UDPAddr).AddrPort().Addr()); answer != nil {
			_, _ = conn.WriteTo(answer, from)
		}
	}
}

// to is the answer to a question; nil: to a silent provider's, and to what is none.
func (p *ports) to(question []byte, from netip.Addr) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	port, silent := granted(p.lab)
	if len(question) != 12 || question[0] != 0 || question[1] < 1 || question[1] > 2 || silent {
		return nil
	}
	m := mapping{question[1], netip.AddrPortFrom(from, binary.BigEndian.Uint16(question[4:]))}
	answer := make([]byte, 16)
	answer[1] = 128 + m.protocol
	copy(answer[8:10], question[4:6])
	if binary.BigEndian.Uint32(question[8:]) == 0 {
		port = 0
	}
	if err := lead(p.given, m, port); err != nil {
		fmt.Fprintln(os.Stderr, err)
		answer[3] = 3 // trouble with its own network
	} else if port != 0 {
		binary.BigEndian.PutUint16(answer[10:], port)
		binary.BigEndian.PutUint32(answer[12:], lifetime)
	}
	return answer
}

// granted is the port that is granted now.
func granted(lab where.Lab) (port uint16, silent bool) {
	text, err := os.ReadFile(GrantFile(lab))
	if err != nil {
		return firstGrant, false
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 16)
	return uint16(n), err != nil
}

// lead leads a port to whom it is for, for the lifetime, and one that it had before nowhere; whoever had it asks anew. 0 is none.
func lead(given map[mapping]uint16, m mapping, port uint16) error {
	protocol := [...]string{1: "udp", 2: "tcp"}[m.protocol]
	var rules string
	for other, had := range given {
		if other == m || had == port && other.protocol == m.protocol {
			rules += fmt.Sprintf("add element inet provider granted { %[1]s . %[2]d : %[3]s . %[4]d }; delete element inet provider granted { %[1]s . %[2]d }; ", protocol, had, other.to.Addr(), other.to.Port())
			delete(given, other)
		}
	}
	if port != 0 {
		rules += fmt.Sprintf("add element inet provider granted { %s . %d timeout %ds : %s . %d }", protocol, port, lifetime, m.to.Addr(), m.to.Port())
	}
	if rules == "" {
		return nil
	}
	if out, err := exec.Command("nft", rules).CombinedOutput(); err != nil {
		return fmt.Errorf("cannot lead port %d to %s: %w: %s", port, m.to, err, out)
	}
	if port != 0 {
		given[m] = port
	}
	return nil
}
