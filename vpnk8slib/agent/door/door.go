// Package door lets so many in at once. Whoever comes may be anybody in the cluster, or any client of a gateway, who takes no more than so
// much memory, and keeps nobody else waiting.
package door

import (
	"net"
	"net/netip"
	"sync"
)

// Door counts who is inside.
type Door struct {
	Each, All int                   // how many may be in, of one address and altogether
	Free      func(netip.Addr) bool // those whom nobody counts; nil: everybody is
	mu        sync.Mutex
	inside    map[netip.Addr]int
	sum       int
}

// Enter says whether there is room for one more who comes from an address; whoever is let in has to leave.
func (d *Door) Enter(from netip.Addr) bool {
	if d.Free != nil && d.Free(from) {
		return true
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.sum >= d.All || d.inside[from] >= d.Each {
		return false
	}
	if d.inside == nil {
		d.inside = map[netip.Addr]int{}
	}
	d.inside[from]++
	d.sum++
	return true
}

// Leave makes room again.
func (d *Door) Leave(from netip.Addr) {
	if d.Free != nil && d.Free(from) {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sum--
	if d.inside[from]--; d.inside[from] == 0 {
		delete(d.inside, from)
	}
}

// Listen has a listener close at once what the door does not let in.
func (d *Door) Listen(l net.Listener) net.Listener { return listener{l, d} }

type listener struct {
	net.Listener
	door *Door
}

func (l listener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from := Of(conn.RemoteAddr())
		if l.door.Enter(from) {
			return &guest{Conn: conn, leave: sync.OnceFunc(func() { l.door.Leave(from) })}, nil
		}
		_ = conn.Close()
	}
}

// guest gives its place back when it is closed.
type guest struct {
	net.Conn
	leave func()
}

func (g *guest) Close() error {
	g.leave()
	return g.Conn.Close()
}

// Of is the address of somebody's end; zero where it has none.
func Of(end net.Addr) netip.Addr {
	at, err := netip.ParseAddrPort(end.String())
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr().Unmap()
}

// Inside is how many are.
func (d *Door) Inside() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.sum
}
