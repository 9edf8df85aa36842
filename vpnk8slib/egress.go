package vpnk8slib

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"time"
)

// EgressTargets are what is asked outside. Whoever runs them learns the tunnel's address, and no more.
type EgressTargets struct {
	Address  string         // a URL that answers with the caller's address, and nothing else
	Address6 string         // the same over IPv6
	Name     string         // a name whose address is that of the resolver that asks for it
	UDP      netip.AddrPort // a resolver, by its address
}

// Way is how packets are to leave a pod.
type Way struct {
	device string
	names  netip.AddrPort // where names are asked for, in the pod; zero: at the targets' resolver
}

// The ways that are ours.
var (
	// ByOverlay is a consumer's, whose agent asks for names behind the tunnel: the charm runs as root, whose questions nobody leads there.
	ByOverlay = Way{overlayInterface, netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), namesPort)}
	// ByTunnel is a gateway's.
	ByTunnel = Way{device: tunnelInterface}
)

// Answer is what came back, or why nothing did.
type Answer struct {
	Said string
	Err  error
}

// Egress is what packets of one's own have shown.
type Egress struct {
	Address  Answer
	Address6 Answer
	Full     Answer // to a request that fills more than one packet
	Resolver Answer // the address that Name has
	UDP      Answer
	MTU      int // of the interface, in bytes; 0: there is none
}

// TryEgress asks all targets side by side, each for so long, out of this pod. It sends by one interface alone, so that nothing leaves
// beside it where nothing else protects the pod.
func TryEgress(ctx context.Context, w Way, t EgressTargets, each time.Duration) (e Egress) {
	if i, err := net.InterfaceByName(w.device); err == nil {
		e.MTU = i.MTU
	}
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return w.dialer().DialContext(ctx, "udp", t.UDP.String())
	}}
	names := resolver
	if w.names.IsValid() {
		names = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, w.names.String())
		}}
	}
	var all sync.WaitGroup
	try := func(into *Answer, ask func(ctx context.Context) (string, error)) {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, each)
			defer cancel()
			into.Said, into.Err = ask(ctx)
		})
	}
	get := func(family, url string, padding int) func(ctx context.Context) (string, error) {
		return func(ctx context.Context) (string, error) { return w.get(ctx, names, family, url, padding) }
	}
	try(&e.Address, get("ip4", t.Address, 0))
	try(&e.Address6, get("ip6", t.Address6, 0))
	try(&e.Full, get("ip4", t.Address, 2*e.MTU))
	try(&e.Resolver, func(ctx context.Context) (string, error) { return lookUp(ctx, names, t.Name) })
	try(&e.UDP, func(ctx context.Context) (string, error) { return lookUp(ctx, resolver, t.Name) })
	all.Wait()
	return e
}

// dialer makes sockets that leave by the interface, or not at all.
func (w Way) dialer() *net.Dialer {
	return &net.Dialer{Control: func(_, _ string, c syscall.RawConn) (err error) {
		if out := c.Control(func(fd uintptr) { err = syscall.BindToDevice(int(fd), w.device) }); out != nil {
			return out
		}
		return err
	}}
}

// lookUp asks for a name's address. That there is no such name is an answer too.
func lookUp(ctx context.Context, r *net.Resolver, name string) (string, error) {
	found, err := addressOf(ctx, r, "ip4", name)
	var none *net.DNSError
	if errors.As(err, &none) && none.IsNotFound {
		return "no such name", nil
	}
	return found.String(), err
}

// addressOf is one of a name as it is: a search list would ask for another one, and others.
func addressOf(ctx context.Context, r *net.Resolver, family, name string) (netip.Addr, error) {
	found, err := r.LookupNetIP(ctx, family, strings.TrimSuffix(name, ".")+".")
	if err != nil {
		return netip.Addr{}, err
	}
	if len(found) == 0 {
		return netip.Addr{}, fmt.Errorf("%s has no address", name)
	}
	return found[0].Unmap(), nil
}

// get asks a URL for the caller's address, with so many bytes more than it takes.
func (w Way) get(ctx context.Context, names *net.Resolver, family, url string, padding int) (string, error) {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, at string) (net.Conn, error) {
		host, port, err := net.SplitHostPort(at)
		if err != nil {
			return nil, err
		}
		to, err := netip.ParseAddr(host)
		if err != nil {
			if to, err = addressOf(ctx, names, family, host); err != nil {
				return nil, err
			}
		}
		return w.dialer().DialContext(ctx, "tcp", net.JoinHostPort(to.String(), port))
	}}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	if padding > 0 {
		request.Header.Set("X-Padding", strings.Repeat("x", padding))
	}
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	const most = 256
	text, err := io.ReadAll(io.LimitReader(response.Body, most))
	if err != nil {
		return "", err
	}
	seen, err := netip.ParseAddr(strings.TrimSpace(string(text)))
	if err != nil {
		return "", fmt.Errorf("%s answers with something else than an address (%s)", url, response.Status)
	}
	return seen.Unmap().String(), nil
}
