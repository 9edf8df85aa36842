package model

import (
	"maps"

	"github.com/juju/juju/core/life"
	"github.com/juju/names/v5"
	"github.com/juju/utils/v3"
)

// Offer makes an offer, or changes the one of its name.
func (c *Controller) Offer(m *Model, o *Offer) {
	o.UUID = utils.MustNewUUID().String()
	if was := m.Offers[o.Name]; was != nil {
		o.UUID = was.UUID
	}
	m.Offers[o.Name] = o
}

// RemoveOffer takes an offer back. Its consumers' relations die without waiting for the consumers, and a moment later what
// they consumed is "terminated" to them.
func (c *Controller) RemoveOffer(m *Model, o *Offer) {
	for _, r := range m.Relations {
		for _, end := range r.Endpoints {
			if remote := m.Remotes[end.App]; remote != nil && remote.Consumer && remote.OfferUUID == o.UUID {
				maps.DeleteFunc(r.UnitData, func(unit string, _ map[string]string) bool {
					app, _ := names.UnitApplication(unit)
					return app == remote.Name
				})
				m.forgetReaders(remote.Name)
				c.DestroyRelation(r, false)
			}
		}
	}
	delete(m.Offers, o.Name)
	c.later(moment(), func() { c.terminated(o.UUID) })
}

// terminated tells the consumers of an offer that it is no more.
func (c *Controller) terminated(offer string) {
	for _, m := range c.Models {
		for _, remote := range m.Remotes {
			if remote.OfferUUID == offer && !remote.Consumer {
				remote.Status = StatusNow("terminated", "offer has been removed")
			}
		}
	}
}

// Consume adds what another model offers.
func (c *Controller) Consume(m *Model, remote *Remote) {
	remote.Life = life.Alive
	m.Remotes[remote.Name] = remote
}

// consumes holds for a model with a SAAS of the other.
func (m *Model) consumes(other *Model) bool {
	for _, remote := range m.Remotes {
		if remote.Source == other.UUID && !remote.Consumer {
			return true
		}
	}
	return false
}

// RemoveRemote lets a SAAS go, after its relations.
func (c *Controller) RemoveRemote(m *Model, remote *Remote, force bool) {
	remote.Life = life.Dying
	for _, r := range m.Relations {
		if r.Has(remote.Name) {
			c.DestroyRelation(r, force)
		}
	}
	c.reapRemote(m, remote)
}
