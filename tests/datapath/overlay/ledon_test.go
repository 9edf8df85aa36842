//go:build datapath

package overlay

import (
	"net"
	"net/netip"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/charmarr/charmarr-go/tests/internal/ns"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/guard"
)

// A packet for the cluster may name another address that it is to be sent on to: of IPv6 any user may write it, and some nodes heed it.
func TestASourceRouteLeadsNowhere(t *testing.T) {
	s := newWorld(t)
	seen := s.uplink()
	plain, guarded := s.join("10.42.0.6", "fd42::6"), s.join("10.42.0.5", "fd42::5")
	for _, name := range []string{"all", "p0.5", "p0.6"} {
		s.node.Sysctl(t, "net/ipv4/conf/"+name+"/accept_source_route", "1")
		s.node.Sysctl(t, "net/ipv6/conf/"+name+"/seg6_enabled", "1")
	}
	s.node.Addr(t, "lo", "fd42::53/128")
	s.guarded(guarded, way)
	loose := func(to netip.Addr) []byte {
		const next = 4
		return append([]byte{131, 3 + 4 + 4, next, 10, 43, 0, 1}, to.AsSlice()...)
	}
	segments := func(to netip.Addr) []byte { // RFC 8754: the last is the first
		return append(append([]byte{0, 4, 4, 1, 1, 0, 0, 0}, to.AsSlice()...), netip.MustParseAddr("fd42::53").AsSlice()...)
	}
	for _, w := range []struct {
		name, network, by, plain, guarded string
		level, option                     int
		route                             func(to netip.Addr) []byte
	}{
		{"IPv4", "udp4", "10.43.0.1", "203.0.113.1", "203.0.113.2", unix.IPPROTO_IP, unix.IP_OPTIONS, loose},
		{"IPv6", "udp6", "fd42::53", "2001:db8:203::1", "2001:db8:203::2", unix.IPPROTO_IPV6, unix.IPV6_RTHDR, segments},
	} {
		send := func(pod *ns.NS, text string, port uint16) {
			t.Helper()
			to := netip.MustParseAddr(text)
			require.NoError(t, pod.Do(t, func() error {
				none, option := [2]unix.CapUserData{}, w.route(to)
				if to.Is6() { // it takes no capability: of this thread, which ends here
					if err := unix.Capset(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &none[0]); err != nil {
						return err
					}
				}
				l := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
					_ = c.Control(func(fd uintptr) { err = unix.SetsockoptString(int(fd), w.level, w.option, string(option)) })
					return err
				}}
				c, err := l.ListenPacket(t.Context(), w.network, ":0")
				if err != nil {
					return err
				}
				defer c.Close()
				_, _ = c.WriteTo([]byte("x"), &net.UDPAddr{IP: to.AsSlice(), Port: int(port)}) // or it is dropped on its way out
				return nil
			}), w.name)
		}
		first := s.node.Count(t, "p0.6")
		send(plain, w.plain, 9000)
		require.Positive(t, seen.Until(w.plain), "a pod that nobody guards: %s", w.name)
		require.Positive(t, first.Of(w.by), "by way of the cluster: %s", w.name)
		for _, port := range []uint16{9000, way.Port} { // the encapsulation goes by a rule of its own
			before := s.dropped(guarded, guard.Out)
			send(guarded, w.guarded, port)
			assert.Zero(t, seen.Of(w.guarded), "LEAK: %s to %d", w.name, port)
			assert.Greater(t, s.dropped(guarded, guard.Out), before, "%s to %d", w.name, port)
		}
	}
}
