package status

import (
	"net"
	"net/http"
	"net/netip"
	"sync"
)

// askers is how many of the cluster may ask at once. Whoever comes may be anybody there, who takes no more than so much memory, and that not
// for long; and he keeps nobody waiting who asks on the loopback: by that Pebble, and the script that runs the VPN client, know whether this
// unit has the tunnel.
const askers = 16

// crowd takes connections of the loopback, and so many others; those beyond are closed at once.
type crowd struct {
	net.Listener
	room chan struct{}
}

func newCrowd(l net.Listener) crowd { return crowd{l, make(chan struct{}, askers)} }

func (c crowd) Accept() (net.Conn, error) {
	for {
		conn, err := c.Listener.Accept()
		if err != nil || local(conn.RemoteAddr().String()) {
			return conn, err
		}
		select {
		case c.room <- struct{}{}:
			return &asker{Conn: conn, leave: sync.OnceFunc(func() { <-c.room })}, nil
		default:
			_ = conn.Close()
		}
	}
}

// asker gives its place back when it is closed.
type asker struct {
	net.Conn
	leave func()
}

func (a *asker) Close() error {
	a.leave()
	return a.Conn.Close()
}

func local(address string) bool {
	at, err := netip.ParseAddrPort(address)
	return err == nil && at.Addr().Unmap().IsLoopback()
}

// onLoopback answers nobody else.
func onLoopback(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !local(r.RemoteAddr) {
			http.NotFound(w, r)
			return
		}
		h(w, r)
	}
}
