package client

import (
	"strings"
	"time"

	"github.com/juju/juju/core/status"
	"github.com/juju/juju/rpc/params"

	"github.com/charmarr/charmarr-go/tests/lab/juju/facade"
	"github.com/charmarr/charmarr-go/tests/lab/juju/model"
)

var statusMethods = map[string]Handler{
	"Client.FullStatus": facade.Read(fullStatus),
}

// cloudName is what the lab's cluster is called in every model.
const cloudName = "lab"

func fullStatus(c *Conn, args params.StatusParams) (params.FullStatus, error) {
	now := time.Now()
	out := params.FullStatus{
		Model: params.ModelStatusInfo{
			Name: c.Model.Name, Type: "caas", CloudTag: "cloud-" + cloudName, CloudRegion: "default",
			Version: model.Version, ModelStatus: params.DetailedStatus{Status: modelStatus(c.Model).Status.String(), Since: &c.Model.Created}, SLA: "unsupported",
		},
		Applications:        map[string]params.ApplicationStatus{},
		RemoteApplications:  map[string]params.RemoteApplicationStatus{},
		Offers:              map[string]params.ApplicationOfferStatus{},
		ControllerTimestamp: &now,
	}
	for _, app := range c.Model.Apps {
		if wanted(args.Patterns, app.Name) || c.wantsUnit(args.Patterns, app.Name) {
			out.Applications[app.Name] = c.applicationStatus(app)
		}
	}
	for _, remote := range c.Model.Remotes {
		if !remote.Consumer {
			out.RemoteApplications[remote.Name] = c.remoteStatus(remote)
		}
	}
	for _, o := range c.Model.Offers {
		out.Offers[o.Name] = c.offerStatus(o)
	}
	for _, r := range c.relations() {
		if c.showsRelation(r, args.Patterns) {
			out.Relations = append(out.Relations, relationStatus(r))
		}
	}
	return out, nil
}

// wanted holds when no pattern was given or one names the application, as "juju status app" or "ap*".
func wanted(patterns []string, name string) bool {
	for _, p := range patterns {
		if p == name || (strings.HasSuffix(p, "*") && strings.HasPrefix(name, strings.TrimSuffix(p, "*"))) {
			return true
		}
	}
	return len(patterns) == 0
}

func (c *Conn) wantsUnit(patterns []string, app string) bool {
	for _, u := range c.units(app) {
		if len(patterns) > 0 && wanted(patterns, u.Name) {
			return true
		}
	}
	return false
}

// showsRelation leaves out what real status leaves out: relations with consumers in other models, which stand in the
// offer's count of connections, and those of an application not asked for by name.
func (c *Conn) showsRelation(r *model.Relation, patterns []string) bool {
	for _, ep := range r.Endpoints {
		remote := c.Model.Remotes[ep.App]
		if (remote != nil && remote.Consumer) || (remote == nil && !wanted(patterns, ep.App)) {
			return false
		}
	}
	return true
}

func (c *Conn) applicationStatus(app *model.App) params.ApplicationStatus {
	out := params.ApplicationStatus{
		Charm:            app.Charm.URL,
		Base:             app.Origin.Base,
		Life:             app.Life,
		Relations:        c.related(app.Name),
		Units:            map[string]params.UnitStatus{},
		EndpointBindings: bindings(app),
		Scale:            app.Scale,
		ProviderId:       app.ProviderID,
		PublicAddress:    app.Address,
	}
	if v, ok := app.Charm.Charm.(interface{ Version() string }); ok {
		out.CharmVersion = v.Version()
	}
	var all []status.StatusInfo
	for _, u := range c.units(app.Name) {
		one := c.unitStatus(app, u)
		out.Units[u.Name] = one
		all = append(all, status.StatusInfo{
			Status: status.Status(one.WorkloadStatus.Status), Message: one.WorkloadStatus.Info, Since: one.WorkloadStatus.Since,
		})
		if u.Version != "" {
			out.WorkloadVersion = u.Version
		}
	}
	out.Status = detailed(app.Status)
	if app.Status.Status == "" || app.Status.Status == string(status.Unset) {
		derived := status.DeriveStatus(all)
		out.Status = params.DetailedStatus{Status: string(derived.Status), Info: derived.Message, Since: derived.Since}
	}
	return out
}

