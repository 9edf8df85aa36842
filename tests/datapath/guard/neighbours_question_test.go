//go:build datapath

package guard

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/charmarr/charmarr-go/vpnk8slib/agent/guard"
)

// What neighbours ask each other goes to neighbours: by a raw socket it could be sent to anybody, with anything in it.
func TestANeighboursQuestionStaysAmongThem(t *testing.T) {
	s := newStage(t)
	send := func(kind byte, to string) {
		t.Helper()
		require.NoError(t, s.pod.Do(t, func() error {
			fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_RAW, unix.IPPROTO_ICMPV6)
			if err != nil {
				return err
			}
			defer unix.Close(fd)
			return quiet(unix.Sendto(fd, append([]byte{kind, 0, 0, 0, 0, 0, 0, 0}, "anything of any length"...), 0, address(netip.MustParseAddr(to))))
		}))
	}
	send(135, "2001:db8:113::c0")
	require.Positive(t, s.counted.Until("2001:db8:113::c0"), "without the guard")
	s.guard(rules)
	for kind, to := range map[byte]string{135: "2001:db8:113::c1", 136: "2001:db8:113::c2"} {
		before := s.dropped()[guard.Out]
		send(kind, to)
		assert.Zero(t, s.counted.Of(to), "LEAK: %d", kind)
		assert.Greater(t, s.dropped()[guard.Out], before)
	}
	require.NoError(t, s.pod.Do(t, func() error { return tcp(443, nil)(netip.MustParseAddr(node6)) }))
	assert.Positive(t, s.counted.Until(node6), "neighbours find each other")
}
