package client

import (
	"encoding/json"
	"fmt"

	"github.com/juju/errors"
	"github.com/juju/juju/core/status"
	"github.com/juju/juju/rpc/params"
	"github.com/juju/names/v5"

	"github.com/charmarr/charmarr-go/tests/lab/juju/facade"
)

var watchMethods = map[string]Handler{
	"Action.WatchActionsProgress": facade.Read(watchActions),
	"Client.WatchAll":             facade.Read(watchAll),
	"StringsWatcher.Next":         nextStrings,
	"StringsWatcher.Stop":         stopWatch,
	"AllWatcher.Next":             nextAll,
	"AllWatcher.Stop":             stopWatch,
}

func stopWatch(c *Conn, id string, _ json.RawMessage) (any, error) {
	return facade.None{}, c.watchers.Stop(id)
}

// Close ends every watcher of the connection.
func (c *Conn) Close() { c.watchers.Close() }

// watchActions follows an action's messages.
func watchActions(c *Conn, args params.Entities) (params.StringsWatchResults, error) {
	var out params.StringsWatchResults
	for _, e := range args.Entities {
		id, err := facade.TagName(e.Tag, names.ActionTagKind)
		a := c.Model.Actions[id]
		if err == nil && a == nil {
			err = errors.NotFoundf("action %q", id)
		}
		if err != nil {
			out.Results = append(out.Results, params.StringsWatchResult{Error: facade.Error(err)})
			continue
		}
		lines := logLines(a)
		watchID := c.watchers.Add(func() map[string]any { return numbered(logLines(a)) }, numbered(lines))
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
	changed, _, err := c.watchers.Next(c.Controller, id)
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
func watchAll(c *Conn, _ facade.None) (params.AllWatcherId, error) {
	return params.AllWatcherId{AllWatcherId: c.watchers.Add(c.entities, nil)}, nil
}

func (c *Conn) entities() map[string]any {
	out := map[string]any{"model": &params.ModelUpdate{
		ModelUUID: c.Model.UUID, Name: c.Model.Name, Life: c.Model.Life, Owner: c.Model.Owner, ControllerUUID: c.Controller.UUID,
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
	changed, gone, err := c.watchers.Next(c.Controller, id)
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
