package agent

import (
	"crypto/sha256"
	"fmt"

	"github.com/juju/errors"
	apiservererrors "github.com/juju/juju/apiserver/errors"
	"github.com/juju/juju/core/life"
	"github.com/juju/juju/rpc/params"
	"github.com/juju/names/v5"

	"github.com/charmarr/charmarr-go/tests/lab/juju/facade"
	"github.com/charmarr/charmarr-go/tests/lab/juju/model"
)

var unitMethods = map[string]Handler{
	"Uniter.Life":                          facade.Read(lifeOf),
	"AgentLifeFlag.Life":                   facade.Read(lifeOf),
	"Uniter.Watch":                         facade.Read(watchEntities),
	"AgentLifeFlag.Watch":                  facade.Read(watchEntities),
	"Uniter.Refresh":                       facade.Read(refresh),
	"Uniter.ClearResolved":                 ownUnit(func(*Conn, *model.Unit) error { return nil }),
	"Uniter.Destroy":                       ownUnit(func(c *Conn, u *model.Unit) error { c.Controller.DestroyUnit(c.Model, u); return nil }),
	"Uniter.EnsureDead":                    ownUnit(func(c *Conn, u *model.Unit) error { c.Controller.KillUnit(c.Model, u); return nil }),
	"Uniter.DestroyAllSubordinates":        ownUnit(func(*Conn, *model.Unit) error { return nil }),
	"Uniter.DestroyUnitStorageAttachments": ownUnit(func(*Conn, *model.Unit) error { return nil }),
	"Uniter.UnitStatus":                    facade.Read(unitStatus),
	"Uniter.ApplicationStatus":             facade.Read(applicationStatus),
	"Uniter.SetUnitStatus":                 facade.Method(setUnitStatus),
	"Uniter.SetAgentStatus":                facade.Method(setAgentStatus),
	"Uniter.SetApplicationStatus":          facade.Method(setApplicationStatus),
	"Uniter.GetPrincipal":                  noneOf[params.StringBoolResult](),
	"Uniter.HasSubordinates":               noneOf[params.BoolResult](),
	"Uniter.CanApplyLXDProfile":            noneOf[params.BoolResult](),
	"Uniter.LXDProfileRequired":            noneOf[params.BoolResult](),
	"Uniter.UnitStorageAttachments":        noneOf[params.StorageAttachmentIdsResult](),
	"Uniter.StorageAttachmentLife": facade.Read(func(_ *Conn, args params.StorageAttachmentIds) (results[params.LifeResult], error) {
		return each(args.Ids, func(id params.StorageAttachmentId) params.LifeResult {
			return params.LifeResult{Error: facade.Error(errors.NotFoundf("storage attachment %s", id.StorageTag))}
		})
	}),
	"Uniter.State":                        facade.Read(state),
	"Uniter.SetState":                     facade.Method(setState),
	"Uniter.CharmURL":                     facade.Read(charmURL),
	"Uniter.SetCharmURL":                  facade.Method(setCharmURL),
	"Uniter.CharmModifiedVersion":         facade.Read(charmModifiedVersion),
	"Uniter.CharmArchiveSha256":           facade.Read(charmSHA256),
	"Uniter.ConfigSettings":               facade.Read(configSettings),
	"Uniter.SetWorkloadVersion":           facade.Method(setWorkloadVersion),
	"Uniter.WorkloadVersion":              facade.Read(workloadVersion),
	"Uniter.OpenedPortRangesByEndpoint":   facade.Read(openedPorts),
	"Uniter.WatchConfigSettingsHash":      watchHash(func(_ *Conn, _ *model.Unit, a *model.App) any { return a.Config }),
	"Uniter.WatchTrustConfigSettingsHash": watchHash(func(_ *Conn, _ *model.Unit, a *model.App) any { return a.Trust }),
	"Uniter.WatchUnitStorageAttachments":  watchKeys(func(*Conn, *model.Unit) map[string]any { return nil }),
	"Uniter.WatchStorageAttachments":      watchKeys(func(*Conn, *model.Unit) map[string]any { return nil }),
}

// noneOf answers of the agent's own unit that it has nothing of a kind that only machine charms have.
func noneOf[R any]() Handler {
	return facade.Read(func(c *Conn, args params.Entities) (results[R], error) {
		return each(args.Entities, func(params.Entity) (r R) { return r })
	})
}

// ofUnit serves a bulk call that asks for a string of the agent's own unit.
func ofUnit(c *Conn, args params.Entities, read func(*model.Unit) (string, error)) (results[params.StringResult], error) {
	return each(args.Entities, func(e params.Entity) params.StringResult {
		u, err := c.self(e.Tag)
		if err != nil {
			return params.StringResult{Error: facade.Error(err)}
		}
		text, err := read(u)
		return params.StringResult{Result: text, Error: facade.Error(err)}
	})
}

