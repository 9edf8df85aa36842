package model

import (
	"github.com/juju/juju/core/life"
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

// RemoveOffer takes an offer back. Its consumers' relations die and what they consumed is "terminated" to them.
func (c *Controller) RemoveOffer(m *Model, o *Offer) {
	for _, r := range m.Relations {
		for _, end := range r.Endpoints {
			if remote := m.Remotes[end.App]; remote != nil && remote.Consumer && remote.OfferUUID == o.UUID {
				c.DestroyRelation(m, r, true)
			}
		}
	}
	delete(m.Offers, o.Name)
	for _, other := range c.Models {
		for _, remote := range other.Remotes {
			if remote.OfferUUID == o.UUID && !remote.Consumer {
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

// RemoveRemote lets a SAAS go, after its relations.
func (c *Controller) RemoveRemote(m *Model, remote *Remote, force bool) {
	remote.Life = life.Dying
	for _, r := range m.Relations {
		if r.Has(remote.Name) {
			c.DestroyRelation(m, r, force)
		}
	}
	m.reapRemote(remote)
}
