package facade

import (
	"reflect"
	"strconv"
	"sync"

	"github.com/juju/errors"
	"github.com/juju/juju/rpc/params"

	"github.com/charmarr/charmarr-go/tests/lab/juju/model"
)

// Watchers are the watchers of one connection. Its zero value has none.
type Watchers struct {
	mu   sync.Mutex
	last int
	byID map[string]*watcher
}

// watcher tells what has changed since it was last asked. see runs under the controller's lock.
type watcher struct {
	see  func() map[string]any
	seen map[string]any
	once sync.Once
	stop chan struct{}
}

// Add starts a watcher of what see returns, of which the client knows seen already.
func (s *Watchers) Add(see func() map[string]any, seen map[string]any) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	id := strconv.Itoa(s.last)
	if s.byID == nil {
		s.byID = map[string]*watcher{}
	}
	s.byID[id] = &watcher{see: see, seen: seen, stop: make(chan struct{})}
	return id
}

func (s *Watchers) get(id string) (*watcher, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w := s.byID[id]; w != nil {
		return w, nil
	}
	return nil, Error(errors.NotFoundf("watcher %q", id))
}

// Stop ends a watcher: whoever waits for it is told.
func (s *Watchers) Stop(id string) error {
	w, err := s.get(id)
	if err != nil {
		return err
	}
	w.once.Do(func() { close(w.stop) })
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byID, id)
	return nil
}

// Close ends every watcher of the connection.
func (s *Watchers) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.byID {
		w.once.Do(func() { close(w.stop) })
	}
}

// Next waits for something new, and tells what is new or other and what has gone.
func (s *Watchers) Next(ctl *model.Controller, id string) (changed, gone map[string]any, err error) {
	w, err := s.get(id)
	if err != nil {
		return nil, nil, err
	}
	for {
		var now map[string]any
		wake := ctl.View(func() { now = w.see() })
		changed, gone = map[string]any{}, map[string]any{}
		for k, v := range now {
			if was, ok := w.seen[k]; !ok || !reflect.DeepEqual(was, v) {
				changed[k] = v
			}
		}
		for k, v := range w.seen {
			if _, ok := now[k]; !ok {
				gone[k] = v
			}
		}
		w.seen = now
		if len(changed)+len(gone) > 0 {
			return changed, gone, nil
		}
		select {
		case <-wake:
		case <-w.stop:
			return nil, nil, &params.Error{Code: params.CodeStopped, Message: "watcher was stopped"}
		}
	}
}
