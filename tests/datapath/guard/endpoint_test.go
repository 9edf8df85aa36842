//go:build datapath

package guard

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/vpnk8slib/agent/guard"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// Where nobody but the VPN client knows its server, its own mark and the server's port let a packet out: together, and by the
// protocol that it uses.
func TestOnlyTheVPNClientReachesItsServer(t *testing.T) {
	const mark, port = 0xca6c, 4500
	s := newStage(t)
	g := rules
	g.Endpoint = &overlay.Endpoint{Mark: mark, Ports: []uint16{port}}
	s.guard(g)
	for _, w := range []struct {
		name, to string
		send     send
		tcp      bool // the client's protocol
		leaves   bool
	}{
		{"its own", "198.18.12.1", udp(port, withMark(mark)), false, true},
		{"without its mark", "198.18.12.2", udp(port, nil), false, false},
		{"with another mark", "198.18.12.3", udp(port, withMark(0x539)), false, false},
		{"on another port", "198.18.12.4", udp(443, withMark(mark)), false, false},
		{"by TCP", "198.18.12.5", tcp(port, withMark(mark)), false, false},
		{"as a frame", "198.18.12.6", frame(mark), false, false},
		{"its own, by TCP", "198.18.12.7", tcp(port, withMark(mark)), true, true},
		{"by TCP without its mark", "198.18.12.8", tcp(port, nil), true, false},
		{"by UDP where it uses TCP", "198.18.12.9", udp(port, withMark(mark)), true, false},
	} {
		if w.tcp != g.Endpoint.TCP {
			g.Endpoint.TCP = w.tcp
			s.guard(g)
		}
		held := func() uint64 { return s.dropped()[guard.Out] + s.dropped()[guard.Raw] }
		before := held()
		require.NoError(t, s.pod.Do(t, func() error { return w.send(netip.MustParseAddr(w.to)) }), w.name)
		if w.leaves {
			assert.Positive(t, s.counted.Until(w.to), w.name)
			continue
		}
		assert.Zero(t, s.counted.Of(w.to), "LEAK: %s", w.name)
		assert.Greater(t, held(), before, w.name)
	}
}
