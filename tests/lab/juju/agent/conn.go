// Package agent serves what Juju's unmodified unit agent asks a controller for: the agents' facades over the lab's
// in-memory model, with Juju's rules of who may read and write what.
package agent

import (
	"encoding/json"
	"strings"

	"github.com/juju/errors"
	apiservererrors "github.com/juju/juju/apiserver/errors"
	"github.com/juju/juju/rpc/params"
	"github.com/juju/names/v5"

	"github.com/charmarr/charmarr-go/tests/lab/juju/facade"
	"github.com/charmarr/charmarr-go/tests/lab/juju/model"
)

// Conn is one connection of an agent: of an application, while a pod introduces itself, and then of a unit.
type Conn struct {
	Controller *model.Controller
	Model      *model.Model
	App        string // by its own name, or its unit's
	Unit       string // empty for an application
	// Addresses and CACert are how agents reach this controller.
	Addresses []string
	CACert    string

	watchers facade.Watchers
}

// Handler serves one method of one facade.
type Handler = facade.Handler[*Conn]

// Lab is the controller, for facade.
func (c *Conn) Lab() *model.Controller { return c.Controller }

// Close ends every watcher of the connection.
func (c *Conn) Close() { c.watchers.Close() }

// Open is the connection of who logs in with a tag and a password; only application and unit agents are known.
func Open(ctl *model.Controller, m *model.Model, tag, password string) (*Conn, error) {
	c := &Conn{Controller: ctl, Model: m}
	known := ""
	parsed, err := names.ParseTag(tag)
	if err != nil {
		return nil, apiservererrors.ErrBadCreds
	}
	ctl.View(func() {
		switch who := parsed.(type) {
		case names.UnitTag:
			if u := m.Units[who.Id()]; u != nil {
				c.Unit, c.App, known = u.Name, u.App, u.Password
			}
		case names.ApplicationTag:
			if a := m.Apps[who.Id()]; a != nil {
				c.App, known = a.Name, a.Password
			}
		}
	})
	if known == "" || known != password {
		return nil, apiservererrors.ErrBadCreds
	}
	return c, nil
}

// Methods lists every method served, as "Facade.Method".
func Methods() map[string]Handler {
	all := map[string]Handler{}
	for _, methods := range []map[string]Handler{
		introductionMethods, unitMethods, relationMethods, commitMethods, secretMethods, actionMethods, leadershipMethods,
		networkMethods, modelMethods, workerMethods, watchMethods,
	} {
		for name, handler := range methods {
			if !strings.HasPrefix(name, "CAASApplication.UnitIntroduction") && !strings.HasPrefix(name, "Pinger.") {
				handler = needsUnit(handler)
			}
			all[name] = handler
		}
	}
	return all
}

func needsUnit(handler Handler) Handler {
	return func(c *Conn, id string, args json.RawMessage) (any, error) {
		if c.Unit == "" {
			return nil, facade.Error(apiservererrors.ErrPerm)
		}
		return handler(c, id, args)
	}
}

// results is the form of every bulk answer.
type results[R any] struct {
	Results []R `json:"results"`
}

// each serves a bulk call whose results are more than errors.
func each[A, R any](args []A, serve func(A) R) (results[R], error) {
	out := results[R]{Results: make([]R, 0, len(args))}
	for _, arg := range args {
		out.Results = append(out.Results, serve(arg))
	}
	return out, nil
}

// unit is the agent's own.
func (c *Conn) unit() (*model.Unit, error) {
	if u := c.Model.Units[c.Unit]; u != nil {
		return u, nil
	}
	return nil, errors.NotFoundf("unit %q", c.Unit)
}

func (c *Conn) app() (*model.App, error) {
	if a := c.Model.Apps[c.App]; a != nil {
		return a, nil
	}
	return nil, errors.NotFoundf("application %q", c.App)
}

// self is the agent's own unit, if a tag names it: nobody sees another's.
func (c *Conn) self(tag string) (*model.Unit, error) {
	if tag != names.NewUnitTag(c.Unit).String() {
		return nil, apiservererrors.ErrPerm
	}
	return c.unit()
}

// ownUnit serves a bulk call about the agent's own unit that answers with errors alone.
func ownUnit(serve func(*Conn, *model.Unit) error) Handler {
	return facade.Method(func(c *Conn, args params.Entities) (params.ErrorResults, error) {
		return facade.Each(args.Entities, func(e params.Entity) error {
			u, err := c.self(e.Tag)
			if err != nil {
				return err
			}
			return serve(c, u)
		}), nil
	})
}

// leads holds for the unit that its application follows.
func (c *Conn) leads() bool {
	a := c.Model.Apps[c.App]
	return a != nil && a.Leader == c.Unit
}
