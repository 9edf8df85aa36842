package tunnel

import (
	"path/filepath"

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
	s, is := peer{}, link.Type() == "wireguard"
	if is {
		s = server(device)
	} else {
		s, is = own(filepath.Join(overlay.WireGuardDir, device+".sock"))
	}
	out.WireGuard, out.Shaken, out.Server = is, s.shaken, s.at
	return out
}
