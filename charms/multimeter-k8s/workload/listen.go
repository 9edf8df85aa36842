package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"
)

// Listened says who came within the time, by source address and port.
type Listened struct {
	Port string   `json:"port"`
	TCP  []string `json:"tcp"`
	UDP  []string `json:"udp"`
}

// listenOn listens on one port, TCP and UDP, both families. Each TCP caller is told the address it was seen as.
func listenOn(port string, period time.Duration) (Listened, error) {
	l := Listened{Port: port, TCP: []string{}, UDP: []string{}}
	until := time.Now().Add(period)
	tcp, err := net.Listen("tcp", net.JoinHostPort("", port))
	if err != nil {
		return l, fmt.Errorf("cannot listen on port %s: %w", port, err)
	}
	defer tcp.Close()
	udp, err := net.ListenPacket("udp", net.JoinHostPort("", port))
	if err != nil {
		return l, fmt.Errorf("cannot listen on port %s: %w", port, err)
	}
	defer udp.Close()
	if err := errors.Join(tcp.(*net.TCPListener).SetDeadline(until), udp.SetDeadline(until)); err != nil {
		return l, fmt.Errorf("cannot listen on port %s: %w", port, err)
	}
	var both sync.WaitGroup
	var tcpErr, udpErr error
	both.Go(func() { l.TCP, tcpErr = accept(tcp) })
	both.Go(func() { l.UDP, udpErr = receive(udp) })
	both.Wait()
	return l, errors.Join(tcpErr, udpErr)
}

func accept(l net.Listener) ([]string, error) {
	seen := []string{}
	for {
		conn, err := l.Accept()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return seen, nil
		}
		if err != nil {
			return seen, fmt.Errorf("cannot accept: %w", err)
		}
		from := plainAddr(conn.RemoteAddr())
		seen = append(seen, from)
		fmt.Fprintln(conn, from)
		conn.Close()
	}
}

func receive(p net.PacketConn) ([]string, error) {
	seen := []string{}
	buffer := make([]byte, 2048)
	for {
		_, from, err := p.ReadFrom(buffer)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return seen, nil
		}
		if err != nil {
			return seen, fmt.Errorf("cannot receive: %w", err)
		}
		if a := plainAddr(from); !slices.Contains(seen, a) {
			seen = append(seen, a)
		}
	}
}

// plainAddr writes an IPv4 address as such where a socket of both families saw it.
func plainAddr(a net.Addr) string {
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return a.String()
	}
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()).String()
}
