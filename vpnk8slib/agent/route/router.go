package route

import (
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
)

// RouterOf is the router that an interface's routes name, by which everything is reached: of OpenVPN's the one that its server has pushed.
// Its way to everywhere is two halves (redirect-gateway def1), the first of which begins where everywhere does. WireGuard has none.
func RouterOf(device string) (netip.Addr, error) {
	h, err := Here()
	if err != nil {
		return netip.Addr{}, err
	}
	defer h.Close()
	link, err := h.LinkByName(device)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("cannot find interface %s: %w", device, err)
	}
	routes, err := h.RouteList(link, netlink.FAMILY_V4)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("cannot list the routes of %s: %w", device, err)
	}
	if router, ok := routerIn(routes); ok {
		return router, nil
	}
	return netip.Addr{}, fmt.Errorf("cannot find the router of %s: none of its routes names one", device)
}

func routerIn(routes []netlink.Route) (netip.Addr, bool) {
	for _, r := range routes {
		if router, ok := netip.AddrFromSlice(r.Gw.To4()); ok && (r.Dst == nil || r.Dst.IP.IsUnspecified()) {
			return router, true
		}
	}
	return netip.Addr{}, false
}
