package tunnel

import (
	"encoding/binary"
	"time"

	attributes "github.com/mdlayher/netlink"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// shaken is when the kernel's WireGuard last shook hands with a peer; zero where it never did, or is not the kernel's. A library reads
// the private key along with it; here nothing but the time is looked at.
func shaken(device string) (last time.Time) {
	family, err := netlink.GenlFamilyGet("wireguard")
	if err != nil {
		return last
	}
	request := nl.NewNetlinkRequest(int(family.ID), unix.NLM_F_DUMP)
	request.AddData(&nl.Genlmsg{Command: unix.WG_CMD_GET_DEVICE, Version: 1})
	request.AddData(nl.NewRtAttr(unix.WGDEVICE_A_IFNAME, nl.ZeroTerminated(device)))
	messages, err := request.Execute(unix.NETLINK_GENERIC, 0)
	if err != nil {
		return last
	}
	for _, m := range messages {
		if len(m) < nl.SizeofGenlmsg {
			continue
		}
		if t := handshake(m[nl.SizeofGenlmsg:]); t.After(last) {
			last = t
		}
	}
	return last
}

// handshake finds the last one of all peers in what the kernel says of a device (include/uapi/linux/wireguard.h).
func handshake(device []byte) (last time.Time) {
	inside(device, unix.WGDEVICE_A_PEERS, func(peers []byte) {
		each(peers, func(_ uint16, peer []byte) {
			inside(peer, unix.WGPEER_A_LAST_HANDSHAKE_TIME, func(b []byte) {
				if len(b) < 16 { // struct __kernel_timespec
					return
				}
				seconds, nanoseconds := binary.NativeEndian.Uint64(b), binary.NativeEndian.Uint64(b[8:])
				if t := time.Unix(int64(seconds), int64(nanoseconds)); seconds != 0 && t.After(last) {
					last = t
				}
			})
		})
	})
	return last
}

// inside calls f with the attributes of a kind.
func inside(b []byte, kind uint16, f func([]byte)) {
	each(b, func(k uint16, value []byte) {
		if k == kind {
			f(value)
		}
	})
}

func each(b []byte, f func(kind uint16, value []byte)) {
	d, err := attributes.NewAttributeDecoder(b)
	if err != nil { // cut short: none of it
		return
	}
	for d.Next() {
		f(d.Type(), d.Bytes())
	}
}
