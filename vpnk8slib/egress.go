package vpnk8slib

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// EgressTargets are what is asked outside. Whoever runs them learns the tunnel's address, and no more.
type EgressTargets struct {
	Address  string // a URL that answers with the caller's address, and nothing else
	Address6 string // the same over IPv6
	Name     string // a name whose address is that of the resolver that asks for it
	STUN     string // a server and its port, which answers a datagram with the caller's address
	// Ports are URLs of which each says whether a port of the caller's is reached, in the words of echoip (mpolden/echoip).
	Ports []string
}

// Way is how packets are to leave a pod.
type Way struct {
	device   string
	resolver netip.AddrPort
	led      bool // names are asked for of whom the pod's resolv.conf has, in whose place the agent on resolver answers
}

// ByOverlay is a consumer's way. Its agent asks for names behind the tunnel.
var ByOverlay = Way{overlayInterface, netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), namesPort), true}

// ByTunnel is a gateway's, with a resolver of those that it asks for its clients.
func ByTunnel(resolver netip.AddrPort) Way { return Way{tunnelInterface, resolver, false} }

// Answer is what came back, or why nothing did.
type Answer struct {
	Said string
	Err  error
}

// Egress is what packets of one's own have shown.
type Egress struct {
	Address  Answer
	Address6 Answer
	Full     Answer   // to a request that fills more than one packet
	Resolver Answer   // the address that Name has
	Asked    string   // the resolver that was asked for it; empty: none was
	UDP      Answer   // the address that a datagram is seen to come from
	Ports    []Answer // whether each port is reached, in their order: reached, or notReached
	MTU      int      // of the interface, in bytes; 0: there is none

	// Own is as whom whoever leaves beside the tunnel is seen, as the operator knows. A node behind a router does not.
	Own []netip.Prefix
}

// What is said of a port.
const reached, notReached = "reached", "not reached"

// TryEgress asks all targets side by side, each for so long, out of this pod. It sends by one interface alone, so that nothing leaves
// beside it where nothing else protects the pod.
func TryEgress(ctx context.Context, w Way, t EgressTargets, each time.Duration) (e Egress) {
	if i, err := net.InterfaceByName(w.device); err == nil {
		e.MTU = i.MTU
	}
	names := w.names()
	var all sync.WaitGroup
	try := func(into *Answer, ask func(ctx context.Context) (string, error)) {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, each)
			defer cancel()
			into.Said, into.Err = ask(ctx)
		})
	}
	get := func(family, url string, padding int) func(ctx context.Context) (string, error) {
		return func(ctx context.Context) (string, error) { return w.caller(ctx, names, family, url, padding) }
	}
	try(&e.Address, get("ip4", t.Address, 0))
	try(&e.Address6, get("ip6", t.Address6, 0))
	try(&e.Full, get("ip4", t.Address, 2*e.MTU))
	var asked atomic.Value // a lookup that is late goes on for a while
	try(&e.Resolver, func(ctx context.Context) (string, error) {
		return lookUp(ctx, w.asking(func(resolver string) { asked.Store(resolver) }), t.Name)
	})
	try(&e.UDP, func(ctx context.Context) (string, error) { return w.stun(ctx, names, t.STUN) })
	e.Ports = make([]Answer, len(t.Ports))
	for i, url := range t.Ports {
		try(&e.Ports[i], func(ctx context.Context) (string, error) { return w.port(ctx, names, url) })
	}
	all.Wait()
	e.Asked, _ = asked.Load().(string)
	return e
}

// dialer makes sockets that leave by the interface, or not at all.
func (w Way) dialer() *net.Dialer { return onDevice(w.device) }

func onDevice(device string) *net.Dialer {
	return &net.Dialer{Control: func(_, _ string, c syscall.RawConn) (err error) {
		if out := c.Control(func(fd uintptr) { err = syscall.BindToDevice(int(fd), device) }); out != nil {
			return out
		}
		return err
	}}
}

// dial connects to a host and port, by an address of a family.
func (w Way) dial(ctx context.Context, names *net.Resolver, family, network, at string) (net.Conn, error) {
	to, err := literal(ctx, names, family, at)
	if err != nil {
		return nil, err
	}
	return w.dialer().DialContext(ctx, network, to.String())
}

// literal is a host and port with an address of a family in the host's place.
func literal(ctx context.Context, names *net.Resolver, family, at string) (netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(at)
	if err != nil {
		return netip.AddrPort{}, err
	}
	to, err := netip.ParseAddr(host)
	if err != nil {
		if to, err = addressOf(ctx, names, family, host); err != nil {
			return netip.AddrPort{}, err
		}
	}
	if to = to.Unmap(); to.Is4() != (family == "ip4") {
		return netip.AddrPort{}, fmt.Errorf("%s is an address of the other family than it is to be", to)
	}
	return netip.ParseAddrPort(net.JoinHostPort(to.String(), port))
}

// stun asks by UDP for the caller's address.
func (w Way) stun(ctx context.Context, names *net.Resolver, server string) (string, error) {
	c, err := w.dial(ctx, names, "ip4", "udp", server)
	if err != nil {
		return "", err
	}
	defer c.Close()
	until, _ := ctx.Deadline() // TryEgress sets one
	seen, err := askSTUN(c, until)
	if err != nil {
		return "", err
	}
	return seen.String(), nil
}

// caller asks a URL for the caller's address, with so many bytes more than it takes.
func (w Way) caller(ctx context.Context, names *net.Resolver, family, url string, padding int) (string, error) {
	text, status, err := w.get(ctx, names, family, url, padding)
	if err != nil {
		return "", err
	}
	seen, err := netip.ParseAddr(strings.TrimSpace(string(text)))
	if err != nil {
		return "", fmt.Errorf("%s answers with something else than an address (%s)", url, status)
	}
	return seen.Unmap().String(), nil
}

// port asks a URL whether a port of the caller's is reached.
func (w Way) port(ctx context.Context, names *net.Resolver, url string) (string, error) {
	text, status, err := w.get(ctx, names, "ip4", url, 0)
	if err != nil {
		return "", err
	}
	var said struct {
		Reachable *bool `json:"reachable"`
	}
	switch err := json.Unmarshal(text, &said); {
	case err != nil || said.Reachable == nil:
		return "", fmt.Errorf("%s does not say whether a port is reachable (%s)", url, status)
	case *said.Reachable:
		return reached, nil
	default:
		return notReached, nil
	}
}

// get is what a URL answers, as far as a caller needs it, and with which status.
func (w Way) get(ctx context.Context, names *net.Resolver, family, url string, padding int) (text []byte, status string, err error) {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, at string) (net.Conn, error) {
		return w.dial(ctx, names, family, "tcp", at)
	}}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, "", err
	}
	if padding > 0 {
		request.Header.Set("X-Padding", strings.Repeat("x", padding))
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, "", err
	}
	defer response.Body.Close()
	const most = 1 << 10
	text, err = io.ReadAll(io.LimitReader(response.Body, most))
	return text, response.Status, err
}
