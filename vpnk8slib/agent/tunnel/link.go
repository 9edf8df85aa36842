package tunnel

import (
	"github.com/vishvananda/netlink"

	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// Look is a tunnel's interface as it is now; nil where there is none.
func Look(device string) *overlay.TunnelLink {
	link, err := netlink.LinkByName(device)
	if err != nil {
		return nil
	}
	out := &overlay.TunnelLink{MTU: link.Attrs().MTU}
	if s := link.Attrs().Statistics; s != nil {
		out.Received, out.Sent = s.RxBytes, s.TxBytes
	}
	if link.Type() == "wireguard" {
		s := server(device)
		out.WireGuard, out.Shaken, out.Server = true, s.shaken, s.at
	}
	return out
}
