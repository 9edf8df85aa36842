// Command probe sends one probe from where it runs and prints what came of it as one line of JSON. It runs inside a
// workload's container, so that what it meets is what the workload meets.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"

	"github.com/charmarr/charmarr-go/tests/lab/internal/sender"
)

const (
	patience = 2 * time.Second
	// every: twenty a second, so that a gap in a protection, or one lost packet of a control, decides nothing.
	every = 50 * time.Millisecond
	// workload is a user whose names the guard leads elsewhere; root's it does not.
	workload = 1000
)

func main() {
	if len(os.Args) == 2 && os.Args[1] == "sleep" { // to have a container that does nothing
		c := make(chan os.Signal, 1)
		signal.Notify(c, syscall.SIGTERM)
		<-c
		return
	}
	if len(os.Args) == 2 && (os.Args[1] == "send" || os.Args[1] == "beside" || os.Args[1] == "sent") {
		if err := without(os.Args[1]); err != nil {
			fmt.Fprintln(os.Stderr, "probe:", err)
			os.Exit(1)
		}
		return
	}
	if len(os.Args) == 3 && os.Args[1] == "names" {
		if err := names(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, "probe:", err)
			os.Exit(1)
		}
		return
	}
	if len(os.Args) == 3 && os.Args[1] == "receive" {
		fmt.Fprintln(os.Stderr, "probe:", receive(os.Args[2]))
		os.Exit(1)
	}
	kinds := map[string]func(string) (string, error){"http": fetch, "tcp": tcp, "udp": udp, "icmp": ping, "dns": resolve}
	if len(os.Args) != 3 || kinds[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: probe http|tcp|udp|icmp|dns DST\n       probe send|beside|sent\n       probe names DOMAIN\n       probe receive :PORT\n       probe sleep")
		os.Exit(2)
	}
	if os.Args[1] != "icmp" { // which needs a raw socket
		asWorkload()
	}
	seen, err := kinds[os.Args[1]](os.Args[2])
	answer := map[string]string{"seen": strings.TrimSpace(seen), "error": ""}
	if err != nil {
		answer["error"] = word(err)
	}
	_ = json.NewEncoder(os.Stdout).Encode(answer)
}

// receive prints what is posted to it, its path first: in the place of what keeps logs and traces.
func receive(at string) error {
	return http.ListenAndServe(at, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		fmt.Println(r.URL.Path, strings.Join(strings.Fields(string(text)), " "))
		w.WriteHeader(http.StatusNoContent)
	}))
}

// without sends without end, or tells what came of that.
func without(word string) error {
	if word == "sent" {
		return sender.Ask()
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if word == "beside" {
		asWorkload()
		return sender.Beside(ctx, os.Stdout)
	}
	return sender.Serve(ctx)
}

// asWorkload makes this process a workload's, none of which is root's.
func asWorkload() {
	if err := errors.Join(syscall.Setgid(workload), syscall.Setuid(workload)); err != nil {
		fmt.Fprintln(os.Stderr, "probe: cannot be a workload's user:", err)
		os.Exit(1)
	}
}

// names asks this container's resolver for one new name below a domain after the other, without end, and prints how many once a
// second, as what sends beside does. It waits for no answer.
func names(domain string) error {
	asWorkload()
	config, err := dns.ClientConfigFromFile("/etc/resolv.conf")
	if err != nil {
		return err
	}
	began, asked := time.Now().UnixNano(), 0
	for tick := time.NewTicker(every); ; <-tick.C {
		asked++
		conn, err := net.Dial("udp", net.JoinHostPort(config.Servers[0], "53")) // anew: what a connection's memory lets out is not meant
		if err != nil {
			return err
		}
		text, err := new(dns.Msg).SetQuestion(fmt.Sprintf("%d-%d.%s.", began, asked, domain), dns.TypeA).Pack()
		if err != nil {
			return err
		}
		_, _ = conn.Write(text) // refused by this pod's own network: that is what is hoped for
		time.AfterFunc(patience, func() { _ = conn.Close() })
		if asked%20 == 0 {
			_ = json.NewEncoder(os.Stdout).Encode(map[string]int{"dns": asked})
		}
	}
}

// word tells the kinds of failure apart: a refusal is an answer, silence is none.
func word(err error) string {
	var timeout interface{ Timeout() bool }
	var dns *net.DNSError
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		return "unreachable"
	case errors.Is(err, syscall.EPERM):
		return "not permitted"
	case errors.As(err, &dns) && !dns.IsTimeout:
		return "no such name"
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return "no answer"
	default:
		return err.Error()
	}
}

func fetch(dst string) (string, error) {
	if !strings.Contains(dst, "://") {
		dst = "http://" + net.JoinHostPort(dst, "80") + "/"
	}
	c := http.Client{Timeout: patience}
	r, err := c.Get(dst)
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	body, err := io.ReadAll(io.LimitReader(r.Body, 200))
	line, _, _ := strings.Cut(string(body), "\n")
	if net.ParseIP(strings.TrimSpace(line)) == nil {
		line = r.Status
	}
	return line, err
}

func tcp(dst string) (string, error) {
	conn, err := net.DialTimeout("tcp", net.JoinHostPort(dst, "80"), patience)
	if err != nil {
		return "", err
	}
	return "connected", conn.Close()
}

func udp(dst string) (string, error) {
	conn, err := net.Dial("udp", net.JoinHostPort(dst, "7"))
	if err != nil {
		return "", err
	}
	defer conn.Close()
	buf, n := make([]byte, 200), 0
	err = ask(conn, func() error { _, err := conn.Write([]byte("who am I")); return err }, func() (err error) { n, err = conn.Read(buf); return err })
	return string(buf[:n]), err
}

// ask sends again and again until an answer comes, or patience ends. An error of sending ends it at once: it is the answer
// of this pod's own network.
func ask(conn interface{ SetReadDeadline(time.Time) error }, send, receive func() error) error {
	if err := send(); err != nil {
		return err
	}
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	done := make(chan struct{})
	defer close(done)
	go func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				_ = send() // the first one's error was told
			}
		}
	}()
	return receive()
}

// ping uses the kernel's own ping socket, which needs no capability.
func ping(dst string) (string, error) {
	conn, err := icmp.ListenPacket("udp4", "0.0.0.0")
	if err != nil {
		return "", err
	}
	defer conn.Close()
	m := icmp.Message{Type: ipv4.ICMPTypeEcho, Body: &icmp.Echo{ID: 1, Seq: 1, Data: []byte("probe")}}
	data, err := m.Marshal(nil)
	if err != nil {
		return "", err
	}
	var from net.Addr
	err = ask(conn, func() error { _, err := conn.WriteTo(data, &net.UDPAddr{IP: net.ParseIP(dst)}); return err },
		func() (err error) { _, from, err = conn.ReadFrom(make([]byte, 1500)); return err })
	if err != nil {
		return "", err
	}
	host, _, _ := net.SplitHostPort(from.String())
	return "answer from " + host, nil
}

// resolve asks again each second: one lost packet is not yet a resolver that does not answer.
func resolve(name string) (string, error) {
	var last error
	for range 5 {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		addrs, err := net.DefaultResolver.LookupHost(ctx, name)
		cancel()
		if last = err; err == nil || word(err) != "no answer" {
			return strings.Join(addrs, " "), err
		}
	}
	return "", last
}
