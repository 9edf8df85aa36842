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
	"github.com/juju/names/v5"

	"github.com/charmarr/charmarr-go/tests/lab/juju/facade"
	"github.com/charmarr/charmarr-go/tests/lab/juju/model"
)

// admin is the one user that the lab's controller knows.
const admin = "admin"

var offersMethods = map[string]Handler{
	"ApplicationOffers.Offer":                 facade.Method(offer),
	"ApplicationOffers.ListApplicationOffers": facade.Read(listOffers),
	"ApplicationOffers.FindApplicationOffers": facade.Read(listOffers),
	"ApplicationOffers.ApplicationOffers":     facade.Read(showOffers),
	"ApplicationOffers.GetConsumeDetails":     facade.Read(consumeDetails),
	"ApplicationOffers.DestroyOffers":         facade.Method(destroyOffers),
	"ApplicationOffers.ModifyOfferAccess":     facade.Read(modifyOfferAccess),
}

func offer(c *Conn, args params.AddApplicationOffers) (params.ErrorResults, error) {
	return facade.Each(args.Offers, func(arg params.AddApplicationOffer) error {
		uuid, err := facade.TagName(arg.ModelTag, names.ModelTagKind)
		if err != nil {
			return err
		}
		m := c.Controller.Models[uuid]
		if m == nil {
			return errors.NotFoundf("model %q", uuid)
		}
		return c.offer(m, arg)
	}), nil
}

func (c *Conn) offer(m *model.Model, arg params.AddApplicationOffer) error {
	if err := m.CheckActive(); err != nil {
		return errors.Annotatef(err, "cannot add application offer %q", arg.OfferName)
	}
	app := m.Apps[arg.ApplicationName]
	if app == nil {
		return errors.Annotatef(errors.NotFoundf("application %q", arg.ApplicationName), "getting offered application %v", arg.ApplicationName)
	}
	o := &model.Offer{Name: arg.OfferName, App: app.Name, Description: arg.ApplicationDescription, Endpoints: map[string]charm.Relation{}}
	if o.Name == "" {
		o.Name = app.Name
	}
	if o.Description == "" {
		o.Description = app.Charm.Charm.Meta().Description
	}
	if !names.IsValidApplication(o.Name) {
		return errors.NotValidf("offer name %q", o.Name)
	}
	if len(arg.Endpoints) == 0 {
		return errors.NotValidf("offer without endpoints")
	}
	for alias, name := range arg.Endpoints {
		r, ok := app.Charm.Charm.Meta().CombinedRelations()[name]
		switch {
		case !ok:
			return errors.Annotatef(errors.Errorf("application %q has no %q relation", app.Name, name), "cannot add application offer %q", o.Name)
		case r.Scope != charm.ScopeGlobal:
			return errors.Errorf("can only offer endpoints with global scope, provided scope %q", r.Scope)
		}
		o.Endpoints[alias] = r
	}
	c.Controller.Offer(m, o)
	return nil
}

// modelNamed is a model of the controller by owner and name; an owner left out is the user.
func (c *Conn) modelNamed(owner, name string) (*model.Model, error) {
	if owner == "" {
		owner = admin
	}
	for _, m := range c.Controller.Models {
		if m.Name == name && m.Owner == owner {
			return m, nil
		}
	}
	return nil, errors.NotFoundf("model %q", owner+"/"+name)
}

func listOffers(c *Conn, args params.OfferFilters) (params.QueryApplicationOffersResultsV5, error) {
	var out params.QueryApplicationOffersResultsV5
	for _, f := range args.Filters {
		if len(f.ConnectedUserTags)+len(f.AllowedConsumerTags) > 0 {
			return out, notDone("offers filtered by user")
		}
		models := sorted(c.Controller.Models)
		if f.ModelName != "" {
			m, err := c.modelNamed(f.OwnerName, f.ModelName)
			if err != nil {
				return out, err
			}
			models = []*model.Model{m}
		}
		for _, m := range models {
			for _, o := range sorted(m.Offers) {
				if matches(o, f) {
					out.Results = append(out.Results, c.offerDetails(m, o))
				}
			}
		}
	}
	return out, nil
}

