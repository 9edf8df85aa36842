package nft

import (
	"context"
	"time"

	"github.com/google/nftables"
)

// Watch tells when somebody has changed any table, or may have, until ctx ends: where there were more changes than the kernel
// keeps for who listens, it listens anew.
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
			listen(ctx, tell)
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
		}
	}()
	return out
}

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
