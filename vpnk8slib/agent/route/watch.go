package route

import (
	"context"

	"github.com/vishvananda/netlink"

	"github.com/charmarr/charmarr-go/vpnk8slib/agent/watch"
)

// Watch tells when interfaces have changed, or may have, until ctx ends.
func Watch(ctx context.Context) <-chan struct{} {
	return watch.Changes(ctx, func(ctx context.Context, tell func()) {
		links := make(chan netlink.LinkUpdate, 16)
		if netlink.LinkSubscribe(links, ctx.Done()) != nil {
			return // whoever waits looks now and then as well
		}
		tell() // of what was missed
		for range links {
			tell()
		}
	})
}
