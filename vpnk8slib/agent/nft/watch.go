package nft

import (
	"context"

	"github.com/google/nftables"

	"github.com/charmarr/charmarr-go/vpnk8slib/agent/watch"
)

// Watch tells when somebody has changed any table, or may have, until ctx ends.
func Watch(ctx context.Context) <-chan struct{} { return watch.Changes(ctx, listen) }

func listen(ctx context.Context, tell func()) {
	conn, err := nftables.New()
	if err != nil {
		return // whoever waits looks now and then as well
	}
	monitor := nftables.NewMonitor(nftables.WithMonitorEventBuffer(64))
	events, err := conn.AddGenerationalMonitor(monitor)
	if err != nil {
		return
	}
	defer monitor.Close()
	tell() // of what was missed
	for {
		select {
		case <-ctx.Done():
			return
		case _, open := <-events:
			if !open {
				return
			}
			tell()
		}
	}
}
