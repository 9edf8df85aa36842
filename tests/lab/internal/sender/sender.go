package sender

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
)

const (
	every    = 50 * time.Millisecond
	patience = 500 * time.Millisecond
	// anew is how long a datagram socket is used: an old one shows what a connection's memory lets out, a new one what it does not.
	anew = 3 * time.Second

	// socket is abstract, so it belongs to the pod's network and needs no file: any container of the pod can ask.
	socket = "@lab-sender"
)

// Sent is what a sender tells of itself.
type Sent struct {
	Seconds float64                // since it began
	Kinds   map[string]*KindOfSent // by kind
}

// KindOfSent counts what was sent, also in vain, and what was answered, by the source that the far end saw.
type KindOfSent struct {
	Sent     int
	Answered map[string]int
}

type sender struct {
	mu    sync.Mutex
	began time.Time
	kinds map[string]*KindOfSent
}

// Serve sends until ctx ends, and tells whoever asks.
func Serve(ctx context.Context) error {
	l, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	defer l.Close()
	s, err := begin(ctx)
	if err != nil {
		return err
	}
	go s.tell(l)
	<-ctx.Done()
	return nil
}

// Beside sends until ctx ends, whoever else does from this pod, and prints once a second how many of each kind it has sent.
func Beside(ctx context.Context, to io.Writer) error {
	s, err := begin(ctx)
	if err != nil {
		return err
	}
	for tick := time.NewTicker(time.Second); ; {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		sent := map[string]int{}
		s.mu.Lock()
		for kind, k := range s.kinds {
			sent[kind] = k.Sent
		}
		s.mu.Unlock()
		if err := json.NewEncoder(to).Encode(sent); err != nil {
			return err
		}
	}
}

func begin(ctx context.Context) (*sender, error) {
	namespace, pod, err := whoAmI()
	if err != nil {
		return nil, err
	}
	s := &sender{began: time.Now(), kinds: map[string]*KindOfSent{}}
	for _, kind := range Kinds { // all, before any counts
		s.kinds[kind] = &KindOfSent{Answered: map[string]int{}}
	}
	for n, kind := range Kinds {
		go s.send(ctx, kind, Target(namespace, pod, n))
	}
	return s, nil
}

// Ask prints what this pod's sender tells of itself.
func Ask() error {
	conn, err := net.DialTimeout("unix", socket, patience)
	if err != nil {
		return fmt.Errorf("no sender runs in this pod: %w", err)
	}
	defer conn.Close()
	_, err = bufio.NewReader(conn).WriteTo(os.Stdout)
	return err
}

func (s *sender) tell(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		_ = json.NewEncoder(conn).Encode(Sent{time.Since(s.began).Seconds(), s.kinds})
		s.mu.Unlock()
		_ = conn.Close()
	}
}

// whoAmI reads the names that Kubernetes gives a pod's containers: host name, and the first domain that names are looked up in.
func whoAmI() (namespace, pod string, err error) {
	if pod, err = os.Hostname(); err != nil {
		return "", "", err
	}
	data, err := os.ReadFile("/etc/resolv.conf")
	if err != nil {
		return "", "", err
	}
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "search" {
			namespace, _, _ = strings.Cut(f[1], ".")
			return namespace, pod, nil
		}
	}
	return "", "", fmt.Errorf("/etc/resolv.conf names no domain to search")
}

func (s *sender) count(kind, answer string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if answer == "" {
		s.kinds[kind].Sent++
		return
	}
	s.kinds[kind].Answered[strings.TrimSpace(answer)]++
}

func (s *sender) send(ctx context.Context, kind string, to netip.Addr) {
	one := map[string]func(string, netip.Addr) func(){"tcp": s.tcp, "udp": s.datagrams, "icm": s.datagrams}[kind[:3]](kind, to)
	for tick := time.NewTicker(every); ; {
		s.count(kind, "")
		one()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// tcp asks for a page each time, and waits for none.
func (s *sender) tcp(kind string, to netip.Addr) func() {
	return func() {
		go func() {
			conn, err := net.DialTimeout("tcp", netip.AddrPortFrom(to, 80).String(), patience)
			if err != nil {
				return
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(patience))
			_, _ = fmt.Fprintf(conn, "GET / HTTP/1.0\r\n\r\n")
			var last string
			for lines := bufio.NewScanner(conn); lines.Scan(); {
				last = lines.Text()
			}
			if _, err := netip.ParseAddr(last); err == nil {
				s.count(kind, last)
			}
		}()
	}
}

// datagrams keeps a socket for a while and sends on it.
func (s *sender) datagrams(kind string, to netip.Addr) func() {
	var write func() error
	var opened time.Time
	shut := func() {}
	return func() {
		if write == nil || time.Since(opened) > anew {
			shut()
			var err error
			if write, shut, err = s.open(kind, to); err != nil {
				write, shut = nil, func() {}
				return
			}
			opened = time.Now()
		}
		_ = write() // refused by this pod's own network: that is what is hoped for
	}
}

func (s *sender) open(kind string, to netip.Addr) (write func() error, shut func(), err error) {
	if kind == "icmp4" { // the kernel's own ping socket, which needs no capability
		conn, err := icmp.ListenPacket("udp4", "0.0.0.0")
		if err != nil {
			return nil, nil, err
		}
		m := icmp.Message{Type: ipv4.ICMPTypeEcho, Body: &icmp.Echo{ID: 1, Seq: 1, Data: []byte("sender")}}
		data, err := m.Marshal(nil)
		if err != nil {
			return nil, nil, err
		}
		go s.hear(kind, func(b []byte) (string, error) {
			_, _, err := conn.ReadFrom(b)
			return "an answer", err
		})
		addr := &net.UDPAddr{IP: to.AsSlice()}
		return func() error { _, err := conn.WriteTo(data, addr); return err }, func() { _ = conn.Close() }, nil
	}
	conn, err := net.Dial("udp", netip.AddrPortFrom(to, 7).String())
	if err != nil {
		return nil, nil, err
	}
	go s.hear(kind, func(b []byte) (string, error) {
		n, err := conn.Read(b)
		return string(b[:n]), err
	})
	return func() error { _, err := conn.Write([]byte("sender")); return err }, func() { _ = conn.Close() }, nil
}

// hear counts answers until the socket is closed. A refusal that the kernel reports on it is no answer, and no end.
func (s *sender) hear(kind string, read func([]byte) (string, error)) {
	b := make([]byte, 1500)
	for {
		answer, err := read(b)
		switch {
		case err == nil:
			s.count(kind, answer)
		case errors.Is(err, net.ErrClosed):
			return
		}
	}
}
