package model

import (
	"maps"
	"strings"

	"github.com/juju/charm/v12"
	"github.com/juju/juju/core/life"
	"github.com/juju/names/v5"
)

// AddRelation relates two endpoints that may be related. If one is a SAAS the offering model will get the other half.
func (c *Controller) AddRelation(m *Model, a, b Endpoint) *Relation {
	if a.Role == charm.RoleProvider {
		a, b = b, a
	}
	r := m.relate(a, b)
	for i, end := range r.Endpoints {
		if m.Remotes[end.App] != nil {
			r.own = r.Endpoints[1-i].App
			c.publish(r)
		}
	}
	return r
}

// relate adds a relation; of two ends the requirer is the first.
func (m *Model) relate(ends ...Endpoint) *Relation {
	r := &Relation{
		model: m, ID: m.nextRelation, Key: key(ends), Endpoints: ends, Life: life.Alive, Status: StatusNow("joining", ""),
		AppData: map[string]map[string]string{}, UnitData: map[string]map[string]string{}, Versions: map[string]int64{},
	}
	for _, end := range ends {
		r.AppData[end.App] = map[string]string{}
	}
	m.nextRelation++
	m.Relations[r.ID] = r
	return r
}

func key(ends []Endpoint) string {
	var words []string
	for _, end := range ends {
		words = append(words, end.App+":"+end.Name)
	}
	return strings.Join(words, " ")
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
func (c *Controller) EnterScope(r *Relation, unit string, settings map[string]string) {
	if _, in := r.UnitData[unit]; in || r.Life != life.Alive {
		return
	}
	r.setUnit(unit, settings)
	c.publish(r)
}

// setUnit puts a unit in, or other settings in the place of what it had.
func (r *Relation) setUnit(unit string, settings map[string]string) {
	data := map[string]string{}
	maps.Copy(data, settings)
	r.UnitData[unit] = data
	r.Versions[unit]++
	if r.Status.Status == "joining" {
		r.Status = StatusNow("joined", "")
	}
}

// LeaveScope takes a unit's leave; a dying relation goes with the last one.
func (c *Controller) LeaveScope(r *Relation, unit string) {
	if _, in := r.UnitData[unit]; !in {
		return
	}
	delete(r.UnitData, unit)
	c.publish(r)
	c.reapRelation(r)
}

// SetUnitData changes a unit's settings; an empty value removes a key. Only a real change counts as one.
func (c *Controller) SetUnitData(r *Relation, unit string, changes map[string]string) {
	if merge(r.UnitData[unit], changes) {
		r.Versions[unit]++
		c.publish(r)
	}
}

// SetAppData changes an application's settings likewise.
func (c *Controller) SetAppData(r *Relation, app string, changes map[string]string) {
	if merge(r.AppData[app], changes) {
		r.Versions[app]++
		c.publish(r)
	}
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

// DestroyRelation lets a relation die: it goes when the last unit has left, or at once with force. Across models the
// other half dies, too, but its own units leave it by themselves.
func (c *Controller) DestroyRelation(r *Relation, force bool) {
	r.Life = life.Dying
	if force {
		clear(r.UnitData)
	}
	c.publish(r)
	c.reapRelation(r)
}

// reapRelation forgets a dying relation without units, and what was there only for it.
func (c *Controller) reapRelation(r *Relation) {
	if r.Life == life.Alive || len(r.UnitData) > 0 || r.removed {
		return
	}
	m := r.model
	c.forgetRelation(r)
	for _, end := range r.Endpoints {
		if app := m.Apps[end.App]; app != nil {
			c.reap(m, app)
		}
		if remote := m.Remotes[end.App]; remote != nil {
			c.reapRemote(m, remote)
		}
	}
}

// forgetRelation removes a relation, and what was granted because of it.
func (c *Controller) forgetRelation(r *Relation) {
	r.removed = true
	delete(r.model.Relations, r.ID)
	r.model.revokeAll(names.NewRelationTag(r.Key))
}

// reapRemote forgets a consumer's stand-in, or a SAAS that was removed, with its last relation.
func (c *Controller) reapRemote(m *Model, remote *Remote) {
	for _, r := range m.Relations {
		if r.Has(remote.Name) {
			return
		}
	}
	if remote.Consumer || remote.Life != life.Alive {
		delete(m.Remotes, remote.Name)
		m.revokeAll(names.NewApplicationTag(remote.Name))
		c.reapModel(m)
	}
}
