package model

import (
	"maps"
	"strings"

	"github.com/juju/charm/v12"
	"github.com/juju/juju/core/life"
	"github.com/juju/names/v5"
)

// AddRelation relates two endpoints that may be related. If one is a SAAS the offering model gets the other half.
func (c *Controller) AddRelation(m *Model, a, b Endpoint) *Relation {
	if a.Role == charm.RoleProvider {
		a, b = b, a
	}
	r := m.relate(a, b)
	for i, end := range r.Endpoints {
		if remote := m.Remotes[end.App]; remote != nil {
			c.twin(m, r, remote, r.Endpoints[1-i], end)
		}
	}
	return r
}

// twin makes the offering model's half of a relation: there the consumer is "remote-" and its token.
func (c *Controller) twin(m *Model, r *Relation, remote *Remote, own, offered Endpoint) {
	source := c.Models[remote.Source]
	if source == nil {
		return
	}
	for _, o := range source.Offers {
		if o.UUID != remote.OfferUUID {
			continue
		}
		proxy := "remote-" + strings.ReplaceAll(c.token(m, own.App), "-", "")
		source.Remotes[proxy] = &Remote{
			Name: proxy, OfferUUID: o.UUID, Source: m.UUID, Consumer: true, Life: life.Alive, Endpoints: []charm.Relation{own.Relation},
		}
		ends := []Endpoint{{App: proxy, Relation: own.Relation}, {App: o.App, Relation: o.Endpoints[offered.Name]}}
		if own.Role == charm.RoleProvider {
			ends[0], ends[1] = ends[1], ends[0]
		}
		r.Twin = source.relate(ends...)
		r.Twin.Twin = r
	}
}

// relate adds a relation; of two ends the requirer is the first.
func (m *Model) relate(ends ...Endpoint) *Relation {
	var words []string
	for _, end := range ends {
		words = append(words, end.App+":"+end.Name)
	}
	r := &Relation{
		ID: m.nextRelation, Key: strings.Join(words, " "), Endpoints: ends, Life: life.Alive, Status: StatusNow("joining", ""),
		AppData: map[string]map[string]string{}, UnitData: map[string]map[string]string{}, Versions: map[string]int64{},
	}
	for _, end := range ends {
		r.AppData[end.App] = map[string]string{}
	}
	m.nextRelation++
	m.Relations[r.ID] = r
	return r
}

// Has holds for an application at either end.
func (r *Relation) Has(app string) bool {
	for _, end := range r.Endpoints {
		if end.App == app {
			return true
		}
	}
	return false
}

// EnterScope joins a unit with its first settings. A unit that is in stays as it is.
func (c *Controller) EnterScope(m *Model, r *Relation, unit string, settings map[string]string) {
	if _, in := r.UnitData[unit]; in || r.Life != life.Alive {
		return
	}
	c.mirror(m, r, unit, func(r *Relation, unit string) {
		r.UnitData[unit] = maps.Clone(settings)
		r.Versions[unit]++
		if r.Status.Status == "joining" {
			r.Status = StatusNow("joined", "")
		}
	})
}

// LeaveScope takes a unit's leave; a dying relation goes with the last one.
func (c *Controller) LeaveScope(m *Model, r *Relation, unit string) {
	c.mirror(m, r, unit, func(r *Relation, unit string) { delete(r.UnitData, unit) })
	c.reapRelation(r)
}

// SetUnitData changes a unit's settings; an empty value removes a key. Only a real change counts as one.
func (c *Controller) SetUnitData(m *Model, r *Relation, unit string, changes map[string]string) {
	c.mirror(m, r, unit, func(r *Relation, unit string) {
		if merge(r.UnitData[unit], changes) {
			r.Versions[unit]++
		}
	})
}

// SetAppData changes an application's settings likewise.
func (c *Controller) SetAppData(m *Model, r *Relation, app string, changes map[string]string) {
	c.mirror(m, r, app, func(r *Relation, app string) {
		if merge(r.AppData[app], changes) {
			r.Versions[app]++
		}
	})
}

func merge(into, changes map[string]string) (changed bool) {
	for k, v := range changes {
		was, had := into[k]
		switch {
		case v == "" && had:
			delete(into, k)
			changed = true
		case v != "" && was != v && into != nil:
			into[k] = v
			changed = true
		}
	}
	return changed
}

// mirror does something to a relation and, across models, to its other half under the names that are used there.
func (c *Controller) mirror(m *Model, r *Relation, who string, do func(*Relation, string)) {
	do(r, who)
	if r.Twin == nil {
		return
	}
	app, number := who, ""
	if names.IsValidUnit(who) {
		app, _ = names.UnitApplication(who)
		number = strings.TrimPrefix(who, app)
	}
	for i, end := range r.Endpoints {
		if end.App == app && m.Remotes[app] == nil {
			do(r.Twin, r.Twin.Endpoints[i].App+number)
		}
	}
}

// DestroyRelation lets a relation die, in both models: it goes when the last unit has left, or at once with force.
func (c *Controller) DestroyRelation(_ *Model, r *Relation, force bool) {
	for _, half := range []*Relation{r, r.Twin} {
		if half == nil {
			continue
		}
		half.Life = life.Dying
		if force {
			clear(half.UnitData)
		}
	}
	c.reapRelation(r)
}

// reapRelation forgets a dying relation without units, both halves together, and what was there only for it.
func (c *Controller) reapRelation(r *Relation) {
	if r.Life == life.Alive || len(r.UnitData) > 0 || (r.Twin != nil && len(r.Twin.UnitData) > 0) {
		return
	}
	for _, m := range c.Models {
		for id, have := range m.Relations {
			if have != r && have != r.Twin {
				continue
			}
			delete(m.Relations, id)
			for _, end := range have.Endpoints {
				if app := m.Apps[end.App]; app != nil {
					c.reap(m, app)
				}
				if remote := m.Remotes[end.App]; remote != nil {
					m.reapRemote(remote)
				}
			}
		}
	}
}

// reapRemote forgets a consumer's stand-in, or a SAAS that was removed, with its last relation.
func (m *Model) reapRemote(remote *Remote) {
	for _, r := range m.Relations {
		if r.Has(remote.Name) {
			return
		}
	}
	if remote.Consumer || remote.Life != life.Alive {
		delete(m.Remotes, remote.Name)
	}
}
