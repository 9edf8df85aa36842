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
	conn, err := net.ListenPacket("udp4", ":5351")
	if err != nil {
		return fmt.Errorf("cannot grant ports: %w", err)
	}
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	given := map[mapping]uint16{}
	for buf := make([]byte, 64); ; {
		n, from, err := conn.ReadFrom(buf)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("cannot grant ports: %w", err)
		}
		port, silent := granted(lab)
		if n != 12 || buf[0] != 0 || buf[1] < 1 || buf[1] > 2 || silent {
			continue
		}
		m := mapping{buf[1], netip.AddrPortFrom(from.(*net.UDPAddr).AddrPort().Addr(), binary.BigEndian.Uint16(buf[4:]))}
		answer := make([]byte, 16)
		answer[1] = 128 + m.protocol
		copy(answer[8:10], buf[4:6])
		if binary.BigEndian.Uint32(buf[8:]) == 0 {
			port = 0
		}
		if err := lead(given, m, port); err != nil {
			fmt.Fprintln(os.Stderr, err)
			answer[3] = 3 // trouble with its own network
		} else if port != 0 {
			binary.BigEndian.PutUint16(answer[10:], port)
			binary.BigEndian.PutUint32(answer[12:], lifetime)
		}
		_, _ = conn.WriteTo(answer, from)
	}
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
