package agent

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/juju/juju/rpc/params"

	"github.com/charmarr/charmarr-go/tests/lab/juju/facade"
	"github.com/charmarr/charmarr-go/tests/lab/juju/model"
)

var watchMethods = map[string]Handler{
	"NotifyWatcher.Next": func(c *Conn, id string, _ json.RawMessage) (any, error) {
		_, _, err := c.watchers.Next(c.Controller, id)
		return facade.None{}, err
	},
	"StringsWatcher.Next":         nextStrings,
	"RelationUnitsWatcher.Next":   nextRelationUnits,
	"SecretsTriggerWatcher.Next":  nextSecretTrigger,
	"NotifyWatcher.Stop":          stopWatch,
	"StringsWatcher.Stop":         stopWatch,
	"RelationUnitsWatcher.Stop":   stopWatch,
	"SecretsTriggerWatcher.Stop":  stopWatch,
	"MigrationStatusWatcher.Stop": stopWatch,
	"MigrationStatusWatcher.Next": nextMigration,
}

func stopWatch(c *Conn, id string, _ json.RawMessage) (any, error) {
	return facade.None{}, c.watchers.Stop(id)
}

// notify starts a watcher of one value.
func (c *Conn) notify(see func() any) string {
	compute := func() map[string]any { return map[string]any{"": see()} }
	return c.watchers.Add(compute, compute())
}

// strings starts a watcher that tells the keys of what changed, or, of a text, the text itself.
func (c *Conn) strings(see func() map[string]any) params.StringsWatchResult {
	now := see()
	return params.StringsWatchResult{StringsWatcherId: c.watchers.Add(see, now), Changes: told(now, nil)}
}

// text is a value that a watcher of strings tells instead of its key.
type text string

func told(changed, gone map[string]any) []string {
	out := []string{}
	for _, k := range slices.Sorted(maps.Keys(changed)) {
		if t, ok := changed[k].(text); ok {
			k = string(t)
		}
		out = append(out, k)
	}
	for _, k := range slices.Sorted(maps.Keys(gone)) {
		if _, ok := gone[k].(text); !ok {
			out = append(out, k)
		}
	}
	return out
}

func nextStrings(c *Conn, id string, _ json.RawMessage) (any, error) {
	changed, gone, err := c.watchers.Next(c.Controller, id)
	if err != nil {
		return nil, err
	}
	return params.StringsWatchResult{StringsWatcherId: id, Changes: told(changed, gone)}, nil
}

// watchKeys serves a bulk call for watchers of keys about the agent's own unit.
func watchKeys(see func(*Conn, *model.Unit) map[string]any) Handler {
	return facade.Read(func(c *Conn, args params.Entities) (results[params.StringsWatchResult], error) {
		return each(args.Entities, func(e params.Entity) params.StringsWatchResult {
			if _, err := c.self(e.Tag); err != nil {
				return params.StringsWatchResult{Error: facade.Error(err)}
			}
			return c.strings(func() map[string]any {
				if u := c.Model.Units[c.Unit]; u != nil {
					return see(c, u)
				}
				return nil
			})
		})
	})
}

// watchHash serves a bulk call for watchers of one value's hash.
func watchHash(see func(*Conn, *model.Unit, *model.App) any) Handler {
	return watchKeys(func(c *Conn, u *model.Unit) map[string]any {
		if a := c.Model.Apps[c.App]; a != nil {
			return map[string]any{"": text(hash(see(c, u, a)))}
		}
		return nil
	})
}

const appPrefix = "app "

func relationUnits(changed, gone map[string]any) params.RelationUnitsChange {
	out := params.RelationUnitsChange{Changed: map[string]params.UnitSettings{}, AppChanged: map[string]int64{}}
	for name, version := range changed {
		if app, ok := strings.CutPrefix(name, appPrefix); ok {
			out.AppChanged[app] = version.(int64)
			continue
		}
		out.Changed[name] = params.UnitSettings{Version: version.(int64)}
	}
	for _, name := range slices.Sorted(maps.Keys(gone)) {
		if !strings.HasPrefix(name, appPrefix) {
			out.Departed = append(out.Departed, name)
		}
	}
	return out
}

func nextRelationUnits(c *Conn, id string, _ json.RawMessage) (any, error) {
	changed, gone, err := c.watchers.Next(c.Controller, id)
	if err != nil {
		return nil, err
	}
	return params.RelationUnitsWatchResult{RelationUnitsWatcherId: id, Changes: relationUnits(changed, gone)}, nil
}

// nextSecretTrigger waits for ever: the lab has no secret that is due by the clock.
func nextSecretTrigger(c *Conn, id string, _ json.RawMessage) (any, error) {
	_, _, err := c.watchers.Next(c.Controller, id)
	return params.SecretTriggerWatchResult{WatcherId: id}, err
}

// nextMigration tells once that there is none.
func nextMigration(c *Conn, id string, _ json.RawMessage) (any, error) {
	_, _, err := c.watchers.Next(c.Controller, id)
	return params.MigrationStatus{Phase: "NONE"}, err
}
