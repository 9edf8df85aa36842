// Package client serves what the unmodified juju program asks a controller for: Juju's client facades over the
// lab's in-memory model. It refuses what Juju refuses, in Juju's words, and says so of everything it does not do.
package client

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/juju/errors"
	"github.com/juju/juju/rpc/params"

	"github.com/charmarr/charmarr-go/tests/lab/juju/facade"
)

// Handler serves one method of one facade.
type Handler = facade.Handler[*Conn]

// Methods lists every method served, as "Facade.Method".
func Methods() map[string]Handler {
	all := map[string]Handler{}
	for _, methods := range []map[string]Handler{
		applicationMethods, charmsMethods, resourcesMethods, offersMethods, secretsMethods,
		actionMethods, statusMethods, modelMethods, smallMethods, watchMethods,
	} {
		for name, handler := range methods {
			if group, _, _ := strings.Cut(name, "."); !slices.Contains(controllerFacades, group) {
				handler = needsModel(group, handler)
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

func needsModel(name string, handler Handler) Handler {
	return func(c *Conn, id string, args json.RawMessage) (any, error) {
		if c.Model == nil {
			return nil, facade.Error(errors.NotSupportedf("facade %q for controller API connection", name))
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
