package client

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/juju/charm/v12"
	"github.com/juju/errors"
	"github.com/juju/juju/core/life"
	"github.com/juju/juju/rpc/params"

	"github.com/charmarr/charmarr-go/tests/lab/juju/facade"
	"github.com/charmarr/charmarr-go/tests/lab/juju/model"
)

func addRelation(c *Conn, arg params.AddRelation) (params.AddRelationResults, error) {
	var out params.AddRelationResults
	eps, err := c.inferEndpoints(arg.Endpoints)
	if err != nil {
		return out, err
	}
	if len(arg.ViaCIDRs) > 0 {
		return out, notDone("relations via subnets")
	}
	if err := c.mayRelate(eps); err != nil {
		return out, errors.Annotatef(err, "cannot add relation %q", relationKey(eps))
	}
	c.Controller.AddRelation(c.Model, eps[0], eps[1])
	out.Endpoints = map[string]params.CharmRelation{}
	for _, ep := range eps {
		out.Endpoints[ep.App] = relationParams(ep.Relation)
	}
	return out, nil
}

// mayRelate refuses a relation that there is already, that goes from one SAAS to another, or that is one too many.
func (c *Conn) mayRelate(eps []model.Endpoint) error {
	key := relationKey(eps)
	for _, r := range c.Model.Relations {
		switch {
		case r.Key != key:
		case r.Life != life.Alive:
			return errors.NewAlreadyExists(nil, fmt.Sprintf("relation %v is dying, but not yet removed", key))
		default:
			return errors.NewAlreadyExists(nil, fmt.Sprintf("relation %v", key))
		}
	}
	remotes := 0
	for _, ep := range eps {
		if app := c.Model.Apps[ep.App]; app != nil {
			if app.Life != life.Alive {
				return errors.Errorf("application %q is not alive", ep.App)
			}
		} else {
			remotes++
			if c.Model.Remotes[ep.App].Status.Status == "terminated" {
				return errors.Errorf("remote offer %s is terminated", ep.App)
			}
		}
		if limit := ep.Limit; limit > 0 && c.countRelations(ep) >= limit {
			return errors.QuotaLimitExceededf("establishing a new relation for %s:%s would exceed its maximum relation limit of %d", ep.App, ep.Name, limit)
		}
	}
	if remotes == 2 {
		return errors.Errorf("cannot add relation between saas applications %q and %q", eps[0].App, eps[1].App)
	}
	return nil
}

func (c *Conn) countRelations(ep model.Endpoint) int {
	n := 0
	for _, r := range c.Model.Relations {
		for _, other := range r.Endpoints {
			if other.App == ep.App && other.Name == ep.Name {
				n++
			}
		}
	}
	return n
}

// relationKey is a relation's name: the requirer first.
func relationKey(eps []model.Endpoint) string {
	order := slices.SortedFunc(slices.Values(eps), func(a, b model.Endpoint) int {
		return cmp.Compare(roleOrder(a.Role), roleOrder(b.Role))
	})
	var words []string
	for _, ep := range order {
		words = append(words, ep.App+":"+ep.Name)
	}
	return strings.Join(words, " ")
}

func roleOrder(role charm.RelationRole) int {
	return slices.Index([]charm.RelationRole{charm.RoleRequirer, charm.RoleProvider, charm.RolePeer}, role)
}

// inferEndpoints finds the one pair of endpoints that two names can mean.
func (c *Conn) inferEndpoints(wanted []string) ([]model.Endpoint, error) {
	if len(wanted) != 2 {
		return nil, errors.Errorf("cannot relate %d endpoints", len(wanted))
	}
	first, err := c.endpoints(wanted[0])
	if err != nil {
		return nil, err
	}
	second, err := c.endpoints(wanted[1])
	if err != nil {
		return nil, err
	}
	var all, explicit [][]model.Endpoint
	for _, a := range first {
		for _, b := range second {
			if !canRelate(a, b) {
				continue
			}
			pair := []model.Endpoint{a, b}
			all = append(all, pair)
			if !a.Relation.IsImplicit() && !b.Relation.IsImplicit() {
				explicit = append(explicit, pair)
			}
		}
	}
	switch {
	case len(all) == 0:
		return nil, errors.Errorf("no relations found")
	case len(all) == 1:
		return all[0], nil
	case len(explicit) == 1:
		return explicit[0], nil
	}
	var keys []string
	for _, pair := range all {
		keys = append(keys, fmt.Sprintf("%q", relationKey(pair)))
	}
	slices.Sort(keys)
	return nil, errors.Errorf("ambiguous relation: %q could refer to %s", strings.Join(wanted, " "), strings.Join(keys, "; "))
}

