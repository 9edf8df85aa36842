package route

import (
	"net"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
)

// The router is whom the way to everywhere names: one route, or the first of OpenVPN's two halves.
func TestRouterIn(t *testing.T) {
	way := func(to, by string) (r netlink.Route) {
		if to != "" {
			var err error
			_, r.Dst, err = net.ParseCIDR(to)
			require.NoError(t, err)
		}
		r.Gw = net.ParseIP(by)
		return r
	}
	for name, c := range map[string]struct {
		routes []netlink.Route
		want   string
	}{
		"two halves":                 {[]netlink.Route{way("10.8.0.0/24", ""), way("0.0.0.0/1", "10.8.0.1"), way("128.0.0.0/1", "10.8.0.1")}, "10.8.0.1"},
		"one whole":                  {[]netlink.Route{way("0.0.0.0/0", "10.8.0.65")}, "10.8.0.65"},
		"one whole, as netlink says": {[]netlink.Route{way("", "10.8.0.65")}, "10.8.0.65"},
		"somebody on another way":    {[]netlink.Route{way("192.0.2.0/24", "10.8.0.9"), way("0.0.0.0/1", "10.8.0.1")}, "10.8.0.1"},
		"WireGuard":                  {[]netlink.Route{way("10.2.0.0/24", ""), way("", "")}, ""},
		"over IPv6":                  {[]netlink.Route{way("", "fd00::1")}, ""},
		"no route":                   {nil, ""},
	} {
		got, ok := routerIn(c.routes)
		assert.Equal(t, c.want != "", ok, name)
		if ok {
			assert.Equal(t, netip.MustParseAddr(c.want), got, name)
		}
	}
}
