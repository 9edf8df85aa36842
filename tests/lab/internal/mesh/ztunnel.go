package mesh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"
	"unsafe"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"github.com/charmarr/charmarr-go/tests/lab/internal/where"
)

// Serve is the mesh's process of one pod, in that pod's network. It writes one byte to standard output when it listens.
func Serve(ctx context.Context) error {
	errs := make(chan error, 4)
	for port, carry := range map[int]func(net.Conn, netip.AddrPort) (net.Conn, error){outboundPort: outbound, inboundPort: inbound} {
		l, err := listen(ctx, port)
		if err != nil {
			return err
		}
		go func() { errs <- accept(l, carry) }()
	}
	packets, err := net.ListenPacket("udp", fmt.Sprintf(":%d", dnsPort))
	if err != nil {
		return err
	}
	streams, err := net.Listen("tcp", fmt.Sprintf(":%d", dnsPort))
	if err != nil {
		return err
	}
	go func() { errs <- (&dns.Server{PacketConn: packets, Handler: dns.HandlerFunc(ask)}).ActivateAndServe() }()
	go func() { errs <- (&dns.Server{Listener: streams, Handler: dns.HandlerFunc(ask)}).ActivateAndServe() }()
	if _, err := os.Stdout.Write([]byte("\n")); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-errs:
		return err
	}
}

// listen takes connections to addresses that are not this pod's: replies to one that inbound opened in a client's name.
func listen(ctx context.Context, port int) (net.Listener, error) {
	c := net.ListenConfig{Control: transparent}
	return c.Listen(ctx, "tcp", fmt.Sprintf(":%d", port))
}

func accept(l net.Listener, carry func(net.Conn, netip.AddrPort) (net.Conn, error)) error {
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer conn.Close()
			to, err := meant(conn.(*net.TCPConn))
			if err != nil {
				return
			}
			onward, err := carry(conn, to)
			if err != nil {
				reset(conn) // what the client sees of a way that does not go on
				return
			}
			defer onward.Close()
			splice(conn, onward)
		}()
	}
}

// outbound carries a connection of the pod's own on to where it was going.
func outbound(_ net.Conn, to netip.AddrPort) (net.Conn, error) {
	d := net.Dialer{Timeout: 10 * time.Second, Control: marked}
	return d.Dial("tcp", to.String())
}

// inbound carries a connection to the pod on from its client's address. Not from its port: the kernel would take it for the
// same connection, and send it here again.
func inbound(from net.Conn, to netip.AddrPort) (net.Conn, error) {
	client := &net.TCPAddr{IP: from.RemoteAddr().(*net.TCPAddr).IP}
	d := net.Dialer{Timeout: 10 * time.Second, LocalAddr: client, Control: func(network, address string, c syscall.RawConn) error {
		return errors.Join(marked(network, address, c), transparent(network, address, c))
	}}
	return d.Dial("tcp", to.String())
}

// ask hands a question on to the cluster's resolver, which is the only one that ztunnel knows.
func ask(w dns.ResponseWriter, q *dns.Msg) {
	c := dns.Client{Net: "udp", Timeout: 3 * time.Second, Dialer: &net.Dialer{Timeout: 3 * time.Second, Control: marked}}
	a, _, err := c.Exchange(q, net.JoinHostPort(where.ClusterDNS, "53"))
	if err != nil {
		a = new(dns.Msg)
		a.SetRcode(q, dns.RcodeServerFailure)
	}
	_ = w.WriteMsg(a)
}

func marked(_, _ string, c syscall.RawConn) error {
	return option(c, unix.SOL_SOCKET, unix.SO_MARK, ownMark)
}

func transparent(network, _ string, c syscall.RawConn) error {
	if network == "tcp6" {
		return errors.Join(option(c, unix.SOL_IPV6, unix.IPV6_TRANSPARENT, 1), option(c, unix.SOL_IP, unix.IP_TRANSPARENT, 1))
	}
	return option(c, unix.SOL_IP, unix.IP_TRANSPARENT, 1)
}

func option(c syscall.RawConn, level, name, value int) (err error) {
	if control := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), level, name, value) }); control != nil {
		return control
	}
	return err
}

// meant is where a redirected connection was going (SO_ORIGINAL_DST of either family).
func meant(conn *net.TCPConn) (to netip.AddrPort, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return to, err
	}
	const originalDst = 80
	if control := raw.Control(func(fd uintptr) {
		var four unix.RawSockaddrInet4
		if err = sockopt(fd, unix.SOL_IP, originalDst, unsafe.Pointer(&four), unsafe.Sizeof(four)); err == nil {
			to = netip.AddrPortFrom(netip.AddrFrom4(four.Addr), port(four.Port))
			return
		}
		var six unix.RawSockaddrInet6
		if err = sockopt(fd, unix.SOL_IPV6, originalDst, unsafe.Pointer(&six), unsafe.Sizeof(six)); err == nil {
			to = netip.AddrPortFrom(netip.AddrFrom16(six.Addr), port(six.Port))
		}
	}); control != nil {
		return to, control
	}
	return to, err
}

func sockopt(fd uintptr, level, name int, value unsafe.Pointer, size uintptr) error {
	length := uint32(size)
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, fd, uintptr(level), uintptr(name), uintptr(value), uintptr(unsafe.Pointer(&length)), 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// port is in the network's order.
func port(p uint16) uint16 { return p<<8 | p>>8 }

func reset(conn net.Conn) {
	if t, ok := conn.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
}

func splice(a, b net.Conn) {
	done := make(chan struct{}, 2)
	for from, to := range map[net.Conn]net.Conn{a: b, b: a} {
		go func() {
			_, _ = io.Copy(to, from)
			if t, ok := to.(*net.TCPConn); ok {
				_ = t.CloseWrite()
			}
			done <- struct{}{}
		}()
	}
	<-done
	<-done
}