func canRelate(a, b model.Endpoint) bool {
	opposite := map[charm.RelationRole]charm.RelationRole{charm.RoleProvider: charm.RoleRequirer, charm.RoleRequirer: charm.RoleProvider}
	return a.App != b.App && a.Interface == b.Interface && opposite[a.Role] == b.Role
}

// endpoints are what "app" or "app:endpoint" can mean, peers left out.
func (c *Conn) endpoints(name string) ([]model.Endpoint, error) {
	appName, endpoint, named := strings.Cut(name, ":")
	if named && (appName == "" || endpoint == "") {
		return nil, errors.Errorf("invalid endpoint %q", name)
	}
	kind := "application"
	var relations []charm.Relation
	if remote := c.Model.Remotes[appName]; remote != nil && !remote.Consumer {
		kind, relations = "saas application", remote.Endpoints
	} else {
		app, err := c.app(appName)
		if err != nil {
			return nil, err
		}
		relations = sorted(app.Charm.Charm.Meta().CombinedRelations())
		relations = append(relations, jujuInfo)
	}
	var out []model.Endpoint
	found := false
	for _, r := range relations {
		if named && r.Name != endpoint {
			continue
		}
		found = true
		if r.Role != charm.RolePeer {
			out = append(out, model.Endpoint{App: appName, Relation: r})
		}
	}
	if named && !found {
		return nil, errors.Errorf("%s %q has no %q relation", kind, appName, endpoint)
	}
	return out, nil
}

// jujuInfo is the endpoint every application provides without saying so.
var jujuInfo = charm.Relation{Name: "juju-info", Role: charm.RoleProvider, Interface: "juju-info", Scope: charm.ScopeGlobal}

func destroyRelation(c *Conn, arg params.DestroyRelation) (facade.None, error) {
	r, err := c.findRelation(arg)
	if err != nil {
		return facade.None{}, err
	}
	c.Controller.DestroyRelation(r, arg.Force != nil && *arg.Force)
	return facade.None{}, nil
}

func (c *Conn) findRelation(arg params.DestroyRelation) (*model.Relation, error) {
	if len(arg.Endpoints) == 0 {
		if r := c.Model.Relations[arg.RelationId]; r != nil {
			return r, nil
		}
		return nil, errors.NotFoundf("relation %d", arg.RelationId)
	}
	var found []*model.Relation
	for _, r := range c.relations() {
		if len(r.Endpoints) == 2 && (named(r, arg.Endpoints[0], arg.Endpoints[1]) || named(r, arg.Endpoints[1], arg.Endpoints[0])) {
			found = append(found, r)
		}
	}
	query := strings.Join(arg.Endpoints, " ")
	switch len(found) {
	case 0:
		return nil, errors.NotFoundf("relation matching %q", query)
	case 1:
		return found[0], nil
	}
	var keys []string
	for _, r := range found {
		keys = append(keys, fmt.Sprintf("%q", r.Key))
	}
	return nil, errors.Errorf("ambiguous relation: %q could refer to %s", query, strings.Join(keys, "; "))
}

func named(r *model.Relation, a, b string) bool {
	match := func(ep model.Endpoint, name string) bool { return name == ep.App || name == ep.App+":"+ep.Name }
	return match(r.Endpoints[0], a) && match(r.Endpoints[1], b)
}

// relations are the model's, in the order of their ids.
func (c *Conn) relations() []*model.Relation {
	var out []*model.Relation
	for _, r := range c.Model.Relations {
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b *model.Relation) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// sides are a relation's ends as one application sees them; of a peer relation both are its own.
func sides(r *model.Relation, app string) (own, other model.Endpoint, ok bool) {
	if len(r.Endpoints) == 1 {
		return r.Endpoints[0], r.Endpoints[0], r.Endpoints[0].App == app
	}
	switch app {
	case r.Endpoints[0].App:
		return r.Endpoints[0], r.Endpoints[1], true
	case r.Endpoints[1].App:
		return r.Endpoints[1], r.Endpoints[0], true
	}
	return own, other, false
}
