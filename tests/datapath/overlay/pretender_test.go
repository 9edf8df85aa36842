//go:build datapath

package overlay

import (
	"net"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/vpnk8slib/agent/beat"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// A client whose gateway is lost waits for any word of the next one. It takes none of a stranger's: not one that it has made up, nor one
// that the gateway has sent, nor its own.
func TestNobodyPretendsToBeTheGateway(t *testing.T) {
	s := newWorld(t)
	g := s.gatewayAgent("10.42.0.7", nil)
	pod := s.clientAgent("10.42.0.5", way, qbittorrentKey)
	s.through(pod.NS)
	before := pod.Until("the gateway is heard", func(r overlay.Report) bool { return r.Client != nil && !r.Client.Lost }).Client.Foreign
	seen := pods(g)
	g.gone(t)
	pod.Until("the gateway is lost", func(r overlay.Report) bool { return r.Client.Lost })
	stranger := s.join("10.42.0.66", "fd42::66")
	got := s.hears(stranger, int(way.Port))
	word := beat.Beat{From: beat.Gateway, Client: way.Address.Addr(), Number: 7, Tunnel: true}
	own := word
	own.From = beat.Client
	words := [][]byte{
		word.Seal([]byte(keyOf("somebody else")), netip.MustParseAddr("10.42.0.66")),
		word.Seal([]byte(qbittorrentKey), netip.MustParseAddr("10.42.0.7")),
		own.Seal([]byte(qbittorrentKey), netip.MustParseAddr("10.42.0.5")),
	}
	require.NoError(t, stranger.Do(t, func() error {
		c, err := net.DialUDP("udp", &net.UDPAddr{Port: int(way.Beats)}, &net.UDPAddr{IP: net.IPv4(10, 42, 0, 5), Port: int(way.Beats)})
		if err != nil {
			return err
		}
		defer c.Close()
		for _, text := range words {
			if _, err := c.Write(text); err != nil {
				return err
			}
		}
		return nil
	}))
	report := pod.Until("each is counted", func(r overlay.Report) bool { return r.Client.Foreign == before+uint64(len(words)) })
	assert.True(t, report.Client.Lost)
	_, err := s.ask(pod.NS, "198.18.0.1:443", moment)
	require.Error(t, err)
	assert.Zero(t, got.Load(), "LEAK: the stranger has the client's packets")

	s.gatewayAgent("10.42.0.8", seen)
	s.through(pod.NS)
	assert.Equal(t, netip.MustParseAddr("10.42.0.8"), pod.Report().Client.Peer, "the next one's word is taken")
}
