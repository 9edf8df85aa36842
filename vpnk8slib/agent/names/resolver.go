package names

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/charmarr/charmarr-go/vpnk8slib/agent/door"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/guard"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/route"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// Upstream is where questions go on to.
type Upstream struct {
	Resolvers []netip.AddrPort
	Device    string // the only interface that questions may take, but for resolvers on the loopback; empty: as they are routed
	Near      bool   // in the cluster, not behind a tunnel whose silence would hold up everything
	Above     Above  // what must be there for the name that is asked for to be there
}

// errNobody answers.
var errNobody = errors.New("no resolver answers")

const (
	patience = 2 * time.Second // for one resolver's answer
	asks     = 64              // questions on their way at once, and connections, of one asker; programs ask again
	allAsks  = 8 * asks        // of all of a gateway's clients
	largest  = 4096            // bytes of a message over UDP; what is larger is asked for again over TCP
)

// ask asks one after the other, over the transport that the question came by, until one answers.
func (u Upstream) ask(ctx context.Context, q *dns.Msg, transport string) (*dns.Msg, error) {
	for _, r := range u.Resolvers {
		c := dns.Client{Net: transport, Timeout: patience, UDPSize: largest, Dialer: &net.Dialer{Timeout: patience}}
		switch {
		case r.Addr().IsLoopback():
		case u.Device != "":
			c.Dialer.Control = route.Bound(u.Device)
		default: // or the guard would lead them here again
			c.Dialer.Control = route.Marked(guard.Ztunnel)
		}
		own := q.Copy()
		if o := own.IsEdns0(); o != nil && o.UDPSize() > largest {
			o.SetUDPSize(largest)
		}
		own.Id = dns.Id() // drawn: whoever answers in another's name must guess it, and the port
		m, _, err := c.ExchangeContext(ctx, own, r.String())
		if err == nil && m.Id == own.Id {
			m.Id = q.Id
			return m, nil
		}
	}
	return nil, errNobody
}

// Resolver answers questions over UDP and TCP.
type Resolver struct {
	// Listens, if it is there, is called when questions can be asked.
	Listens func()
	// Route says who is asked for a name; false: that there is no such name.
	Route func(name string) (Upstream, bool)
	Asked *Asked // nil: nobody counts

	doors sync.Once
	sides map[bool]*door.Door // by whether it is near
	there there
}

// side lets in those whose questions are on their way there.
func (r *Resolver) side(near bool) *door.Door {
	r.doors.Do(func() {
		r.sides = map[bool]*door.Door{true: {Each: asks, All: allAsks}, false: {Each: asks, All: allAsks}}
	})
	return r.sides[near]
}

// Client is a pod's resolver. Outside says whether the way to the one behind the tunnel is there: where it is not, the answer
// is at once that none can be had.
func Client(n func() overlay.Names, outside func() bool) *Resolver {
	return &Resolver{Route: func(name string) (Upstream, bool) {
		names := n()
		switch side, above := SideOf(names, name); side {
		case Cluster:
			return Upstream{Resolvers: names.Cluster, Near: true, Above: above}, true
		case Outside:
			if !outside() {
				return Upstream{}, true
			}
			return Upstream{Resolvers: names.Outside}, true
		default:
			return Upstream{}, false
		}
	}}
}

// Serve answers at an address until ctx ends.
func (r *Resolver) Serve(ctx context.Context, at netip.AddrPort) error {
	packets, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
	if err != nil {
		return fmt.Errorf("cannot resolve names at %s: %w", at, err)
	}
	streams, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(at))
	if err != nil {
		_ = packets.Close()
		return fmt.Errorf("cannot resolve names at %s: %w", at, err)
	}
	connections := door.Door{Each: asks, All: allAsks}
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		_ = w.WriteMsg(r.Answer(ctx, q, w.LocalAddr().Network(), door.Of(w.RemoteAddr()))) // whoever asked may have gone
	})
	servers := []*dns.Server{{PacketConn: packets, Handler: handler, UDPSize: largest}, {Listener: connections.Listen(streams), Handler: handler}}
	if r.Listens != nil { // the kernel takes them from now on
		r.Listens()
	}
	ended := make(chan error, len(servers))
	for _, s := range servers {
		go func() { ended <- s.ActivateAndServe() }()
	}
	select {
	case <-ctx.Done():
	case err = <-ended:
		err = fmt.Errorf("cannot resolve names at %s any more: %w", at, err)
	}
	_, _ = packets.Close(), streams.Close()
	return err
}

// Answer is the answer to a question that came by a transport, from somebody. A message that is no single question is refused.
func (r *Resolver) Answer(ctx context.Context, q *dns.Msg, transport string, from netip.Addr) *dns.Msg {
	if q.Response || q.Opcode != dns.OpcodeQuery || len(q.Question) != 1 {
		return answer(q, dns.RcodeRefused)
	}
	upstream, known := r.Route(q.Question[0].Name)
	side := r.side(upstream.Near)
	let := known && side.Enter(from)
	r.Asked.count(upstream, let && len(upstream.Resolvers) > 0)
	switch {
	case !known:
		return answer(q, dns.RcodeNameError)
	case !let:
		return answer(q, dns.RcodeServerFailure)
	}
	defer side.Leave(from)
	// All of it together takes no longer than one question may: programs do not wait for more.
	ctx, cancel := context.WithTimeout(ctx, patience*time.Duration(max(1, len(upstream.Resolvers))))
	defer cancel()
	switch stands, err := r.stands(ctx, upstream, upstream.Above); {
	case err != nil:
		return answer(q, dns.RcodeServerFailure)
	case !stands:
		return answer(q, dns.RcodeNameError)
	}
	m, err := upstream.ask(ctx, q, transport)
	if err != nil {
		return answer(q, dns.RcodeServerFailure)
	}
	if transport == "udp" {
		size := dns.MinMsgSize
		if o := q.IsEdns0(); o != nil {
			size = max(size, int(o.UDPSize()))
		}
		m.Truncate(size)
	}
	return m
}
