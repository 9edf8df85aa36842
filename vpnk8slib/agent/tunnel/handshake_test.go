package tunnel

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// told is what the kernel says of a device with peers, 192.0.2.1 and so on, that shook hands at some times (wg_get_device_dump).
func told(at ...time.Time) []byte {
	peers := nl.NewRtAttr(unix.WGDEVICE_A_PEERS|unix.NLA_F_NESTED, nil)
	for i, t := range at {
		peer := peers.AddRtAttr(i|unix.NLA_F_NESTED, nil)
		peer.AddRtAttr(unix.WGPEER_A_PUBLIC_KEY, make([]byte, 32))
		endpoint := append(binary.NativeEndian.AppendUint16(nil, unix.AF_INET), 0xca, 0x6c, 192, 0, 2, byte(i+1), 0, 0, 0, 0, 0, 0, 0, 0)
		peer.AddRtAttr(unix.WGPEER_A_ENDPOINT, endpoint)
		var b []byte
		if !t.IsZero() {
			b = binary.NativeEndian.AppendUint64(nil, uint64(t.Unix()))
			b = binary.NativeEndian.AppendUint64(b, uint64(t.Nanosecond()))
		} else {
			b = make([]byte, 16)
		}
		peer.AddRtAttr(unix.WGPEER_A_LAST_HANDSHAKE_TIME, b)
		peer.AddRtAttr(unix.WGPEER_A_RX_BYTES, make([]byte, 8))
	}
	name := nl.NewRtAttr(unix.WGDEVICE_A_IFNAME, nl.ZeroTerminated("tun0"))
	return append(name.Serialize(), peers.Serialize()...)
}

func TestHandshake(t *testing.T) {
	at := time.Unix(1795808000, 5)
	last := func(device []byte) time.Time { return among(device).shaken }
	assert.True(t, at.Equal(last(told(at))))
	assert.True(t, at.Equal(last(told(at.Add(-time.Hour), at, time.Time{}))), "the last one of all")
	assert.Zero(t, last(told(time.Time{})), "a peer that was never heard")
	assert.Zero(t, last(told()))
	assert.Zero(t, last(nil))
	whole := told(at)
	for n := range whole { // cut anywhere: no panic, and no other time
		if got := last(whole[:n]); !got.IsZero() {
			assert.True(t, at.Equal(got), n)
		}
	}
	assert.Zero(t, server("lo"), "an interface that is none of WireGuard's")
}

// Whom the tunnel talks to is the one that it shook hands with last, or will be the only one.
func TestServer(t *testing.T) {
	at := time.Unix(1795808000, 0)
	assert.Equal(t, "192.0.2.1", among(told(time.Time{})).at.String(), "nobody yet, but it is known who")
	assert.Equal(t, "192.0.2.2", among(told(at, at.Add(time.Hour), time.Time{})).at.String())
	six := append(binary.NativeEndian.AppendUint16(nil, unix.AF_INET6), 0xca, 0x6c, 0, 0, 0, 0)
	six = append(six, netip.MustParseAddr("2001:db8::7").AsSlice()...)
	assert.Equal(t, "2001:db8::7", socketAddress(six).String())
	for n := range six {
		assert.Zero(t, socketAddress(six[:n]))
	}
	assert.Zero(t, socketAddress(make([]byte, 28)), "of no family")
}
