package route

import (
	"context"
	"time"

	"github.com/vishvananda/netlink"
)

// Watch tells when interfaces have changed, or may have, until ctx ends: where there were more changes than the kernel keeps for
// who listens, it listens anew.
func Watch(ctx context.Context) <-chan struct{} {
	out := make(chan struct{}, 1)
	tell := func() {
		select {
		case out <- struct{}{}:
		default:
		}
	}
	go func() {
		for ctx.Err() == nil {
			links := make(chan netlink.LinkUpdate, 16)
			heard, end := context.WithCancel(ctx)
			if netlink.LinkSubscribe(links, heard.Done()) == nil {
				tell() // of what was missed
				for range links {
					tell()
				}
			}
			end()
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
		}
	}()
	return out
}
