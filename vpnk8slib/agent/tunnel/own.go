package tunnel

import (
	"bufio"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// soon is how long a VPN client may take to say how its WireGuard is: it answers from memory.
const soon = 200 * time.Millisecond

// own is the peer of a WireGuard that the VPN client has brought along, by the socket on which it is asked; false where there is none, as
// with the kernel's and with OpenVPN, or where it does not answer in time. One that a killed process has left behind refuses.
func own(socket string) (p peer, is bool) {
	c, err := net.DialTimeout("unix", socket, soon)
	if err != nil {
		return p, false
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(soon))
	if _, err := io.WriteString(c, "get=1\n\n"); err != nil {
		return p, false
	}
	return said(c)
}

// said finds it in what WireGuard says of a device (www.wireguard.com/xplatform, "Cross-platform Userspace Implementation"): lines, each
// peer's from its public key on, and at the end an error's number. The private key is among them: it is passed over.
func said(answer io.Reader) (last peer, whole bool) {
	var p peer // whom it is saying things of
	var seconds int64
	for lines := bufio.NewScanner(io.LimitReader(answer, 1<<20)); lines.Scan(); {
		switch key, value, _ := strings.Cut(lines.Text(), "="); key {
		case "errno":
			return last.later(p), value == "0"
		case "public_key":
			last, p = last.later(p), peer{}
		case "endpoint":
			at, _ := netip.ParseAddrPort(value) // what is none is not known
			p.at = at.Addr().Unmap().WithZone("")
		case "last_handshake_time_sec":
			seconds, _ = strconv.ParseInt(value, 10, 64) // 0: never
		case "last_handshake_time_nsec":
			if nanoseconds, err := strconv.ParseInt(value, 10, 64); err == nil && seconds != 0 {
				p.shaken = time.Unix(seconds, nanoseconds)
			}
		}
	}
	return peer{}, false
}
