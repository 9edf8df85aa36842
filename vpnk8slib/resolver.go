package vpnk8slib

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// names asks whoever is asked for names on this way.
func (w Way) names() *net.Resolver { return w.asking(func(string) {}) }

// asking tells who that is, each time.
func (w Way) asking(tell func(resolver string)) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, resolver string) (net.Conn, error) {
		if !w.led {
			tell(w.resolver.String())
			return w.dialer().DialContext(ctx, network, w.resolver.String())
		}
		if at, err := netip.ParseAddrPort(resolver); err != nil || !at.Addr().Is4() { // the loopback has no way there
			tell(w.resolver.String())
			return new(net.Dialer).DialContext(ctx, network, w.resolver.String())
		}
		tell(resolver)
		return led(network).DialContext(ctx, network, resolver)
	}}
}

// led makes sockets for questions that the guard leads to the agent, as it leads the workload's, whoever is asked: root's too. They leave by
// the loopback, with its address, or not at all: where no guard stands nobody hears them.
func led(network string) *net.Dialer {
	d, loopback := onDevice("lo"), net.IPv4(127, 0, 0, 1)
	d.LocalAddr = &net.UDPAddr{IP: loopback}
	if strings.HasPrefix(network, "tcp") {
		d.LocalAddr = &net.TCPAddr{IP: loopback}
	}
	return d
}

// noSuchName is what is said of one that nobody knows.
const noSuchName = "no such name"

// lookUp asks for a name's address. That there is no such name is an answer too.
func lookUp(ctx context.Context, r *net.Resolver, name string) (string, error) {
	found, err := addressOf(ctx, r, "ip4", name)
	var none *net.DNSError
	if errors.As(err, &none) && none.IsNotFound {
		return noSuchName, nil
	}
	if err != nil {
		return "", err
	}
	return found.String(), nil
}

// addressOf is one of a name.
func addressOf(ctx context.Context, r *net.Resolver, family, name string) (netip.Addr, error) {
	found, err := r.LookupNetIP(ctx, family, overlay.Absolute(name))
	if err != nil {
		return netip.Addr{}, err
	}
	if len(found) == 0 {
		return netip.Addr{}, fmt.Errorf("%s has no address", name)
	}
	return found[0].Unmap(), nil
}
