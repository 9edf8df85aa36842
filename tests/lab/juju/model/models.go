package model

import (
	"github.com/juju/errors"
	"github.com/juju/juju/core/life"
)

// CheckActive refuses what a model that dies takes no more.
func (m *Model) CheckActive() error {
	if m.Life != life.Alive {
		return errors.Errorf("model %q is %s", m.Name, m.Life)
	}
	return nil
}

// DestroyModel lets a model die: its offers, what it consumes, its applications by their agents' last hooks, and then
// the model itself. force waits for no agent.
func (c *Controller) DestroyModel(m *Model, force bool) {
	m.Life = life.Dying
	for _, o := range m.Offers {
		c.RemoveOffer(m, o)
	}
	for _, remote := range m.Remotes {
		c.RemoveRemote(m, remote, force)
	}
	for _, app := range m.Apps {
		if force || app.Life == life.Alive {
			c.DestroyApp(m, app, force)
		}
	}
	if force {
		delete(c.Models, m.UUID)
	}
	c.reapModel(m)
}

// reapModel forgets a dying model in which nothing is left.
func (c *Controller) reapModel(m *Model) {
	if m.Life != life.Alive && len(m.Apps) == 0 && len(m.Remotes) == 0 {
		delete(c.Models, m.UUID)
	}
}
