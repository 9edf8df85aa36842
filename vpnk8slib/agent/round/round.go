// Package round is how an end of the overlay spends its time: again and again it looks whether all is as it should be, hears what
// came meanwhile, and sleeps. One thread wakes up for one reason; to wake up for each packet costs more than all that is done
// with it.
package round

import (
	"context"
	"sync"
	"time"

	"github.com/charmarr/charmarr-go/vpnk8slib/agent/tick"
)

// Rounds are those of one end. Its functions are called with Locker held.
type Rounds struct {
	sync.Locker
	// Changes tell that what should be there may not be.
	Changes []<-chan struct{}
	// Follow reads the configuration and lays what it says; Lay lays what the last one said.
	Follow, Lay func() error
	// Unread says that the configuration is not the one in force.
	Unread func() bool
	// Failed is told how Follow or Lay went.
	Failed func(error)
	// Meet hears and speaks, and says when it wants to do so again.
	Meet func() time.Duration
}

const (
	look  = 10 * time.Second       // how often everything is looked at, where nothing tells of a change
	again = time.Second            // and so often while the configuration cannot be taken
	lay   = 100 * time.Millisecond // how often something is laid that cannot be
)

// Run goes on until ctx ends. The error is that of a process that may open nothing more.
func (r Rounds) Run(ctx context.Context) error {
	timer, err := tick.New(ctx)
	if err != nil {
		return err
	}
	var looked, laid time.Time
	for changed := false; ; {
		for _, c := range r.Changes {
			select {
			case <-c:
				changed = true
			default:
			}
		}
		if err := timer.Wait(r.once(&changed, &looked, &laid)); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
	}
}

func (r Rounds) once(changed *bool, looked, laid *time.Time) time.Duration {
	r.Lock()
	defer r.Unlock()
	now, every, do := time.Now(), look, r.Lay
	if r.Unread() {
		every = again
	}
	due := now.Sub(*looked) >= every
	if due {
		*looked, do = now, r.Follow
	}
	if due || *changed && now.Sub(*laid) >= lay {
		*laid = now
		err := do()
		r.Failed(err)
		*changed = err != nil && !r.Unread()
	}
	return r.Meet()
}
