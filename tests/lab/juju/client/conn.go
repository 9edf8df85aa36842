package client

import (
	"cmp"
	"maps"
	"slices"

	"github.com/juju/errors"

	"github.com/charmarr/charmarr-go/tests/lab/juju/facade"
	"github.com/charmarr/charmarr-go/tests/lab/juju/model"
)

// Conn is one connection of a juju program: the controller and the model it named.
type Conn struct {
	Controller *model.Controller
	// Model is nil on a connection to the controller alone.
	Model *model.Model
	// Addresses and CACert are where and how this controller is reached, told to whoever consumes an offer.
	Addresses []string
	CACert    string

	watchers facade.Watchers
}

// Lab is the controller, for facade.
func (c *Conn) Lab() *model.Controller { return c.Controller }

// at is the same connection's view of another model: offers and their consumers look across.
func (c *Conn) at(m *model.Model) *Conn { return &Conn{Controller: c.Controller, Model: m} }

// app is the application of a name in the connection's model.
func (c *Conn) app(name string) (*model.App, error) {
	if a := c.Model.Apps[name]; a != nil {
		return a, nil
	}
	return nil, errors.NotFoundf("application %q", name)
}

func (c *Conn) appByTag(tag string) (*model.App, error) {
	name, err := facade.TagName(tag, "application")
	if err != nil {
		return nil, err
	}
	return c.app(name)
}

// units are an application's, in the order of their numbers.
func (c *Conn) units(app string) []*model.Unit {
	var out []*model.Unit
	for _, u := range c.Model.Units {
		if u.App == app {
			out = append(out, u)
		}
	}
	slices.SortFunc(out, func(a, b *model.Unit) int { return cmp.Compare(unitNumber(a.Name), unitNumber(b.Name)) })
	return out
}

// sorted are a map's values in the order of their keys.
func sorted[V any](m map[string]V) []V {
	var out []V
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, m[k])
	}
	return out
}
