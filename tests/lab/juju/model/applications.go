package model

import (
	"fmt"
	"strconv"

	"github.com/juju/juju/core/life"
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

// SetScale makes the units that are missing, and lets those with the highest numbers die.
func (c *Controller) SetScale(m *Model, app *App, scale int) {
	for n := range scale {
		name := fmt.Sprintf("%s/%d", app.Name, n)
		if m.Units[name] == nil {
			m.Units[name] = &Unit{
				Name: name, App: app.Name, Life: life.Alive,
				Agent: StatusNow("allocating", ""), Workload: StatusNow("waiting", "installing agent"),
			}
		}
	}
	for n := scale; n < app.Scale; n++ {
		if u := m.Units[fmt.Sprintf("%s/%d", app.Name, n)]; u != nil {
			c.DestroyUnit(m, u)
		}
	}
	app.Scale = scale
}

// DestroyUnit lets a unit die: its agent takes leave of its relations and says when it is dead. A unit whose agent
// never came goes at once.
func (c *Controller) DestroyUnit(m *Model, u *Unit) {
	u.Life = life.Dying
	if u.Agent.Status == "allocating" {
		c.RemoveUnit(m, u)
	}
}

// RemoveUnit forgets a dead unit, and its application if it was the last thing that one waited for.
func (c *Controller) RemoveUnit(m *Model, u *Unit) {
	for _, r := range m.Relations {
		c.LeaveScope(m, r, u.Name)
	}
	delete(m.Units, u.Name)
	app := m.Apps[u.App]
	if app == nil {
		return
	}
	if app.Leader == u.Name {
		app.Leader = ""
	}
	c.reap(m, app)
}

// DestroyApp lets an application die: its relations, then its units. force waits for no agent.
func (c *Controller) DestroyApp(m *Model, app *App, force bool) {
	app.Life = life.Dying
	for _, r := range m.Relations {
		if r.Has(app.Name) {
			c.DestroyRelation(m, r, force)
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

// reap forgets a dying application that nothing holds any more.
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
	for id, r := range m.Relations {
		if r.Has(app.Name) {
			delete(m.Relations, id)
		}
	}
	for _, o := range m.Offers {
		if o.App == app.Name {
			c.RemoveOffer(m, o)
		}
	}
	delete(m.Apps, app.Name)
}

// NextTask numbers operations and tasks, which share one count.
func (m *Model) NextTask() string {
	m.lastTask++
	return strconv.Itoa(m.lastTask)
}
