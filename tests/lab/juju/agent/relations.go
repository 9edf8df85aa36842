package agent

import (
	"maps"

	"github.com/juju/errors"
	apiservererrors "github.com/juju/juju/apiserver/errors"
	"github.com/juju/juju/core/life"
	"github.com/juju/juju/rpc/params"
	"github.com/juju/names/v5"

	"github.com/charmarr/charmarr-go/tests/lab/juju/facade"
	"github.com/charmarr/charmarr-go/tests/lab/juju/model"
)

var relationMethods = map[string]Handler{
	"Uniter.WatchUnitRelations":           watchKeys(unitRelations),
	"Uniter.WatchRelationUnits":           facade.Read(watchRelationUnits),
	"Uniter.RelationsStatus":              facade.Read(relationsStatus),
	"Uniter.Relation":                     facade.Read(relations),
	"Uniter.RelationById":                 facade.Read(relationsByID),
	"Uniter.SetRelationStatus":            facade.Method(setRelationStatus),
	"Uniter.EnterScope":                   facade.Method(enterScope),
	"Uniter.LeaveScope":                   facade.Method(leaveScope),
	"Uniter.ReadSettings":                 facade.Read(readSettings),
	"Uniter.ReadLocalApplicationSettings": facade.Read(readLocalApplicationSettings),
	"Uniter.ReadRemoteSettings":           facade.Read(readRemoteSettings),
	"Uniter.GoalStates":                   facade.Read(goalStates),
}

// relation is the one of a tag, if the agent's application has part in it.
func (c *Conn) relation(tag string) *model.Relation {
	key, err := facade.TagName(tag, names.RelationTagKind)
	if err != nil {
		return nil
	}
	for _, r := range c.Model.Relations {
		if r.Key == key && r.Has(c.App) {
			return r
		}
	}
	return nil
}

// ends are a relation's two sides as the agent sees them. A peer relation has one side, which is both.
func (c *Conn) ends(r *model.Relation) (own, other model.Endpoint) {
	own, other = r.Endpoints[0], r.Endpoints[len(r.Endpoints)-1]
	if own.App != c.App {
		own, other = other, own
	}
	return own, other
}

func unitRelations(c *Conn, _ *model.Unit) map[string]any {
	out := map[string]any{}
	for _, r := range c.Model.Relations {
		if r.Has(c.App) {
			out[r.Key] = r.Life
		}
	}
	return out
}

// watchRelationUnits follows who is in scope at the other side, and the other application's data.
func watchRelationUnits(c *Conn, args params.RelationUnits) (results[params.RelationUnitsWatchResult], error) {
	return each(args.RelationUnits, func(arg params.RelationUnit) params.RelationUnitsWatchResult {
		r := c.relation(arg.Relation)
		if r == nil {
			return params.RelationUnitsWatchResult{Error: facade.Error(apiservererrors.ErrPerm)}
		}
		_, other := c.ends(r)
		see := func() map[string]any {
			out := map[string]any{appPrefix + other.App: r.Versions[other.App]}
			for name := range r.UnitData {
				if app, _ := names.UnitApplication(name); app == other.App && name != c.Unit {
					out[name] = r.Versions[name]
				}
			}
			return out
		}
		now := see()
		return params.RelationUnitsWatchResult{RelationUnitsWatcherId: c.watchers.Add(see, now), Changes: relationUnits(now, nil)}
	})
}

func relationsStatus(c *Conn, args params.Entities) (results[params.RelationUnitStatusResult], error) {
	return each(args.Entities, func(params.Entity) params.RelationUnitStatusResult {
		var out params.RelationUnitStatusResult
		for _, r := range c.Model.Relations {
			if r.Has(c.App) {
				_, in := r.UnitData[c.Unit]
				out.RelationResults = append(out.RelationResults, params.RelationUnitStatus{
					RelationTag: names.NewRelationTag(r.Key).String(), InScope: in,
				})
			}
		}
		return out
	})
}

func (c *Conn) relationResult(r *model.Relation) params.RelationResult {
	if r == nil {
		return params.RelationResult{Error: facade.Error(apiservererrors.ErrPerm)}
	}
	own, other := c.ends(r)
	return params.RelationResult{
		Id: r.ID, Key: r.Key, Life: r.Life, OtherApplication: other.App,
		Endpoint: params.Endpoint{ApplicationName: own.App, Relation: params.CharmRelation{
			Name: own.Name, Role: string(own.Role), Interface: own.Interface, Optional: own.Optional, Limit: own.Limit, Scope: string(own.Scope),
		}},
	}
}

func relations(c *Conn, args params.RelationUnits) (results[params.RelationResult], error) {
	return each(args.RelationUnits, func(arg params.RelationUnit) params.RelationResult {
		return c.relationResult(c.relation(arg.Relation))
	})
}

func relationsByID(c *Conn, args params.RelationIds) (results[params.RelationResult], error) {
	return each(args.RelationIds, func(id int) params.RelationResult {
		if r := c.Model.Relations[id]; r != nil && r.Has(c.App) {
			return c.relationResult(r)
		}
		return c.relationResult(nil)
	})
}

