// Package client serves what the unmodified juju program asks a controller for: Juju's client facades over the
// lab's in-memory model. It refuses what Juju refuses, in Juju's words, and says so of everything it does not do.
package client

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/juju/errors"
	"github.com/juju/juju/rpc/params"
	"github.com/juju/names/v5"
)

// Handler serves one method of one facade. id names the object for the few facades that have several (watchers).
type Handler func(c *Conn, id string, args json.RawMessage) (any, error)

// method makes a Handler of a function with typed parameters and result.
func method[P, R any](serve func(*Conn, P) (R, error)) Handler {
	return func(c *Conn, _ string, raw json.RawMessage) (any, error) {
		var args P
		if len(raw) > 0 {
			if err := json.Unmarshal(raw, &args); err != nil {
				return nil, &params.Error{Code: params.CodeBadRequest, Message: fmt.Sprintf("cannot read the arguments: %v", err)}
			}
		}
		var out R
		err := c.Controller.Update(func() (err error) {
			out, err = serve(c, args)
			return err
		})
		if err != nil {
			return nil, serverError(err)
		}
		return out, nil
	}
}

// none is the parameter or result of methods without one.
type none struct{}

// Methods lists every method served, as "Facade.Method".
func Methods() map[string]Handler {
	all := map[string]Handler{}
	for _, methods := range []map[string]Handler{
		applicationMethods, charmsMethods, resourcesMethods, offersMethods, secretsMethods,
		actionMethods, statusMethods, modelMethods, smallMethods, watchMethods,
	} {
		for name, handler := range methods {
			if facade, _, _ := strings.Cut(name, "."); !slices.Contains(controllerFacades, facade) {
				handler = needsModel(facade, handler)
			}
			all[name] = handler
		}
	}
	return all
}

// controllerFacades are those that answer on a connection to the controller alone.
var controllerFacades = []string{
	"ApplicationOffers", "Cloud", "Controller", "ModelManager", "Pinger", "SecretBackends", "AllWatcher", "StringsWatcher",
}

func needsModel(facade string, handler Handler) Handler {
	return func(c *Conn, id string, args json.RawMessage) (any, error) {
		if c.Model == nil {
			return nil, serverError(errors.NotSupportedf("facade %q for controller API connection", facade))
		}
		return handler(c, id, args)
	}
}

// Versions lists the facades a client is told of at login and the version it is to speak. A facade a real
// controller has and this one has not stands in it too, so that the client asks and is told "does not do".
func Versions() []params.FacadeVersions {
	var out []params.FacadeVersions
	for _, f := range []struct {
		name    string
		version int
	}{
		{"Action", 7}, {"AllWatcher", 3}, {"Annotations", 2}, {"Application", 20}, {"ApplicationOffers", 5},
		{"Block", 2}, {"Charms", 7}, {"Client", 7}, {"Cloud", 7}, {"Controller", 11}, {"MachineManager", 10},
		{"ModelConfig", 3}, {"ModelManager", 10}, {"ModelUpgrader", 1}, {"Payloads", 1}, {"Pinger", 1},
		{"Resources", 3}, {"SecretBackends", 1}, {"Secrets", 2}, {"Spaces", 6}, {"SSHClient", 4}, {"Storage", 6},
		{"StringsWatcher", 1}, {"NotifyWatcher", 1}, {"UserManager", 3},
	} {
		out = append(out, params.FacadeVersions{Name: f.name, Versions: []int{f.version}})
	}
	return out
}

// NotDone refuses a method that the lab controller has not got.
func NotDone(facade, method string) error {
	return &params.Error{
		Code:    params.CodeNotImplemented,
		Message: fmt.Sprintf("the lab controller does not do %s.%s", facade, method),
	}
}

// each serves a bulk call: one result for each argument, an argument's error in its own result.
func each[A any](args []A, serve func(A) error) params.ErrorResults {
	out := params.ErrorResults{Results: make([]params.ErrorResult, len(args))}
	for i, arg := range args {
		out.Results[i].Error = serverError(serve(arg))
	}
	return out
}

// tagName is the name behind a tag of the kind wanted.
func tagName(text, kind string) (string, error) {
	tag, err := names.ParseTag(text)
	if err != nil {
		return "", err
	}
	if tag.Kind() != kind {
		return "", fmt.Errorf("%q is not a valid %s tag", text, kind)
	}
	return tag.Id(), nil
}
