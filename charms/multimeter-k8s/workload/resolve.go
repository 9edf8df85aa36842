package main

import (
	"context"
	"errors"
	"net"
	"time"
)

// Resolved is the outcome of one lookup: "ok" with addresses, or "notfound", "timeout", "other" with the words.
type Resolved struct {
	Outcome   string   `json:"outcome"`
	Addresses []string `json:"addresses,omitempty"`
	Server    string   `json:"server,omitempty"` // who was asked, where one was named
	Error     string   `json:"error,omitempty"`
	Took      string   `json:"took"`
}

func resolve(name, family, server string, timeout time.Duration) (r Resolved) {
	start := time.Now()
	defer func() { r.Took = time.Since(start).Round(time.Millisecond).String() }()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	r.Server = server
	resolver := &net.Resolver{PreferGo: true}
	if server != "" {
		resolver.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, network, server)
		}
	}
	if family == "any" {
		family = ""
	}
	addresses, err := resolver.LookupNetIP(ctx, "ip"+family, name)
	for _, a := range addresses {
		r.Addresses = append(r.Addresses, a.Unmap().String())
	}
	var dns *net.DNSError
	switch isDNS := errors.As(err, &dns); {
	case err == nil:
		r.Outcome = "ok"
		return r
	case isDNS && dns.IsTimeout:
		r.Outcome = "timeout"
	case isDNS && dns.IsNotFound:
		r.Outcome = "notfound"
	default:
		r.Outcome = "other"
	}
	r.Error = err.Error()
	return r
}
