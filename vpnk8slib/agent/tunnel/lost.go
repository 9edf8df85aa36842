package tunnel

import (
	"maps"
	"sync"

	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// losses counts how often a tunnel was lost and came back. Its first coming is none of them.
type losses struct {
	mu   sync.Mutex
	how  string // it is lost now, so; empty: it is not
	came map[string]uint64
}

func (l *losses) went(how string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.how = how
}

func (l *losses) back() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.how == "" {
		return
	}
	if l.came == nil {
		l.came = map[string]uint64{}
	}
	l.came[l.how]++
	l.how = ""
}

// Lost is how often the tunnel was lost and came back, by how it was lost. Both are there from the beginning: a counter that appears
// with its first event has not risen for whoever watches it.
func (w *Watcher) Lost() map[string]uint64 {
	w.lost.mu.Lock()
	defer w.lost.mu.Unlock()
	all := map[string]uint64{overlay.LostSilent: 0, overlay.LostGone: 0}
	maps.Copy(all, w.lost.came)
	return all
}
