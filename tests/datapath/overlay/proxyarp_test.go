//go:build datapath

package overlay

import (
	"net"
	"net/netip"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"golang.org/x/sys/unix"

	"github.com/charmarr/charmarr-go/tests/internal/ns"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/guard"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/route"
)

// A socket that is bound to the pod's own interface finds no route in the overlay's tables, and asks its neighbours for the address
// itself: where the node answers for the whole world, as Calico's does, that is a way out for any user.
func TestABoundSocketOnAProxyARPNetwork(t *testing.T) {
	s := newWorld(t)
	seen := s.uplink()
	routed, guarded := s.join("10.42.0.6", "fd42::6"), s.join("10.42.0.5", "fd42::5")
	for _, link := range []string{"p0.5", "p0.6"} {
		s.node.Sysctl(t, "net/ipv4/conf/"+link+"/proxy_arp", "1")
		s.node.Sysctl(t, "net/ipv4/neigh/"+link+"/proxy_delay", "0")
	}
	s.set(routed, other)
	s.guarded(guarded, way)
	for i, w := range []struct {
		name string
		send func(to netip.AddrPort) error
	}{
		{"TCP", bound("tcp", route.Bound("eth0"))},
		{"UDP", bound("udp", route.Bound("eth0"))},
		{"one packet alone", packetBy("eth0")},
	} {
		to := func(last int) netip.AddrPort {
			return netip.AddrPortFrom(netip.AddrFrom4([4]byte{203, 0, 113, byte(10*i + last)}), 443)
		}
		_ = routed.Do(t, func() error { return bound("udp", nil)(to(1)) })
		assert.Zero(t, seen.Of(to(1).Addr().String()), "a socket that is not bound takes the overlay: %s", w.name)
		_ = routed.Do(t, func() error { return w.send(to(2)) })
		assert.Positive(t, seen.Until(to(2).Addr().String()), "without the guard: %s", w.name)
		before := s.dropped(guarded, guard.Out)
		_ = guarded.Do(t, func() error { return w.send(to(3)) })
		assert.Zero(t, seen.Of(to(3).Addr().String()), "LEAK: %s", w.name)
		assert.Greater(t, s.dropped(guarded, guard.Out), before, w.name)
	}
}

// uplink is where the node sends what is for 203.0.113.0/24 and 2001:db8:203::/64; what comes there is counted.
func (s *stage) uplink() *ns.Counter {
	s.Helper()
	beyond := ns.New(s.T)
	ns.Veth(s.T, s.node, "up0", beyond, "down0")
	s.node.Route(s.T, "up0", "203.0.113.0/24")
	s.node.Route(s.T, "up0", "2001:db8:203::/64")
	beyond.Own(s.T, "203.0.113.0/24") // and so answers for all of them
	for _, six := range []string{"2001:db8:203::1", "2001:db8:203::2"} {
		s.node.Neighbour(s.T, "up0", six, beyond, "down0")
	}
	beyond.Route(s.T, "down0", "10.42.0.0/16")
	return beyond.Count(s.T, "down0")
}

type control = func(network, address string, c syscall.RawConn) error

// bound sends by a socket.
func bound(network string, by control) func(to netip.AddrPort) error {
	return func(to netip.AddrPort) error {
		c, err := (&net.Dialer{Timeout: moment, Control: by}).Dial(network, to.String())
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = c.Write([]byte("x"))
		return err
	}
}

// packetBy names the interface with the packet, not with the socket.
func packetBy(device string) func(to netip.AddrPort) error {
	return func(to netip.AddrPort) error {
		link, err := net.InterfaceByName(device)
		if err != nil {
			return err
		}
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		by := unix.PktInfo4(&unix.Inet4Pktinfo{Ifindex: int32(link.Index)})
		return unix.Sendmsg(fd, []byte("x"), by, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}, 0)
	}
}
