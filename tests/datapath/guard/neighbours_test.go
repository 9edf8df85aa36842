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

// Peers, routers and names are looked for among the neighbours too, by an interface that the program chooses: there too it would be told
// what is downloaded here.
func TestNothingIsCalledToTheNeighbours(t *testing.T) {
	s := newStage(t)
	index := s.pod.Index(t, "eth0")
	by := func(level, option int) func(fd uintptr) error {
		return func(fd uintptr) error { return unix.SetsockoptInt(int(fd), level, option, index) }
	}
	four := func(fd uintptr) error {
		return unix.SetsockoptIPMreqn(int(fd), unix.IPPROTO_IP, unix.IP_MULTICAST_IF, &unix.IPMreqn{Ifindex: int32(index)})
	}
	ways := []struct {
		name, to string
		send     send
	}{
		{"a torrent's peers", "239.192.152.143", udp(6771, four)},
		{"a torrent's peers by IPv6", "ff15::efc0:988f", udp(6771, by(unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_IF))},
		{"a router that forwards ports", "239.255.255.250", udp(1900, four)},
		{"a name", "224.0.0.251", udp(5353, four)},
		{"anybody", "255.255.255.255", udp(6771, onDevice("eth0"))},
	}
	all := func() {
		for _, w := range ways {
			require.NoError(t, s.pod.Do(t, func() error { return w.send(netip.MustParseAddr(w.to)) }), w.name)
		}
	}
	all()
	before := map[string]int{}
	for _, w := range ways {
		before[w.to] = s.counted.Until(w.to)
		require.Positive(t, before[w.to], "without the guard: %s", w.name)
	}
	s.guard(rules)
	all()
	for _, w := range ways {
		assert.Equal(t, before[w.to], s.counted.Of(w.to), "LEAK: %s", w.name)
	}
	assert.GreaterOrEqual(t, s.dropped()[guard.Out], uint64(len(ways)))
}
