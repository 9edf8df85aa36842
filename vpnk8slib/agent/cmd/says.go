package main

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/charmarr/charmarr-go/vpnk8slib/agent/guard"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// says is what a client's agent tells its gateway of its pod, with each heartbeat.
type says struct {
	guard  *guard.Keeper
	policy atomic.Uint32 // a Word: as the charm has written it
	leaves atomic.Uint32 // a Word
}

func (s *says) now() overlay.Said {
	return overlay.Said{
		Guard: overlay.WordFor(s.guard.Standing()), Policy: overlay.Word(s.policy.Load()), Leaves: overlay.Word(s.leaves.Load()),
	}
}

// window is the time over which is counted what is dropped; more than leaving packets a second within it is somebody who goes on trying. What
// a kernel sends by itself when a pod begins is less.
const (
	window  = 10 * time.Second
	leaving = 1
)

// count looks at what the guard drops, until ctx ends.
func (s *says) count(ctx context.Context) error {
	before, known := s.dropped()
	for pause(ctx, window); ctx.Err() == nil; pause(ctx, window) {
		now, counted := s.dropped()
		s.leaves.Store(uint32(leaves(before, known, now, counted)))
		before, known = now, counted
	}
	return nil
}

// leaves says whether so much was dropped between two counts that somebody goes on trying to leave. What could not be counted is not known.
func leaves(before uint64, known bool, now uint64, counted bool) overlay.Word {
	if !known || !counted || now < before {
		return overlay.Unknown
	}
	return overlay.WordFor(now-before > leaving*uint64(window/time.Second))
}

// dropped is how many packets wanted to leave the pod beside the overlay, and did not. Who comes in from outside is no concern of this.
func (*says) dropped() (n uint64, counted bool) {
	all, err := guard.Dropped()
	if err != nil {
		return 0, false
	}
	for reason, packets := range all {
		if reason != guard.In {
			n += packets
		}
	}
	return n, true
}
