//go:build datapath

package overlay

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/tests/internal/ns"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/beat"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// A stranger asks for every address that there is, by heartbeats that it makes up and by a client's own that it has heard. None is
// taken by it; whoever has the key is a client at its address at once, also one where another with the same key was.
func TestNobodyTakesAllAddresses(t *testing.T) {
	s := newWorld(t)
	g := s.gatewayAgent("10.42.0.7", nil)
	pod := s.clientAgent("10.42.0.5", way, qbittorrentKey)
	s.through(pod.NS)
	stranger := s.join("10.42.0.66", "fd42::66")
	was := netip.MustParseAddr("10.42.0.5")
	asked, before := 0, g.Report().Gateway.Foreign
	for _, b := range ours.Blocks {
		for a := b.Addresses.Addr(); b.Addresses.Contains(a); a = a.Next() {
			assert.False(t, s.claims(stranger, a, keyOf("somebody else"), moment/10), a)
			s.replay(stranger, beat.Beat{From: beat.Client, Client: a, Number: 7, Echo: 8}.Seal([]byte(keyOf(b.Name)), was))
			asked += 2
		}
	}
	report := g.Until("each is counted", func(r overlay.Report) bool { return r.Gateway.Foreign >= before+uint64(asked) })
	require.Len(t, report.Gateway.Clients, 1)
	assert.Equal(t, was, report.Gateway.Clients[way.Address.Addr()].Pod)

	// What the client said once, sent again from its own pod, is answered and no more.
	stale := report.Gateway.Stale
	s.replay(pod.NS, beat.Beat{From: beat.Client, Client: way.Address.Addr(), Number: 7, Echo: 8}.Seal([]byte(qbittorrentKey), was))
	g.Until("it is counted", func(r overlay.Report) bool { return r.Gateway.Stale > stale })

	next := way
	next.Address = netip.MustParsePrefix("172.16.0.19/20")
	s.through(s.clientAgent("10.42.0.6", next, qbittorrentKey).NS)

	// With a key all addresses of its own block are its, and no other's.
	theirs := ours.Blocks[1]
	for a := theirs.Addresses.Addr(); theirs.Addresses.Contains(a); a = a.Next() {
		require.True(t, s.claims(stranger, a, keyOf(theirs.Name), patience), a)
	}
	clients := g.Report().Gateway.Clients
	require.Len(t, clients, 2+16)
	assert.Equal(t, netip.MustParseAddr("10.42.0.66"), clients[other.Address.Addr()].Pod)
	s.through(s.clientAgent("10.42.0.8", other, keyOf(theirs.Name)).NS)
	assert.Equal(t, netip.MustParseAddr("10.42.0.8"), g.Report().Gateway.Clients[other.Address.Addr()].Pod)
	last := way
	last.Address = netip.MustParsePrefix("172.16.0.20/20")
	s.through(s.clientAgent("10.42.0.9", last, qbittorrentKey).NS)
}

// claims says whether a pod that asks for an address is believed, as a client does it.
func (s *stage) claims(pod *ns.NS, a netip.Addr, key string, wait time.Duration) (heard bool) {
	s.Helper()
	own := netip.MustParseAddr("10.42.0.66")
	require.NoError(s, pod.Do(s.T, func() error {
		c, err := net.DialUDP("udp", &net.UDPAddr{IP: own.AsSlice(), Port: int(way.Beats)}, &net.UDPAddr{IP: net.IPv4(10, 42, 0, 7), Port: int(way.Beats)})
		if err != nil {
			return err
		}
		defer c.Close()
		end, answer := beat.End{Role: beat.Client, Key: []byte(key), Own: own, Client: a}, make([]byte, 100)
		for range 2 { // who it is, and that it has heard the answer
			if _, err := c.Write(end.Next()); err != nil {
				return err
			}
			_ = c.SetReadDeadline(time.Now().Add(wait))
			for verdict := beat.Foreign; verdict == beat.Foreign; { // of another address that it has
				n, err := c.Read(answer)
				if err != nil {
					return nil
				}
				_, verdict = end.Hear(answer[:n], netip.MustParseAddr("10.42.0.7"))
				heard = verdict == beat.Fresh
			}
		}
		return nil
	}))
	return heard
}

// replay sends a heartbeat to the gateway.
func (s *stage) replay(pod *ns.NS, text []byte) {
	s.Helper()
	require.NoError(s, pod.Do(s.T, func() error {
		c, err := net.Dial("udp", "10.42.0.7:4791")
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = c.Write(text)
		return err
	}))
}
