// Package watch listens to the kernel for as long as an agent runs.
package watch

import (
	"context"
	"time"
)

// Changes tells when something has changed, or may have, until ctx ends. Listen tells of each change until it cannot hear any
// more: the kernel drops a listener that it has more changes for than it keeps. It listens anew then.
func Changes(ctx context.Context, listen func(ctx context.Context, tell func())) <-chan struct{} {
	out := make(chan struct{}, 1)
	tell := func() {
		select {
		case out <- struct{}{}:
		default:
		}
	}
	go func() {
		for ctx.Err() == nil {
			heard, end := context.WithCancel(ctx)
			listen(heard, tell)
			end()
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
		}
	}()
	return out
}