func matches(o *model.Offer, f params.OfferFilter) bool {
	if !strings.Contains(o.Name, f.OfferName) || (f.ApplicationName != "" && o.App != f.ApplicationName) {
		return false
	}
	if len(f.Endpoints) == 0 {
		return true
	}
	for _, want := range f.Endpoints {
		for name, ep := range o.Endpoints {
			if (want.Name == "" || want.Name == name) && (want.Interface == "" || want.Interface == ep.Interface) && (want.Role == "" || want.Role == ep.Role) {
				return true
			}
		}
	}
	return false
}

func offerURL(m *model.Model, o *model.Offer) string {
	return charm.MakeURL(m.Owner, m.Name, o.Name, "")
}

func (c *Conn) offerDetails(m *model.Model, o *model.Offer) params.ApplicationOfferAdminDetailsV5 {
	out := params.ApplicationOfferAdminDetailsV5{
		ApplicationOfferDetailsV5: params.ApplicationOfferDetailsV5{
			SourceModelTag:         names.NewModelTag(m.UUID).String(),
			OfferUUID:              o.UUID,
			OfferURL:               offerURL(m, o),
			OfferName:              o.Name,
			ApplicationDescription: o.Description,
			Endpoints:              endpointsParams(o.Endpoints),
			Users:                  []params.OfferUserDetails{{UserName: admin, DisplayName: admin, Access: "admin"}},
		},
		ApplicationName: o.App,
		CharmURL:        m.Apps[o.App].Charm.URL,
	}
	for _, r := range c.connections(m, o) {
		own, other, _ := sides(r, o.App)
		out.Connections = append(out.Connections, params.OfferConnection{
			SourceModelTag: names.NewModelTag(m.Remotes[other.App].Source).String(),
			RelationId:     r.ID,
			Username:       admin,
			Endpoint:       own.Name,
			Status:         entityStatus(r.Status),
		})
	}
	return out
}

// connections are the relations of an offer's application with consumers in other models.
func (c *Conn) connections(m *model.Model, o *model.Offer) []*model.Relation {
	var out []*model.Relation
	for _, r := range c.at(m).relations() {
		own, other, ok := sides(r, o.App)
		if !ok {
			continue
		}
		remote := m.Remotes[other.App]
		if _, offered := o.Endpoints[own.Name]; offered && remote != nil && remote.Consumer && remote.OfferUUID == o.UUID {
			out = append(out, r)
		}
	}
	return out
}

