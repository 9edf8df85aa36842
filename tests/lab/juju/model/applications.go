package model

import (
	"fmt"
	"strconv"

	"github.com/juju/juju/core/life"
	"github.com/juju/names/v5"
)

// Deploy adds an application whose settings and images have been checked, with its peer relations and first units.
func (c *Controller) Deploy(m *Model, app *App, units int) {
	app.Life = life.Alive
	m.Apps[app.Name] = app
	for _, peer := range app.Charm.Charm.Meta().Peers {
		m.relate(Endpoint{App: app.Name, Relation: peer})
	}
	c.SetScale(m, app, units)
}

// SetScale makes the units that are missing, and lets those with the highest numbers die. One that is dying already comes
// again once it is gone.
func (c *Controller) SetScale(m *Model, app *App, scale int) {
	was := app.Scale
	app.Scale = scale
	for n := range scale {
		if name := fmt.Sprintf("%s/%d", app.Name, n); m.Units[name] == nil {
			m.addUnit(app, name)
		}
	}
	for n := scale; n < was; n++ {
		if u := m.Units[fmt.Sprintf("%s/%d", app.Name, n)]; u != nil {
			c.DestroyUnit(m, u)
		}
	}
}

func (m *Model) addUnit(app *App, name string) {
	m.Units[name] = &Unit{
		Name: name, App: app.Name, Life: life.Alive,
		Agent: StatusNow("allocating", ""), Workload: StatusNow("waiting", "installing agent"),
	}
}

// DestroyUnit lets a unit die: its agent takes leave of its relations and says when it is dead. Its own secrets are gone
// at once, before its last hooks run. A unit whose agent never came goes at once.
func (c *Controller) DestroyUnit(m *Model, u *Unit) {
	u.Life = life.Dying
	m.forgetSecrets(names.NewUnitTag(u.Name))
	m.forgetReader(u.Name)
	if u.Agent.Status == "allocating" {
		c.RemoveUnit(m, u)
	}
}

// KillUnit takes note that a unit's agent is done.
func (c *Controller) KillUnit(m *Model, u *Unit) {
	u.Life = life.Dead
	if app := m.Apps[u.App]; app != nil {
		c.Release(app, u.Name)
	}
}

// RemoveUnit forgets a dead unit, and its application if it was the last thing that one waited for.
func (c *Controller) RemoveUnit(m *Model, u *Unit) {
	for _, r := range m.Relations {
		c.LeaveScope(r, u.Name)
	}
	tag := names.NewUnitTag(u.Name)
	m.forgetSecrets(tag)
	m.forgetReader(u.Name)
	m.revokeAll(tag)
	delete(m.Units, u.Name)
	app := m.Apps[u.App]
	if app == nil {
		return
	}
	c.Release(app, u.Name)
	if app.Life == life.Alive && tag.Number() < app.Scale { // scaled up again meanwhile
		m.addUnit(app, u.Name)
	}
	c.reap(m, app)
}

// DestroyApp lets an application die: its relations, then its units. force waits for no agent.
func (c *Controller) DestroyApp(m *Model, app *App, force bool) {
	app.Life = life.Dying
	for _, r := range m.Relations {
		if r.Has(app.Name) {
			c.DestroyRelation(r, force)
		}
	}
	for _, u := range m.Units {
		switch {
		case u.App != app.Name:
		case force:
			c.RemoveUnit(m, u)
		default:
			c.DestroyUnit(m, u)
		}
	}
	c.reap(m, app)
}

// reap forgets a dying application that nothing holds any more, with its secrets and what was granted to it.
func (c *Controller) reap(m *Model, app *App) {
	if app.Life == life.Alive {
		return
	}
	for _, u := range m.Units {
		if u.App == app.Name {
			return
		}
	}
	for _, r := range m.Relations {
		if r.Has(app.Name) && len(r.Endpoints) == 2 {
			return
		}
	}
	for _, r := range m.Relations {
		if r.Has(app.Name) {
			c.forgetRelation(r)
		}
	}
	for _, o := range m.Offers {
		if o.App == app.Name {
			c.RemoveOffer(m, o)
		}
	}
	tag := names.NewApplicationTag(app.Name)
	m.forgetSecrets(tag)
	m.revokeAll(tag)
	delete(m.Apps, app.Name)
	c.reapModel(m)
}

// NextTask numbers operations and tasks, which share one count.
func (m *Model) NextTask() string {
	m.lastTask++
	return strconv.Itoa(m.lastTask)
}