// lifeOfTag is the life of a unit or an application. What is not there is not found: to an agent that means dead.
func (c *Conn) lifeOfTag(text string) (life.Value, error) {
	tag, err := names.ParseTag(text)
	if err != nil {
		return "", err
	}
	switch tag := tag.(type) {
	case names.UnitTag:
		if u := c.Model.Units[tag.Id()]; u != nil {
			return u.Life, nil
		}
	case names.ApplicationTag:
		if a := c.Model.Apps[tag.Id()]; a != nil {
			return a.Life, nil
		}
	case names.RelationTag:
		if r := c.relation(tag.String()); r != nil {
			return r.Life, nil
		}
	default:
		return "", apiservererrors.ErrPerm
	}
	return "", errors.NotFoundf("%s %q", tag.Kind(), tag.Id())
}

func lifeOf(c *Conn, args params.Entities) (results[params.LifeResult], error) {
	return each(args.Entities, func(e params.Entity) params.LifeResult {
		l, err := c.lifeOfTag(e.Tag)
		return params.LifeResult{Life: l, Error: facade.Error(err)}
	})
}

func watchEntities(c *Conn, args params.Entities) (results[params.NotifyWatchResult], error) {
	return each(args.Entities, func(e params.Entity) params.NotifyWatchResult {
		if _, err := c.lifeOfTag(e.Tag); err != nil {
			return params.NotifyWatchResult{Error: facade.Error(err)}
		}
		return params.NotifyWatchResult{NotifyWatcherId: c.notify(func() any {
			l, err := c.lifeOfTag(e.Tag)
			if app, isApp := names.ParseApplicationTag(e.Tag); isApp == nil && err == nil {
				a := c.Model.Apps[app.Id()]
				return fmt.Sprint(l, a.Charm.URL, a.ModifiedVersion)
			}
			return l
		})}
	})
}

func refresh(c *Conn, args params.Entities) (results[params.UnitRefreshResult], error) {
	return each(args.Entities, func(e params.Entity) params.UnitRefreshResult {
		u, err := c.self(e.Tag)
		if err != nil {
			return params.UnitRefreshResult{Error: facade.Error(err)}
		}
		return params.UnitRefreshResult{Life: u.Life, Resolved: params.ResolvedNone, ProviderID: u.ProviderID}
	})
}

func unitStatus(c *Conn, args params.Entities) (results[params.StatusResult], error) {
	return each(args.Entities, func(e params.Entity) params.StatusResult {
		u, err := c.self(e.Tag)
		if err != nil {
			return params.StatusResult{Error: facade.Error(err)}
		}
		return statusResult(u.Name, u.Life, u.Workload)
	})
}

func statusResult(id string, l life.Value, s model.Status) params.StatusResult {
	return params.StatusResult{Id: id, Life: l, Status: s.Status, Info: s.Info, Data: s.Data, Since: &s.Since}
}

func applicationStatus(c *Conn, args params.Entities) (results[params.ApplicationStatusResult], error) {
	return each(args.Entities, func(params.Entity) params.ApplicationStatusResult {
		app, err := c.app()
		if err == nil && !c.leads() {
			err = apiservererrors.ErrPerm
		}
		if err != nil {
			return params.ApplicationStatusResult{Error: facade.Error(err)}
		}
		out := params.ApplicationStatusResult{Application: statusResult(app.Name, app.Life, app.Status), Units: map[string]params.StatusResult{}}
		for _, u := range c.Model.Units {
			if u.App == app.Name {
				out.Units[u.Name] = statusResult(u.Name, u.Life, u.Workload)
			}
		}
		return out
	})
}

func setUnitStatus(c *Conn, args params.SetStatus) (params.ErrorResults, error) {
	return facade.Each(args.Entities, func(s params.EntityStatusArgs) error {
		u, err := c.self(s.Tag)
		if err == nil {
			u.Workload = newStatus(s)
		}
		return err
	}), nil
}

func setAgentStatus(c *Conn, args params.SetStatus) (params.ErrorResults, error) {
	return facade.Each(args.Entities, func(s params.EntityStatusArgs) error {
		u, err := c.self(s.Tag)
		if err == nil {
			u.Agent = newStatus(s)
		}
		return err
	}), nil
}

// setApplicationStatus is the leader's.
func setApplicationStatus(c *Conn, args params.SetStatus) (params.ErrorResults, error) {
	return facade.Each(args.Entities, func(s params.EntityStatusArgs) error {
		app, err := c.app()
		switch {
		case err != nil:
			return err
		case !c.leads():
			return apiservererrors.ErrPerm
		}
		app.Status = newStatus(s)
		return nil
	}), nil
}