func endpointsParams(eps map[string]charm.Relation) []params.RemoteEndpoint {
	var out []params.RemoteEndpoint
	for name, ep := range eps {
		out = append(out, params.RemoteEndpoint{Name: name, Role: ep.Role, Interface: ep.Interface})
	}
	slices.SortFunc(out, func(a, b params.RemoteEndpoint) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// findOffer is the offer of a URL like admin/downloads.gateway.
func (c *Conn) findOffer(text string) (*model.Model, *model.Offer, error) {
	url, err := charm.ParseOfferURL(text)
	if err != nil {
		return nil, nil, err
	}
	if url.HasEndpoint() {
		return nil, nil, errors.Errorf("saas application %q shouldn't include endpoint", url)
	}
	m, err := c.modelNamed(url.User, url.ModelName)
	if err != nil {
		return nil, nil, err
	}
	o := m.Offers[url.ApplicationName]
	if o == nil {
		return nil, nil, errors.NotFoundf("application offer %q", text)
	}
	return m, o, nil
}

func showOffers(c *Conn, args params.OfferURLs) (params.ApplicationOffersResults, error) {
	var out params.ApplicationOffersResults
	for _, url := range args.OfferURLs {
		var one params.ApplicationOfferResult
		if m, o, err := c.findOffer(url); err != nil {
			one.Error = facade.Error(err)
		} else {
			details := c.offerDetails(m, o)
			one.Result = &details
		}
		out.Results = append(out.Results, one)
	}
	return out, nil
}

func consumeDetails(c *Conn, args params.ConsumeOfferDetailsArg) (params.ConsumeOfferDetailsResults, error) {
	var out params.ConsumeOfferDetailsResults
	for _, url := range args.OfferURLs.OfferURLs {
		var one params.ConsumeOfferDetailsResult
		if m, o, err := c.findOffer(url); err != nil {
			one.Error = facade.Error(err)
		} else {
			details := c.offerDetails(m, o)
			one.Offer = &details.ApplicationOfferDetailsV5
			one.ControllerInfo = &params.ExternalControllerInfo{
				ControllerTag: names.NewControllerTag(c.Controller.UUID).String(), Addrs: c.Addresses, CACert: c.CACert,
			}
		}
		out.Results = append(out.Results, one)
	}
	return out, nil
}

func destroyOffers(c *Conn, args params.DestroyApplicationOffers) (params.ErrorResults, error) {
	return facade.Each(args.OfferURLs, func(url string) error {
		m, o, err := c.findOffer(url)
		if err != nil {
			return err
		}
		if n := len(c.connections(m, o)); n > 0 && !args.Force {
			return errors.Annotatef(errors.Errorf("offer has %d relation%s", n, plural(n)), "cannot delete application offer %q", o.Name)
		}
		c.Controller.RemoveOffer(m, o)
		return nil
	}), nil
}

// modifyOfferAccess grants to the one user there is what he has: bundles ask for it.
func modifyOfferAccess(c *Conn, args params.ModifyOfferAccessRequest) (params.ErrorResults, error) {
	return facade.Each(args.Changes, func(arg params.ModifyOfferAccess) error {
		if _, _, err := c.findOffer(arg.OfferURL); err != nil {
			return err
		}
		if arg.UserTag != names.NewUserTag(admin).String() || arg.Action != params.GrantOfferAccess {
			return notDone("users other than admin")
		}
		return errors.Errorf("user already has %q access or greater", arg.Access)
	}), nil
}

func consume(c *Conn, args params.ConsumeApplicationArgsV5) (params.ErrorResults, error) {
	return facade.Each(args.Args, c.consume), nil
}

func (c *Conn) consume(arg params.ConsumeApplicationArgV5) error {
	source, err := facade.TagName(arg.SourceModelTag, names.ModelTagKind)
	if err != nil {
		return err
	}
	if arg.ControllerInfo != nil && arg.ControllerInfo.ControllerTag != names.NewControllerTag(c.Controller.UUID).String() {
		return notDone("offers of other controllers")
	}
	name := arg.ApplicationAlias
	if name == "" {
		name = arg.OfferName
	}
	remote := &model.Remote{Name: name, OfferUUID: arg.OfferUUID, OfferURL: arg.OfferURL, Source: source}
	for _, ep := range arg.Endpoints {
		remote.Endpoints = append(remote.Endpoints, charm.Relation{Name: ep.Name, Role: ep.Role, Interface: ep.Interface, Scope: charm.ScopeGlobal})
	}
	if c.Model.Apps[name] != nil {
		return errors.Annotatef(errors.AlreadyExistsf("local application with same name"), "cannot add saas application %q", name)
	}
	if was := c.Model.Remotes[name]; was != nil {
		switch {
		case was.Source != source:
			return errors.AlreadyExistsf("saas application called %q from a different model", name)
		case was.Life != life.Alive:
			return errors.NewAlreadyExists(nil, fmt.Sprintf("saas application called %q exists but is terminating", name))
		case was.Status.Status != "terminated":
			was.Endpoints = remote.Endpoints
			return nil
		}
		c.Controller.RemoveRemote(c.Model, was, true)
	}
	if err := c.Model.CheckActive(); err != nil {
		return errors.Annotatef(err, "cannot add saas application %q", name)
	}
	c.Controller.Consume(c.Model, remote)
	return nil
}

func destroyConsumed(c *Conn, args params.DestroyConsumedApplicationsParams) (params.ErrorResults, error) {
	return facade.Each(args.Applications, func(arg params.DestroyConsumedApplicationParams) error {
		name, err := facade.TagName(arg.ApplicationTag, names.ApplicationTagKind)
		if err != nil {
			return err
		}
		remote := c.Model.Remotes[name]
		if remote == nil || remote.Consumer {
			return errors.NotFoundf("saas application %q", name)
		}
		c.Controller.RemoveRemote(c.Model, remote, arg.Force != nil && *arg.Force)
		return nil
	}), nil
}
