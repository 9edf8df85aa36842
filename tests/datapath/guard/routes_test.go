//go:build datapath

package guard

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/charmarr/charmarr-go/tests/internal/ns"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/guard"
)

// A router that advertises itself is one for a pod that nobody guards, and not for one behind its guard. Nor does it help to have
// been believed before the guard was there.
func TestARouterAdvertisesItself(t *testing.T) {
	s := newStage(t)
	plain := ns.New(t)
	ns.Veth(t, plain, "eth0", s.world, "pod1")
	plain.Addr(t, "eth0", "fd42::6/64")
	s.world.Forward(t) // else its neighbours hear that it is no router
	for _, link := range []string{"pod0", "pod1"} {
		s.world.Addr(t, link, "fe80::1/64")
	}
	for _, pod := range []*ns.NS{s.pod, plain} { // a host of the kernel's own making
		pod.Sysctl(t, "net/ipv6/conf/eth0/accept_ra", "1")
	}
	s.pod.Less(t, "eth0", "::/0")
	s.guard(rules)
	send := func(pod *ns.NS, to string) {
		t.Helper()
		require.NoError(t, pod.Do(t, func() error { return udp(9000, nil)(netip.MustParseAddr(to)) }))
	}
	out := s.world.Count(t, "pod1")
	send(plain, "2001:db8:113::a0")
	require.Zero(t, out.Of("2001:db8:113::a0"), "there is no way yet")

	before := s.dropped()[guard.In]
	s.advertise("pod0", "pod1")
	require.Eventually(t, func() bool { return len(plain.Routers(t)) == 1 }, patience, moment, "a pod that nobody guards believes it")
	send(plain, "2001:db8:113::a1")
	require.Positive(t, out.Until("2001:db8:113::a1"))
	require.Eventually(t, func() bool { return s.dropped()[guard.In] > before }, patience, moment)
	assert.Empty(t, s.pod.Routers(t))
	send(s.pod, "2001:db8:113::a2")
	assert.Zero(t, s.counted.Of("2001:db8:113::a2"), "LEAK")

	require.NoError(t, s.pod.Do(t, guard.Remove))
	s.advertise("pod0")
	require.Eventually(t, func() bool { return len(s.pod.Routers(t)) == 1 }, patience, moment)
	send(s.pod, "2001:db8:113::a3")
	require.Positive(t, s.counted.Until("2001:db8:113::a3"), "without the guard")
	s.guard(rules)
	before = s.dropped()[guard.Out]
	send(s.pod, "2001:db8:113::a4")
	assert.Zero(t, s.counted.Of("2001:db8:113::a4"), "LEAK")
	assert.Greater(t, s.dropped()[guard.Out], before)
}

// advertise sends a router's advertisement of itself (RFC 4861, 4.2), without options, out of interfaces of the world's.
func (s *stage) advertise(links ...string) {
	s.Helper()
	require.NoError(s, s.world.Do(s.T, func() error {
		fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_RAW, unix.IPPROTO_ICMPV6)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, 255); err != nil { // others came over a router
			return err
		}
		const advertisement, hops, seconds = 134, 64, 30
		for _, name := range links {
			all := &unix.SockaddrInet6{Addr: netip.MustParseAddr("ff02::1").As16(), ZoneId: uint32(s.world.Index(s.T, name))}
			if err := unix.Sendto(fd, []byte{advertisement, 0, 0, 0, hops, 0, 0, seconds, 0, 0, 0, 0, 0, 0, 0, 0}, 0, all); err != nil {
				return err
			}
		}
		return nil
	}))
}

// However many ways out a pod's network has laid, and whatever a script takes away of them: without the guard one is left.
func TestSeveralWaysOut(t *testing.T) {
	for _, c := range []struct {
		name, to string
		lay      func(pod *ns.NS)
	}{
		{"two default routes", "198.18.4.1", func(pod *ns.NS) {
			pod.Another(t, "eth0", "0.0.0.0/0", node, 7)
			pod.Less(t, "eth0", "0.0.0.0/0")
		}},
		{"two halves of the world", "198.18.4.2", func(pod *ns.NS) {
			pod.Via(t, "eth0", "0.0.0.0/1", node)
			pod.Via(t, "eth0", "128.0.0.0/1", node)
			pod.Less(t, "eth0", "0.0.0.0/0")
		}},
		{"two default routes of IPv6", "2001:db8:113::b1", func(pod *ns.NS) {
			pod.Another(t, "eth0", "::/0", node6, 7)
			pod.Less(t, "eth0", "::/0")
		}},
		{"all of IPv6 that is in use", "2001:db8:113::b2", func(pod *ns.NS) {
			pod.Via(t, "eth0", "2000::/3", node6)
			pod.Less(t, "eth0", "::/0")
		}},
	} {
		s := newStage(t)
		c.lay(s.pod)
		send := func() {
			require.NoError(t, s.pod.Do(t, func() error { return udp(9000, nil)(netip.MustParseAddr(c.to)) }), c.name)
		}
		send()
		before := s.counted.Until(c.to)
		require.Positive(t, before, "without the guard: %s", c.name)
		s.guard(rules)
		send()
		time.Sleep(moment)
		assert.Equal(t, before, s.counted.Of(c.to), "LEAK: %s", c.name)
		assert.Positive(t, s.dropped()[guard.Out], c.name)
	}
}
