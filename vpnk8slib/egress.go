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
	MTU      int // of the overlay's interface, in bytes; 0: there is none
}

// TryEgress asks all targets side by side, each for so long, out of this pod. It sends by the overlay's interface alone, so that
// nothing leaves beside it where nothing else protects the pod, and asks for names at the agent, which asks behind the tunnel.
func TryEgress(ctx context.Context, t EgressTargets, each time.Duration) (e Egress) {
	if i, err := net.InterfaceByName(overlayInterface); err == nil {
		e.MTU = i.MTU
	}
	done := make(chan struct{})
	tries := []func(ctx context.Context){
		func(ctx context.Context) { e.Address = get(ctx, "ip4", t.Address, 0) },
		func(ctx context.Context) { e.Address6 = get(ctx, "ip6", t.Address6, 0) },
		func(ctx context.Context) { e.Full = get(ctx, "ip4", t.Address, e.MTU*2) },
		func(ctx context.Context) { e.Resolver = lookUp(ctx, namesOf(agentNames), t.Name) },
		func(ctx context.Context) { e.UDP = lookUp(ctx, namesOf(overUDP(t.UDP)), t.Name) },
	}
	for _, try := range tries {
		go func() {
			ctx, cancel := context.WithTimeout(ctx, each)
			defer cancel()
			try(ctx)
			done <- struct{}{}
		}()
	}
	for range tries {
		<-done
	}
	return e
}

// dialer makes sockets that leave by the overlay's interface, or not at all.
func dialer() *net.Dialer {
	return &net.Dialer{Control: func(_, _ string, c syscall.RawConn) (err error) {
		if out := c.Control(func(fd uintptr) { err = syscall.BindToDevice(int(fd), overlayInterface) }); out != nil {
			return out
		}
		return err
	}}
}

// dialing opens the connection that questions for names take.
type dialing = func(ctx context.Context, network, address string) (net.Conn, error)

// agentNames are asked for at the agent of this pod: the charm runs as root, whose questions nobody leads there.
func agentNames(ctx context.Context, network, _ string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, network, netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), namesPort).String())
}

func overUDP(resolver netip.AddrPort) dialing {
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dialer().DialContext(ctx, "udp", resolver.String())
	}
}

func namesOf(d dialing) *net.Resolver { return &net.Resolver{PreferGo: true, Dial: d} }

// lookUp asks for a name's address. That there is no such name is an answer too.
func lookUp(ctx context.Context, r *net.Resolver, name string) Answer {
	found, err := addresses(ctx, r, "ip4", name)
	var none *net.DNSError
	if errors.As(err, &none) && none.IsNotFound {
		return Answer{Said: "no such name"}
	}
	if err != nil {
		return Answer{Err: err}
	}
	return Answer{Said: found[0].Unmap().String()}
}

// addresses of a name as it is: a search list would ask for another one, and others.
func addresses(ctx context.Context, r *net.Resolver, family, name string) ([]netip.Addr, error) {
	found, err := r.LookupNetIP(ctx, family, strings.TrimSuffix(name, ".")+".")
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("%s has no address", name)
	}
	return found, err
}

// get asks a URL for the caller's address, with so many bytes more than it takes.
func get(ctx context.Context, family, url string, padding int) Answer {
	names := namesOf(agentNames)
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		to, err := netip.ParseAddr(host)
		if err != nil {
			found, err := addresses(ctx, names, family, host)
			if err != nil {
				return nil, err
			}
			to = found[0].Unmap()
		}
		return dialer().DialContext(ctx, "tcp", net.JoinHostPort(to.String(), port))
	}}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return Answer{Err: err}
	}
	if padding > 0 {
		request.Header.Set("X-Padding", strings.Repeat("x", padding))
	}
	response, err := client.Do(request)
	if err != nil {
		return Answer{Err: err}
	}
	defer response.Body.Close()
	const most = 256
	text, err := io.ReadAll(io.LimitReader(response.Body, most))
	if err != nil {
		return Answer{Err: err}
	}
	seen, err := netip.ParseAddr(strings.TrimSpace(string(text)))
	if err != nil {
		return Answer{Err: fmt.Errorf("%s answers with something else than an address (%s)", url, response.Status)}
	}
	return Answer{Said: seen.Unmap().String()}
}
