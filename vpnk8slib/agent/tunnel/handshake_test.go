package tunnel

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// told is what the kernel says of a device with peers that shook hands at some times (wg_get_device_dump).
func told(at ...time.Time) []byte {
	peers := nl.NewRtAttr(unix.WGDEVICE_A_PEERS|unix.NLA_F_NESTED, nil)
	for i, t := range at {
		peer := peers.AddRtAttr(i|unix.NLA_F_NESTED, nil)
		peer.AddRtAttr(unix.WGPEER_A_PUBLIC_KEY, make([]byte, 32))
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
	assert.True(t, at.Equal(handshake(told(at))))
	assert.True(t, at.Equal(handshake(told(at.Add(-time.Hour), at, time.Time{}))), "the last one of all")
	assert.Zero(t, handshake(told(time.Time{})), "a peer that was never heard")
	assert.Zero(t, handshake(told()))
	assert.Zero(t, handshake(nil))
	whole := told(at)
	for n := range whole { // cut anywhere: no panic, and no other time
		if got := handshake(whole[:n]); !got.IsZero() {
			assert.True(t, at.Equal(got), n)
		}
	}
	assert.Zero(t, shaken("lo"), "an interface that is none of WireGuard's")
}
