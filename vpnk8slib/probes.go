package vpnk8slib

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"syscall"
	"time"
)

// probe asks one thing. Any answer, even a refusal, is one that came back.
type probe struct {
	kind, to string
	mute     bool // see Tried
	ask      func(ctx context.Context) (string, error)
}

// probes are of literal addresses, which are asked for while the overlay is up: with it down names are not found either, and then nothing
// would be tried.
func (w Way) probes(ctx context.Context, t EgressTargets, each time.Duration) ([]probe, error) {
	ctx, cancel := context.WithTimeout(ctx, each)
	defer cancel()
	web, err := w.web(ctx, "ip4", t.Address)
	if err != nil {
		return nil, err
	}
	stun, err := literal(ctx, w.names(), "ip4", t.STUN)
	if err != nil {
		return nil, err
	}
	return []probe{
		connection("tcp", web, false), question("udp", stun, false), echo("icmp", web.Addr()),
		{"dns", t.Name, false, func(ctx context.Context) (string, error) { return lookUp(ctx, &net.Resolver{PreferGo: true}, t.Name) }},
	}, nil
}

// probes6 are the same over IPv6, but for names, which are asked for of whom the pod knows. What cannot be tried is a finding.
func (w Way) probes6(ctx context.Context, t EgressTargets, each time.Duration, here bool) (all []probe, untried []Finding) {
	if !here {
		return nil, []Finding{{"drill-ipv6", Pass, "no IPv6 here: the pod has no address by which it could leave"}}
	}
	ctx, cancel := context.WithTimeout(ctx, each)
	defer cancel()
	if web, err := w.web(ctx, "ip6", t.Address6); err == nil {
		all = append(all, connection("tcp6", web, true), echo("icmp6", web.Addr()))
	} else {
		untried = append(untried, Finding{"drill-ipv6", Unknown, "no TCP and no ICMP were tried: " + err.Error()})
	}
	if stun, err := literal(ctx, w.names(), "ip6", t.STUN); err == nil {
		all = append(all, question("udp6", stun, true))
	} else {
		untried = append(untried, Finding{"drill-udp6", Unknown, "none was tried: " + err.Error()})
	}
	return all, untried
}

// web is where a URL leads.
func (w Way) web(ctx context.Context, family, at string) (netip.AddrPort, error) {
	u, err := url.Parse(at)
	if err != nil {
		return netip.AddrPort{}, err
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return literal(ctx, w.names(), family, net.JoinHostPort(u.Hostname(), port))
}

func connection(kind string, to netip.AddrPort, mute bool) probe {
	return probe{kind, to.String(), mute, func(ctx context.Context) (string, error) { return connect(ctx, to) }}
}

func question(kind string, to netip.AddrPort, mute bool) probe {
	return probe{kind, to.String(), mute, func(ctx context.Context) (string, error) { return datagram(ctx, to) }}
}

func echo(kind string, to netip.Addr) probe {
	return probe{kind, to.String(), true, func(ctx context.Context) (string, error) { return ping(ctx, to) }}
}

// connect makes a connection. A refusal is an answer too.
func connect(ctx context.Context, to netip.AddrPort) (string, error) {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", to.String())
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "a refusal of " + to.String(), nil
	case err != nil:
		return "", err
	}
	_ = c.Close()
	return "a connection with " + to.String(), nil
}

// datagram asks by STUN, of which any answer counts.
func datagram(ctx context.Context, to netip.AddrPort) (string, error) {
	c, err := new(net.Dialer).DialContext(ctx, "udp", to.String())
	if err != nil {
		return "", err
	}
	defer c.Close()
	until, _ := ctx.Deadline() // whoever tries sets one
	seen, err := askSTUN(c, until)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "a refusal of " + to.String(), nil
	case err != nil:
		return "", err
	}
	return "seen as " + seen.String(), nil
}