func newStatus(s params.EntityStatusArgs) model.Status {
	out := model.StatusNow(s.Status, s.Info)
	out.Data = s.Data
	return out
}

func state(c *Conn, args params.Entities) (results[params.UnitStateResult], error) {
	return each(args.Entities, func(e params.Entity) params.UnitStateResult {
		u, err := c.self(e.Tag)
		if err != nil {
			return params.UnitStateResult{Error: facade.Error(err)}
		}
		return u.State
	})
}

func setState(c *Conn, args params.SetUnitStateArgs) (params.ErrorResults, error) {
	return facade.Each(args.Args, func(s params.SetUnitStateArg) error {
		u, err := c.self(s.Tag)
		if err == nil {
			keep(u, s)
		}
		return err
	}), nil
}

// keep replaces those parts of an agent's state that it sends.
func keep(u *model.Unit, s params.SetUnitStateArg) {
	set(&u.State.CharmState, s.CharmState)
	set(&u.State.UniterState, s.UniterState)
	set(&u.State.RelationState, s.RelationState)
	set(&u.State.StorageState, s.StorageState)
	set(&u.State.SecretState, s.SecretState)
	set(&u.State.MeterStatusState, s.MeterStatusState)
}

func set[T any](have *T, want *T) {
	if want != nil {
		*have = *want
	}
}

func charmURL(c *Conn, args params.Entities) (results[params.StringBoolResult], error) {
	return each(args.Entities, func(e params.Entity) params.StringBoolResult {
		if e.Tag == names.NewApplicationTag(c.App).String() {
			app, err := c.app()
			if err != nil {
				return params.StringBoolResult{Error: facade.Error(err)}
			}
			return params.StringBoolResult{Result: app.Charm.URL, Ok: true}
		}
		u, err := c.self(e.Tag)
		if err != nil {
			return params.StringBoolResult{Error: facade.Error(err)}
		}
		return params.StringBoolResult{Result: u.CharmURL, Ok: u.CharmURL != ""}
	})
}

func setCharmURL(c *Conn, args params.EntitiesCharmURL) (params.ErrorResults, error) {
	return facade.Each(args.Entities, func(e params.EntityCharmURL) error {
		u, err := c.self(e.Tag)
		if err == nil {
			u.CharmURL = e.CharmURL
		}
		return err
	}), nil
}

func charmModifiedVersion(c *Conn, args params.Entities) (results[params.IntResult], error) {
	return each(args.Entities, func(params.Entity) params.IntResult {
		app, err := c.app()
		if err != nil {
			return params.IntResult{Error: facade.Error(err)}
		}
		return params.IntResult{Result: app.ModifiedVersion}
	})
}

func charmSHA256(c *Conn, args params.CharmURLs) (results[params.StringResult], error) {
	return each(args.URLs, func(url params.CharmURL) params.StringResult {
		if ch := c.Model.Charms[url.URL]; ch != nil {
			return params.StringResult{Result: ch.SHA256}
		}
		return params.StringResult{Error: facade.Error(errors.NotFoundf("charm %q", url.URL))}
	})
}

// configSettings are the charm's options with the user's values over its defaults.
func configSettings(c *Conn, args params.Entities) (results[params.ConfigSettingsResult], error) {
	return each(args.Entities, func(params.Entity) params.ConfigSettingsResult {
		app, err := c.app()
		if err != nil {
			return params.ConfigSettingsResult{Error: facade.Error(err)}
		}
		settings := params.ConfigSettings{}
		for name, value := range app.Charm.Charm.Config().DefaultSettings() {
			if value != nil {
				settings[name] = value
			}
		}
		for name, value := range app.Config {
			settings[name] = value
		}
		return params.ConfigSettingsResult{Settings: settings}
	})
}

func setWorkloadVersion(c *Conn, args params.EntityWorkloadVersions) (params.ErrorResults, error) {
	return facade.Each(args.Entities, func(e params.EntityWorkloadVersion) error {
		u, err := c.self(e.Tag)
		if err == nil {
			u.Version = e.WorkloadVersion
		}
		return err
	}), nil
}

func workloadVersion(c *Conn, args params.Entities) (results[params.StringResult], error) {
	return ofUnit(c, args, func(u *model.Unit) (string, error) { return u.Version, nil })
}

// hash tells two states of a thing apart, as the agents' hash watchers do.
func hash(v any) string { return fmt.Sprintf("%x", sha256.Sum256(fmt.Appendf(nil, "%#v", v))) }
