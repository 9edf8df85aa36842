package model

import (
	"maps"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/juju/charm/v12"
	"github.com/juju/juju/core/life"
	"github.com/juju/names/v5"
)

// moment is how long it takes until one model hears of the other: Juju's remote-relations workers are not quick, and
// what a charm does in between is to be seen.
func moment() time.Duration { return 200*time.Millisecond + rand.N(300*time.Millisecond) }

// publish lets the other half of a relation hear of this one, if it has one. Like Juju's workers it carries what is
// there when it gets there: several changes may arrive as one, and none is lost or overtaken.
func (c *Controller) publish(r *Relation) {
	if r.own == "" || r.carrying {
		return
	}
	r.carrying = true
	c.later(moment(), func() {
		r.carrying = false
		c.carry(r)
	})
}

// carry brings the other half up to date: who is in scope at this side, what they say, and that the relation dies.
func (c *Controller) carry(r *Relation) {
	if r.Twin == nil {
		c.twin(r)
	}
	far := r.Twin
	if far == nil || far.removed {
		return
	}
	proxy := far.Endpoints[0].App
	if proxy == far.own {
		proxy = far.Endpoints[1].App
	}
	if data := r.AppData[r.own]; !maps.Equal(far.AppData[proxy], data) {
		far.AppData[proxy] = maps.Clone(data)
		far.Versions[proxy]++
	}
	here := map[string]bool{}
	for unit, data := range r.UnitData {
		if app, _ := names.UnitApplication(unit); app != r.own {
			continue
		}
		name := proxy + strings.TrimPrefix(unit, r.own)
		here[name] = true
		if have, in := far.UnitData[name]; (!in && far.Life == life.Alive) || (in && !maps.Equal(have, data)) {
			far.setUnit(name, data)
		}
	}
	maps.DeleteFunc(far.UnitData, func(unit string, _ map[string]string) bool {
		app, _ := names.UnitApplication(unit)
		return app == proxy && !here[unit]
	})
	if r.Life != life.Alive && far.Life == life.Alive {
		c.DestroyRelation(far, false)
	}
	c.reapRelation(far)
}

// twin makes the offering model's half of a relation: there the consumer is "remote-" and its token. Of a relation that
// is gone before, the other model never hears.
func (c *Controller) twin(r *Relation) {
	if r.Life != life.Alive {
		return
	}
	own, offered := r.Endpoints[0], r.Endpoints[1]
	if own.App != r.own {
		own, offered = offered, own
	}
	remote := r.model.Remotes[offered.App]
	if remote == nil || c.Models[remote.Source] == nil {
		return
	}
	source := c.Models[remote.Source]
	for _, o := range source.Offers {
		if o.UUID != remote.OfferUUID {
			continue
		}
		proxy := c.token(r.model, own.App)
		ends := []Endpoint{{App: proxy, Relation: own.Relation}, {App: o.App, Relation: o.Endpoints[offered.Name]}}
		if own.Role == charm.RoleProvider {
			ends[0], ends[1] = ends[1], ends[0]
		}
		for _, have := range source.Relations {
			if have.Key == key(ends) { // the last one between the two is still going
				c.publish(r)
				return
			}
		}
		source.Remotes[proxy] = &Remote{
			Name: proxy, OfferUUID: o.UUID, Source: r.model.UUID, Consumer: true, Life: life.Alive, Endpoints: []charm.Relation{own.Relation},
		}
		r.Twin = source.relate(ends...)
		r.Twin.Twin, r.Twin.own = r, o.App
	}
}