func setRelationStatus(c *Conn, args params.RelationStatusArgs) (params.ErrorResults, error) {
	return facade.Each(args.Args, func(arg params.RelationStatusArg) error {
		r := c.Model.Relations[arg.RelationId]
		if r == nil || !r.Has(c.App) || !c.leads() {
			return apiservererrors.ErrPerm
		}
		r.Status = model.StatusNow(string(arg.Status), arg.Message)
		return nil
	}), nil
}

// enterScope joins the unit, with the addresses that Juju puts in for it. It waits for none: one that is not known yet
// comes with a later config-changed. An agent enters again what it is in each time it starts, of a dying relation as well
// (juju, state/relationunit.go).
func enterScope(c *Conn, args params.RelationUnits) (params.ErrorResults, error) {
	return facade.Each(args.RelationUnits, func(arg params.RelationUnit) error {
		r := c.relation(arg.Relation)
		u, err := c.self(arg.Unit)
		switch {
		case err != nil:
			return err
		case r == nil:
			return apiservererrors.ErrPerm
		case r.UnitData[c.Unit] != nil:
			return nil
		case r.Life != life.Alive || u.Life != life.Alive:
			return &params.Error{Code: params.CodeCannotEnterScope, Message: "cannot enter scope: unit or relation is not alive"}
		}
		settings := c.networkSettings()
		maps.DeleteFunc(settings, func(_, value string) bool { return value == "" })
		c.Controller.EnterScope(r, c.Unit, settings)
		return nil
	}), nil
}

func leaveScope(c *Conn, args params.RelationUnits) (params.ErrorResults, error) {
	return facade.Each(args.RelationUnits, func(arg params.RelationUnit) error {
		if r := c.relation(arg.Relation); r != nil {
			c.Controller.LeaveScope(r, c.Unit)
		}
		return nil
	}), nil
}

func settingsResult(settings map[string]string, err error) params.SettingsResult {
	if err != nil {
		return params.SettingsResult{Error: facade.Error(err)}
	}
	return params.SettingsResult{Settings: settings}
}

func readSettings(c *Conn, args params.RelationUnits) (results[params.SettingsResult], error) {
	return each(args.RelationUnits, func(arg params.RelationUnit) params.SettingsResult {
		return settingsResult(c.settings(arg.Relation, arg.Unit))
	})
}

func readLocalApplicationSettings(c *Conn, arg params.RelationUnit) (params.SettingsResult, error) {
	return settingsResult(c.settings(arg.Relation, names.NewApplicationTag(c.App).String())), nil
}

func readRemoteSettings(c *Conn, args params.RelationUnitPairs) (results[params.SettingsResult], error) {
	return each(args.RelationUnitPairs, func(arg params.RelationUnitPair) params.SettingsResult {
		return settingsResult(c.settings(arg.Relation, arg.RemoteUnit))
	})
}

// settings are a unit's or an application's in a relation. An application's own are for its leader, and for every
// unit among peers.
func (c *Conn) settings(relation, who string) (map[string]string, error) {
	r := c.relation(relation)
	tag, err := names.ParseTag(who)
	if err != nil {
		return nil, err
	}
	if r == nil {
		return nil, apiservererrors.ErrPerm
	}
	switch tag := tag.(type) {
	case names.ApplicationTag:
		if (tag.Id() == c.App && !c.leads() && len(r.Endpoints) == 2) || !r.Has(tag.Id()) {
			return nil, apiservererrors.ErrPerm
		}
		return maps.Clone(r.AppData[tag.Id()]), nil
	case names.UnitTag:
		if app, _ := names.UnitApplication(tag.Id()); !r.Has(app) {
			return nil, apiservererrors.ErrPerm
		}
		if data, ok := r.UnitData[tag.Id()]; ok {
			return maps.Clone(data), nil
		}
		return nil, errors.NotFoundf("settings for %q in relation %q", tag.Id(), r.Key)
	}
	return nil, apiservererrors.ErrPerm
}

func goalStates(c *Conn, args params.Entities) (results[params.GoalStateResult], error) {
	return each(args.Entities, func(params.Entity) params.GoalStateResult {
		out := params.GoalState{Units: params.UnitsGoalState{}, Relations: map[string]params.UnitsGoalState{}}
		for _, u := range c.Model.Units {
			if u.App == c.App {
				out.Units[u.Name] = params.GoalStateStatus{Status: u.Workload.Status, Since: &u.Workload.Since}
			}
		}
		for _, r := range c.Model.Relations {
			if !r.Has(c.App) || len(r.Endpoints) < 2 {
				continue
			}
			own, other := c.ends(r)
			goals := out.Relations[own.Name]
			if goals == nil {
				goals = params.UnitsGoalState{}
				out.Relations[own.Name] = goals
			}
			goals[other.App] = params.GoalStateStatus{Status: r.Status.Status, Since: &r.Status.Since}
			for name := range r.UnitData {
				if u := c.Model.Units[name]; u != nil && u.App == other.App {
					goals[name] = params.GoalStateStatus{Status: u.Workload.Status, Since: &u.Workload.Since}
				}
			}
		}
		return params.GoalStateResult{Result: &out}
	})
}
