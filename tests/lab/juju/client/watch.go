package client

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"sync"

	"github.com/juju/errors"
	"github.com/juju/juju/core/status"
	"github.com/juju/juju/rpc/params"
	"github.com/juju/names/v5"
)

var watchMethods = map[string]Handler{
	"Action.WatchActionsProgress": method(watchActions),
	"Client.WatchAll":             method(watchAll),
	"StringsWatcher.Next":         nextStrings,
	"StringsWatcher.Stop":         stopWatch,
	"AllWatcher.Next":             nextAll,
	"AllWatcher.Stop":             stopWatch,
}

// watches are the watchers of one connection.
type watches struct {
	mu   sync.Mutex
	last int
	byID map[string]*watch
}

// watch tells what has changed since it was last asked. see runs under the controller's lock.
type watch struct {
	see  func() map[string]any
	seen map[string]any
	once sync.Once
	stop chan struct{}
}

// addWatch starts a watcher of what see returns, of which the client knows seen already.
func (c *Conn) addWatch(see func() map[string]any, seen map[string]any) string {
	c.watches.mu.Lock()
	defer c.watches.mu.Unlock()
	c.watches.last++
	id := strconv.Itoa(c.watches.last)
	if c.watches.byID == nil {
		c.watches.byID = map[string]*watch{}
	}
	c.watches.byID[id] = &watch{see: see, seen: seen, stop: make(chan struct{})}
	return id
}

func (c *Conn) watch(id string) (*watch, error) {
	c.watches.mu.Lock()
	defer c.watches.mu.Unlock()
	if w := c.watches.byID[id]; w != nil {
		return w, nil
	}
	return nil, serverError(errors.NotFoundf("watcher %q", id))
}

func stopWatch(c *Conn, id string, _ json.RawMessage) (any, error) {
	w, err := c.watch(id)
	if err != nil {
		return nil, err
	}
	w.once.Do(func() { close(w.stop) })
	return none{}, nil
}

// Close ends every watcher of the connection.
func (c *Conn) Close() {
	c.watches.mu.Lock()
	defer c.watches.mu.Unlock()
	for _, w := range c.watches.byID {
		w.once.Do(func() { close(w.stop) })
	}
}

// next waits for something new, and tells what is new or other and what has gone.
func (c *Conn) next(w *watch) (changed, gone map[string]any, err error) {
	for {
		var now map[string]any
		wake := c.Controller.View(func() { now = w.see() })
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

// watchActions follows an action's messages.
func watchActions(c *Conn, args params.Entities) (params.StringsWatchResults, error) {
	var out params.StringsWatchResults
	for _, e := range args.Entities {
		id, err := tagName(e.Tag, names.ActionTagKind)
		a := c.Model.Actions[id]
		if err == nil && a == nil {
			err = errors.NotFoundf("action %q", id)
		}
		if err != nil {
			out.Results = append(out.Results, params.StringsWatchResult{Error: serverError(err)})
			continue
		}
		lines := logLines(a)
		watchID := c.addWatch(func() map[string]any { return numbered(logLines(a)) }, numbered(lines))
		out.Results = append(out.Results, params.StringsWatchResult{StringsWatcherId: watchID, Changes: lines})
	}
	return out, nil
}

func numbered(lines []string) map[string]any {
	out := map[string]any{}
	for i, line := range lines {
		out[fmt.Sprintf("%06d", i)] = line
	}
	return out
}

func nextStrings(c *Conn, id string, _ json.RawMessage) (any, error) {
	w, err := c.watch(id)
	if err != nil {
		return nil, err
	}
	changed, _, err := c.next(w)
	if err != nil {
		return nil, err
	}
	out := params.StringsWatchResult{StringsWatcherId: id}
	for _, line := range sorted(changed) {
		out.Changes = append(out.Changes, line.(string))
	}
	return out, nil
}

// watchAll follows the model, its applications and units: what "juju wait-for" reads.
func watchAll(c *Conn, _ none) (params.AllWatcherId, error) {
	return params.AllWatcherId{AllWatcherId: c.addWatch(c.entities, nil)}, nil
}

func (c *Conn) entities() map[string]any {
	out := map[string]any{"model": &params.ModelUpdate{
		ModelUUID: c.Model.UUID, Name: c.Model.Name, Life: "alive", Owner: c.Model.Owner, ControllerUUID: c.Controller.UUID,
		Status: params.StatusInfo{Current: status.Available},
	}}
	for _, app := range c.Model.Apps {
		shown := c.applicationStatus(app)
		out["application "+app.Name] = &params.ApplicationInfo{
			ModelUUID: c.Model.UUID, Name: app.Name, CharmURL: app.Charm.URL, Life: app.Life,
			Status: statusInfo(shown.Status), WorkloadVersion: shown.WorkloadVersion,
		}
		for name, unit := range shown.Units {
			out["unit "+name] = &params.UnitInfo{
				ModelUUID: c.Model.UUID, Name: name, Application: app.Name, CharmURL: app.Charm.URL,
				Life: c.Model.Units[name].Life, PublicAddress: unit.Address, PrivateAddress: unit.Address, Principal: app.Name,
				WorkloadStatus: statusInfo(unit.WorkloadStatus), AgentStatus: statusInfo(unit.AgentStatus),
			}
		}
	}
	return out
}

func statusInfo(s params.DetailedStatus) params.StatusInfo {
	return params.StatusInfo{Current: status.Status(s.Status), Message: s.Info, Since: s.Since}
}

func nextAll(c *Conn, id string, _ json.RawMessage) (any, error) {
	w, err := c.watch(id)
	if err != nil {
		return nil, err
	}
	changed, gone, err := c.next(w)
	if err != nil {
		return nil, err
	}
	var out params.AllWatcherNextResults
	for _, e := range sorted(changed) {
		out.Deltas = append(out.Deltas, params.Delta{Entity: e.(params.EntityInfo)})
	}
	for _, e := range sorted(gone) {
		out.Deltas = append(out.Deltas, params.Delta{Removed: true, Entity: e.(params.EntityInfo)})
	}
	return out, nil
}
