package client

import (
	"errors"
	"fmt"
	"time"
)

// Drill takes the overlay down for so long, and says until when. The rounds of this Keeper lay it again then, whatever becomes of who
// asked; and if this process ends before, so does the next one's first round, which knows of no drill.
func (k *Keeper) Drill(d time.Duration) (until time.Time, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.drilling():
		return until, fmt.Errorf("the overlay is down until %s, because somebody has asked for that", k.drill.UTC().Format(time.RFC3339))
	case k.wire == nil || k.unread != nil:
		return until, errors.Join(errors.New("the overlay is not laid"), k.unread)
	}
	k.drill = time.Now().Add(d)
	k.Log.Warn("the overlay is taken down because the charm asks for it", "until", k.drill)
	if err := k.lay(); err != nil {
		k.drill, k.turned = time.Time{}, true
		return until, err
	}
	return k.drill, nil
}

func (k *Keeper) drilling() bool { return time.Now().Before(k.drill) }

// over has the overlay laid again where a drill has ended.
func (k *Keeper) over() {
	if !k.drill.IsZero() && !k.drilling() {
		k.Log.Info("the overlay is laid again")
		k.drill, k.turned = time.Time{}, true
	}
}
