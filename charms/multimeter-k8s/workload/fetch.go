package main

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"
)

// Fetched is the outcome of one GET. Outcome is "ok" when the server answered, whatever its status, and otherwise how it
// failed: dns, refused, unreachable, timeout, tls, other. A refusal and an "unreachable" from the other side are answers
// too: the packets got there.
type Fetched struct {
	Outcome string `json:"outcome"`
	Status  int    `json:"status,omitempty"`
	Source  string `json:"source,omitempty"` // the address that the echo saw: the body, where that is an address
	Body    string `json:"body,omitempty"`   // its first 1000 bytes, where it is not
	Local   string `json:"local,omitempty"`  // our end of the connection
	Remote  string `json:"remote,omitempty"`
	Error   string `json:"error,omitempty"`
	Took    string `json:"took"`
}

func fetch(url, family string, timeout time.Duration) (f Fetched) {
	start := time.Now()
	defer func() { f.Took = time.Since(start).Round(time.Millisecond).String() }()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()

	var dialer net.Dialer
	transport := &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, // the image holds no certificates, and nothing is trusted here
		DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network("tcp", family), address)
			if err == nil {
				f.Local, f.Remote = conn.LocalAddr().String(), conn.RemoteAddr().String()
			}
			return conn, err
		},
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		f.Outcome, f.Error = "other", err.Error()
		return f
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		f.Outcome, f.Error = kind(err), err.Error()
		return f
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1000))
	if err != nil {
		f.Outcome, f.Error = kind(err), err.Error()
		return f
	}
	f.Outcome, f.Status = "ok", response.StatusCode
	text := strings.TrimSpace(string(body))
	if net.ParseIP(text) != nil {
		f.Source = text
	} else {
		f.Body = text
	}
	return f
}

// network is "tcp", "tcp4" or "tcp6".
func network(proto, family string) string {
	if family == "any" {
		return proto
	}
	return proto + family
}

// kind names how a probe failed. DNS first: a lookup that timed out is not a connection that did.
func kind(err error) string {
	var dns *net.DNSError
	var record tls.RecordHeaderError
	var timeout net.Error
	switch {
	case errors.As(err, &dns):
		return "dns"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return "unreachable"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	case errors.As(err, &record):
		return "tls"
	default:
		return "other"
	}
}
