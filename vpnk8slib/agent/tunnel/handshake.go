package tunnel

import (
	"encoding/binary"
	"net/netip"
	"time"

	attributes "github.com/mdlayher/netlink"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// peer is another end of WireGuard's.
type peer struct {
	shaken time.Time  // when it last shook hands; zero: never
	at     netip.Addr // zero: not known
}

// later is the one of two that shook hands last; the first where neither did.
func (p peer) later(o peer) peer {
	if o.shaken.After(p.shaken) || p == (peer{}) {
		return o
	}
	return p
}

// server is the peer of a device of the kernel's WireGuard; zero where it is none. A library reads the private key along with it; here
// nothing but these two things is looked at.
func server(device string) (p peer) {
	family, err := netlink.GenlFamilyGet("wireguard")
	if err != nil {
		return p
	}
	request := nl.NewNetlinkRequest(int(family.ID), unix.NLM_F_DUMP)
	request.AddData(&nl.Genlmsg{Command: unix.WG_CMD_GET_DEVICE, Version: 1})
	request.AddData(nl.NewRtAttr(unix.WGDEVICE_A_IFNAME, nl.ZeroTerminated(device)))
	messages, err := request.Execute(unix.NETLINK_GENERIC, 0)
	if err != nil {
		return p
	}
	for _, m := range messages {
		if len(m) >= nl.SizeofGenlmsg {
			p = p.later(among(m[nl.SizeofGenlmsg:]))
		}
	}
	return p
}

// among finds it in what the kernel says of a device (include/uapi/linux/wireguard.h).
func among(device []byte) (p peer) {
	inside(device, unix.WGDEVICE_A_PEERS, func(peers []byte) {
		each(peers, func(_ uint16, one []byte) {
			var o peer
			inside(one, unix.WGPEER_A_LAST_HANDSHAKE_TIME, func(b []byte) { o.shaken = instant(b) })
			inside(one, unix.WGPEER_A_ENDPOINT, func(b []byte) { o.at = socketAddress(b) })
			p = p.later(o)
		})
	})
	return p
}

// instant reads a struct __kernel_timespec; zero is never.
func instant(b []byte) (t time.Time) {
	if len(b) < 16 {
		return t
	}
	if seconds := binary.NativeEndian.Uint64(b); seconds != 0 {
		t = time.Unix(int64(seconds), int64(binary.NativeEndian.Uint64(b[8:])))
	}
	return t
}

// socketAddress reads the address of a struct sockaddr_in or sockaddr_in6; zero where it is neither.
func socketAddress(b []byte) (a netip.Addr) {
	const four, six = 2 + 2, 2 + 2 + 4 // where the address is: behind the family, the port, and a flow
	switch {
	case len(b) >= four+4 && binary.NativeEndian.Uint16(b) == unix.AF_INET:
		a, _ = netip.AddrFromSlice(b[four : four+4])
	case len(b) >= six+16 && binary.NativeEndian.Uint16(b) == unix.AF_INET6:
		a, _ = netip.AddrFromSlice(b[six : six+16])
	}
	return a.Unmap()
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