// unitStatus shows a failed hook where Juju shows it: as the workload's error, with the agent idle.
func (c *Conn) unitStatus(app *model.App, u *model.Unit) params.UnitStatus {
	out := params.UnitStatus{
		AgentStatus:     detailed(u.Agent),
		WorkloadStatus:  detailed(u.Workload),
		WorkloadVersion: u.Version,
		OpenedPorts:     u.Ports,
		Leader:          app.Leader == u.Name,
		ProviderId:      u.ProviderID,
		Address:         u.Address,
	}
	if u.Agent.Status == string(status.Error) {
		out.WorkloadStatus = out.AgentStatus
		out.AgentStatus = params.DetailedStatus{Status: string(status.Idle), Since: out.AgentStatus.Since}
	}
	out.AgentStatus.Version = model.Version
	out.AgentStatus.Life, out.WorkloadStatus.Life = u.Life, u.Life
	return out
}

func detailed(s model.Status) params.DetailedStatus {
	since := s.Since
	return params.DetailedStatus{Status: s.Status, Info: s.Info, Data: s.Data, Since: &since}
}

func entityStatus(s model.Status) params.EntityStatus {
	since := s.Since
	return params.EntityStatus{Status: status.Status(s.Status), Info: s.Info, Data: s.Data, Since: &since}
}

// related lists, by an application's endpoint, the applications at the other end.
func (c *Conn) related(app string) map[string][]string {
	out := map[string][]string{}
	for _, r := range c.relations() {
		if own, other, ok := sides(r, app); ok && c.showsRelation(r, nil) {
			out[own.Name] = append(out[own.Name], other.App)
		}
	}
	return out
}

func (c *Conn) remoteStatus(remote *model.Remote) params.RemoteApplicationStatus {
	out := params.RemoteApplicationStatus{
		OfferURL: remote.OfferURL, OfferName: remote.Name, Life: remote.Life,
		Relations: c.related(remote.Name), Status: detailed(c.offeredStatus(remote)),
	}
	for _, ep := range remote.Endpoints {
		out.Endpoints = append(out.Endpoints, params.RemoteEndpoint{Name: ep.Name, Interface: ep.Interface, Role: ep.Role})
	}
	return out
}

// offeredStatus is the offered application's own: the consuming model follows it.
func (c *Conn) offeredStatus(remote *model.Remote) model.Status {
	source := c.Controller.Models[remote.Source]
	if remote.Status.Status == string(status.Terminated) || source == nil {
		return remote.Status
	}
	for _, o := range source.Offers {
		if o.UUID == remote.OfferUUID {
			s := c.at(source).applicationStatus(source.Apps[o.App]).Status
			out := model.Status{Status: s.Status, Info: s.Info}
			if s.Since != nil {
				out.Since = *s.Since
			}
			return out
		}
	}
	return remote.Status
}

func (c *Conn) offerStatus(o *model.Offer) params.ApplicationOfferStatus {
	out := params.ApplicationOfferStatus{
		OfferName: o.Name, ApplicationName: o.App, CharmURL: c.Model.Apps[o.App].Charm.URL,
		Endpoints: map[string]params.RemoteEndpoint{},
	}
	for name, ep := range o.Endpoints {
		out.Endpoints[name] = params.RemoteEndpoint{Name: name, Interface: ep.Interface, Role: ep.Role}
	}
	for _, r := range c.connections(c.Model, o) {
		out.TotalConnectedCount++
		if r.Status.Status == string(status.Joined) {
			out.ActiveConnectedCount++
		}
	}
	return out
}

func relationStatus(r *model.Relation) params.RelationStatus {
	out := params.RelationStatus{Id: r.ID, Key: r.Key, Status: detailed(r.Status)}
	for _, ep := range r.Endpoints {
		out.Interface, out.Scope = ep.Interface, string(ep.Scope)
		out.Endpoints = append(out.Endpoints, params.EndpointStatus{ApplicationName: ep.App, Name: ep.Name, Role: string(ep.Role)})
	}
	return out
}
