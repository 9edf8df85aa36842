package route

import (
	"context"

	"github.com/vishvananda/netlink"

	"github.com/charmarr/charmarr-go/vpnk8slib/agent/watch"
)

// Watch tells when interfaces or their addresses have changed, or may have, until ctx ends.
func Watch(ctx context.Context) <-chan struct{} {
	return watch.Changes(ctx, func(ctx context.Context, tell func()) {
		links, addresses := make(chan netlink.LinkUpdate, 16), make(chan netlink.AddrUpdate, 16)
		if netlink.LinkSubscribe(links, ctx.Done()) != nil || netlink.AddrSubscribe(addresses, ctx.Done()) != nil {
			return // whoever waits looks now and then as well
		}
		tell() // of what was missed
		for open := true; open; {
			select {
			case _, open = <-links:
			case _, open = <-addresses:
			}
			tell()
		}
	})
}
