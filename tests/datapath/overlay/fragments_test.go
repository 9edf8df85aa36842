//go:build datapath

package overlay

import (
	"encoding/binary"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/vpnk8slib/agent/gateway"
)

// Datagrams of clients may come in pieces. A piece in another client's name does not get among the other's, also not behind a piece in
// one's own, where only what comes out of the encapsulation shows it.
func TestPiecesInAnothersName(t *testing.T) {
	s := newStage(t)
	second := s.join("10.42.0.6", "fd42::6")
	require.NoError(t, s.gateway.pin(t, other.Address.Addr(), "10.42.0.6"))
	heard := make(chan string, 10)
	require.NoError(t, s.world.Do(t, func() error {
		c, err := net.ListenUDP("udp", &net.UDPAddr{Port: 9000})
		if err != nil {
			return err
		}
		t.Cleanup(func() { _ = c.Close() })
		go func() {
			for text := make([]byte, 100); ; {
				n, err := c.Read(text)
				if err != nil {
					return
				}
				heard <- string(text[:n])
			}
		}()
		return nil
	}))
	hears := func() string {
		select {
		case said := <-heard:
			return said
		case <-time.After(moment):
			return ""
		}
	}
	to := netip.MustParseAddrPort("198.18.0.1:9000")
	piece := func(id uint16, last bool, text string) []byte {
		f := frame(way.VNI, netip.AddrPortFrom(way.Address.Addr(), 5000), to, "the first")
		const ip, payload = 8 + 14, 8 + 14 + 20
		rest := append([]byte(nil), f[payload:payload+16]...)
		binary.BigEndian.PutUint16(rest[4:], 24) // of the whole
		copy(rest[8:], text)
		where := uint16(1 << 13) // more follow
		if last {
			rest, where = []byte(text), 16/8
		}
		f = append(f[:payload], rest...)
		binary.BigEndian.PutUint16(f[ip+2:], uint16(20+len(rest)))
		binary.BigEndian.PutUint16(f[ip+4:], id)
		binary.BigEndian.PutUint16(f[ip+6:], where)
		binary.BigEndian.PutUint16(f[ip+10:], 0)
		binary.BigEndian.PutUint16(f[ip+10:], checksum(f[ip:payload]))
		return f
	}
	s.inject(s.pod, "10.42.0.7", piece(1, false, "the head"))
	s.inject(s.pod, "10.42.0.7", piece(1, true, "its tail"))
	require.Equal(t, "the headits tail", hears(), "of one's own")

	before := s.gateway.dropped(t, gateway.Spoofed)
	s.inject(s.pod, "10.42.0.7", piece(2, false, "the head"))
	s.inject(second, "10.42.0.7", piece(2, true, "wrong tl"))
	assert.Empty(t, hears(), "another's, alone")
	assert.Equal(t, before+1, s.gateway.dropped(t, gateway.Spoofed))
	own := frame(way.VNI, netip.AddrPortFrom(other.Address.Addr(), 5000), netip.MustParseAddrPort("203.0.113.1:9000"), "")
	s.inject(s.pod, "10.42.0.7", piece(3, false, "the head"))
	s.inject(second, "10.42.0.7", own, piece(3, true, "wrong tl"))
	assert.Empty(t, hears(), "another's, behind one of its own")
	assert.Equal(t, before+2, s.gateway.dropped(t, gateway.Spoofed))
}
