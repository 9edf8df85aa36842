package client

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/juju/charm/v12"
	"github.com/juju/errors"
	"github.com/juju/juju/rpc/params"
	"github.com/juju/names/v5"

	"github.com/charmarr/charmarr-go/tests/lab/juju/facade"
	"github.com/charmarr/charmarr-go/tests/lab/juju/model"
)

var applicationMethods = map[string]Handler{
	"Application.Deploy":                      facade.Method(deploy),
	"Application.Get":                         facade.Read(getApplication),
	"Application.CharmConfig":                 facade.Read(charmConfig),
	"Application.SetConfigs":                  facade.Method(setConfigs),
	"Application.UnsetApplicationsConfig":     facade.Method(unsetConfigs),
	"Application.GetConstraints":              facade.Read(getConstraints),
	"Application.GetCharmURLOrigin":           facade.Read(charmURLOrigin),
	"Application.SetCharm":                    facade.Method(setCharm),
	"Application.ScaleApplications":           facade.Method(scaleApplications),
	"Application.DestroyApplication":          facade.Method(destroyApplications),
	"Application.ApplicationsInfo":            facade.Read(applicationsInfo),
	"Application.UnitsInfo":                   facade.Read(unitsInfo),
	"Application.CharmRelations":              facade.Read(charmRelations),
	"Application.Leader":                      facade.Read(leader),
	"Application.AddRelation":                 facade.Method(addRelation),
	"Application.DestroyRelation":             facade.Method(destroyRelation),
	"Application.Consume":                     facade.Method(consume),
	"Application.DestroyConsumedApplications": facade.Method(destroyConsumed),
}

func deploy(c *Conn, args params.ApplicationsDeploy) (params.ErrorResults, error) {
	return facade.Each(args.Applications, c.deploy), nil
}

// deploy checks all of an application before it makes any of it.
func (c *Conn) deploy(arg params.ApplicationDeploy) error {
	name := arg.ApplicationName
	if !names.IsValidApplication(name) {
		return errors.NotValidf("application name %q", name)
	}
	if c.Model.Apps[name] != nil {
		return errors.Annotatef(errors.AlreadyExistsf("application"), "cannot add application %q", name)
	}
	if c.Model.Remotes[name] != nil {
		return errors.Annotatef(errors.AlreadyExistsf("saas application with same name"), "cannot add application %q", name)
	}
	if err := c.Model.CheckActive(); err != nil {
		return errors.Annotatef(err, "cannot add application %q", name)
	}
	ch := c.Model.Charms[arg.CharmURL]
	if ch == nil {
		return errors.NotFoundf("charm %q", arg.CharmURL)
	}
	if err := canRun(ch.Charm.Meta(), arg.Force); err != nil {
		return err
	}
	switch {
	case len(arg.AttachStorage) > 0:
		return errors.New("AttachStorage may not be specified for container models")
	case len(arg.Placement) > 0:
		return notDone("placement of units")
	case len(arg.Devices) > 0:
		return notDone("devices")
	case !reflect.ValueOf(arg.Constraints).IsZero() && (arg.Constraints.HasMem() || arg.Constraints.HasCpuPower()):
		return notDone("constraints other than the architecture")
	}
	settings, err := parseSettings(ch.Charm.Config(), name, arg.Config, arg.ConfigYAML)
	if err != nil {
		return err
	}
	resources, err := c.takeResources(ch.Charm.Meta(), arg.Resources)
	if err != nil {
		return err
	}
	app := &model.App{
		Name: name, Charm: ch, Config: settings.Charm, Resources: resources,
		Trust: settings.Trust != nil && *settings.Trust,
	}
	if arg.CharmOrigin != nil {
		app.Origin = *arg.CharmOrigin
	}
	c.Controller.Deploy(c.Model, app, arg.NumUnits)
	return nil
}

// notDone refuses a part of a call that the lab controller does not do.
func notDone(what string) error {
	return errors.NewNotImplemented(nil, "the lab controller does not do "+what)
}

func getApplication(c *Conn, arg params.ApplicationGet) (params.ApplicationGetResults, error) {
	app, err := c.app(arg.ApplicationName)
	if err != nil {
		return params.ApplicationGetResults{}, err
	}
	var trust any
	if app.Trust {
		trust = true
	}
	return params.ApplicationGetResults{
		Application: app.Name,
		Charm:       app.Charm.Charm.Meta().Name,
		CharmConfig: describeSettings(app.Charm.Charm.Config(), app.Config),
		ApplicationConfig: map[string]any{
			trustOption: describeOption("Does this application have access to trusted credentials", "bool", false, trust),
		},
		Base:             app.Origin.Base,
		EndpointBindings: bindings(app),
	}, nil
}

// bindings are an application's endpoints by the space they are bound to: a Kubernetes model has one, alpha.
func bindings(app *model.App) map[string]string {
	out := map[string]string{"": "alpha"}
	for name := range app.Charm.Charm.Meta().CombinedRelations() {
		out[name] = "alpha"
	}
	return out
}

func charmConfig(c *Conn, args params.ApplicationGetArgs) (params.ApplicationGetConfigResults, error) {
	var out params.ApplicationGetConfigResults
	for _, arg := range args.Args {
		var one params.ConfigResult
		if app, err := c.app(arg.ApplicationName); err != nil {
			one.Error = facade.Error(err)
		} else {
			one.Config = describeSettings(app.Charm.Charm.Config(), app.Config)
		}
		out.Results = append(out.Results, one)
	}
	return out, nil
}

func setConfigs(c *Conn, args params.ConfigSetArgs) (params.ErrorResults, error) {
	return facade.Each(args.Args, func(arg params.ConfigSet) error {
		app, err := c.app(arg.ApplicationName)
		if err != nil {
			return err
		}
		settings, err := parseSettings(app.Charm.Charm.Config(), app.Name, arg.Config, arg.ConfigYAML)
		if err != nil {
			return errors.Annotate(err, "parsing settings for application")
		}
		applySettings(app, settings)
		return nil
	}), nil
}

// applySettings keeps only what differs from the charm's defaults, as Juju does.
func applySettings(app *model.App, settings Settings) {
	for name, value := range settings.Charm {
		if value == nil {
			delete(app.Config, name)
			continue
		}
		app.Config[name] = value
	}
	if settings.Trust != nil {
		app.Trust = *settings.Trust
	}
}

func unsetConfigs(c *Conn, args params.ApplicationConfigUnsetArgs) (params.ErrorResults, error) {
	return facade.Each(args.Args, func(arg params.ApplicationUnset) error {
		app, err := c.app(arg.ApplicationName)
		if err != nil {
			return err
		}
		for _, name := range arg.Options {
			if _, ok := app.Charm.Charm.Config().Options[name]; !ok && name != trustOption {
				return errors.Annotate(fmt.Errorf("unknown option %q", name), "updating charm config")
			}
		}
		for _, name := range arg.Options {
			if name == trustOption {
				app.Trust = false
				continue
			}
			delete(app.Config, name)
		}
		return nil
	}), nil
}

func getConstraints(c *Conn, args params.Entities) (params.ApplicationGetConstraintsResults, error) {
	var out params.ApplicationGetConstraintsResults
	for _, e := range args.Entities {
		_, err := c.appByTag(e.Tag)
		out.Results = append(out.Results, params.ApplicationConstraint{Error: facade.Error(err)})
	}
	return out, nil
}

func charmURLOrigin(c *Conn, arg params.ApplicationGet) (params.CharmURLOriginResult, error) {
	app, err := c.app(arg.ApplicationName)
	if err != nil {
		return params.CharmURLOriginResult{Error: facade.Error(err)}, nil
	}
	return params.CharmURLOriginResult{URL: app.Charm.URL, Origin: app.Origin}, nil
}

// setCharm moves an application to another charm, or to other resources of the same one.
func setCharm(c *Conn, arg params.ApplicationSetCharm) (facade.None, error) {
	app, err := c.app(arg.ApplicationName)
	if err != nil {
		return facade.None{}, err
	}
	ch := c.Model.Charms[arg.CharmURL]
	if ch == nil {
		return facade.None{}, errors.NotFoundf("charm %q", arg.CharmURL)
	}
	if err := sameShape(app.Charm.Charm.Meta(), ch.Charm.Meta()); err != nil {
		return facade.None{}, err
	}
	if err := canRun(ch.Charm.Meta(), arg.Force); err != nil {
		return facade.None{}, err
	}
	for _, r := range c.Model.Relations {
		for _, ep := range r.Endpoints {
			if ep.App != app.Name || ep.Relation.IsImplicit() {
				continue
			}
			if now, ok := ch.Charm.Meta().CombinedRelations()[ep.Name]; !ok || now.Interface != ep.Interface || now.Role != ep.Role {
				return facade.None{}, errors.Errorf("cannot upgrade application %q to charm %q: would break relation %q", app.Name, arg.CharmURL, r.Key)
			}
		}
	}
	settings, err := parseSettings(ch.Charm.Config(), app.Name, arg.ConfigSettings, arg.ConfigSettingsYAML)
	if err != nil {
		return facade.None{}, errors.Annotate(err, "parsing config settings")
	}
	resources, err := c.newResources(app, arg.ResourceIDs)
	if err != nil {
		return facade.None{}, err
	}
	for name := range ch.Charm.Meta().Resources {
		if _, ok := resources[name]; !ok {
			return facade.None{}, errors.NotValidf("charm resource %q without an image", name)
		}
	}
	if ch.URL != app.Charm.URL || len(arg.ResourceIDs) > 0 {
		app.ModifiedVersion++
	}
	app.Charm, app.Resources = ch, resources
	app.Config = ch.Charm.Config().FilterSettings(app.Config)
	applySettings(app, settings)
	if arg.CharmOrigin != nil {
		app.Origin = *arg.CharmOrigin
	}
	return facade.None{}, nil
}

// sameShape refuses what a Kubernetes application cannot change from one charm to the next.
func sameShape(was, is *charm.Meta) error {
	switch {
	case !reflect.DeepEqual(was.Deployment, is.Deployment):
		return errors.NotSupportedf("Juju on containers does not support updating deployment info for services.\nThe new charm's metadata contains updated deployment info.\nYou'll need to deploy a new charm rather than upgrading if you need this change.\n")
	case !reflect.DeepEqual(was.Storage, is.Storage):
		return errors.NotSupportedf("Juju on containers does not support updating storage on a statefulset.\nThe new charm's metadata contains updated storage declarations.\nYou'll need to deploy a new charm rather than upgrading if you need this change.\n")
	}
	return nil
}

func scaleApplications(c *Conn, args params.ScaleApplicationsParams) (params.ScaleApplicationResults, error) {
	var out params.ScaleApplicationResults
	for _, arg := range args.Applications {
		info, err := c.scale(arg)
		out.Results = append(out.Results, params.ScaleApplicationResult{Info: info, Error: facade.Error(err)})
	}
	return out, nil
}

func (c *Conn) scale(arg params.ScaleApplicationParams) (*params.ScaleApplicationInfo, error) {
	switch {
	case arg.Scale < 0 && arg.ScaleChange == 0:
		return nil, errors.NotValidf("scale < 0")
	case arg.Scale != 0 && arg.ScaleChange != 0:
		return nil, errors.NotValidf("requesting both scale and scale-change")
	}
	name, err := facade.TagName(arg.ApplicationTag, names.ApplicationTagKind)
	if err != nil {
		return nil, err
	}
	app := c.Model.Apps[name]
	if app == nil {
		return nil, errors.Errorf("application %q does not exist", name)
	}
	scale := arg.Scale
	if arg.ScaleChange != 0 {
		scale = app.Scale + arg.ScaleChange
	}
	if scale < 0 {
		return nil, errors.NotValidf("cannot remove more units than currently exist")
	}
	c.Controller.SetScale(c.Model, app, scale)
	return &params.ScaleApplicationInfo{Scale: scale}, nil
}

func destroyApplications(c *Conn, args params.DestroyApplicationsParams) (params.DestroyApplicationResults, error) {
	var out params.DestroyApplicationResults
	for _, arg := range args.Applications {
		info, err := c.destroyApplication(arg)
		out.Results = append(out.Results, params.DestroyApplicationResult{Info: info, Error: facade.Error(err)})
	}
	return out, nil
}

func (c *Conn) destroyApplication(arg params.DestroyApplicationParams) (*params.DestroyApplicationInfo, error) {
	app, err := c.appByTag(arg.ApplicationTag)
	if err != nil {
		return nil, err
	}
	info := &params.DestroyApplicationInfo{}
	for _, u := range c.units(app.Name) {
		info.DestroyedUnits = append(info.DestroyedUnits, params.Entity{Tag: names.NewUnitTag(u.Name).String()})
	}
	if arg.DryRun {
		return info, nil
	}
	offers, consumers := 0, 0
	for _, o := range c.Model.Offers {
		if o.App == app.Name {
			offers++
			consumers += len(c.connections(c.Model, o))
		}
	}
	if consumers > 0 && !arg.Force {
		return nil, errors.Errorf("cannot destroy application %q: application is used by %d offer%s", app.Name, offers, plural(offers))
	}
	c.Controller.DestroyApp(c.Model, app, arg.Force)
	return info, nil
}

func plural(n int) string {
	if n == 1 {
		return ""
	}
	return "s"
}

func applicationsInfo(c *Conn, args params.Entities) (params.ApplicationInfoResults, error) {
	var out params.ApplicationInfoResults
	for _, e := range args.Entities {
		app, err := c.appByTag(e.Tag)
		if err != nil {
			out.Results = append(out.Results, params.ApplicationInfoResult{Error: facade.Error(err)})
			continue
		}
		out.Results = append(out.Results, params.ApplicationInfoResult{Result: &params.ApplicationResult{
			Tag:              names.NewApplicationTag(app.Name).String(),
			Charm:            app.Charm.Charm.Meta().Name,
			Base:             app.Origin.Base,
			Principal:        true,
			Life:             string(app.Life),
			EndpointBindings: bindings(app),
		}})
	}
	return out, nil
}

func unitsInfo(c *Conn, args params.Entities) (params.UnitInfoResults, error) {
	var out params.UnitInfoResults
	for _, e := range args.Entities {
		units, err := c.unitsByTag(e.Tag)
		if err != nil {
			out.Results = append(out.Results, params.UnitInfoResult{Error: facade.Error(err)})
		}
		for _, u := range units {
			out.Results = append(out.Results, params.UnitInfoResult{Result: c.unitResult(u)})
		}
	}
	return out, nil
}

// unitsByTag is the unit of a unit's tag, every unit of an application's.
func (c *Conn) unitsByTag(tag string) ([]*model.Unit, error) {
	if name, err := facade.TagName(tag, names.UnitTagKind); err == nil {
		u := c.Model.Units[name]
		if u == nil {
			return nil, errors.NotFoundf("unit %q", name)
		}
		return []*model.Unit{u}, nil
	}
	app, err := c.appByTag(tag)
	if err != nil {
		return nil, err
	}
	return c.units(app.Name), nil
}

func (c *Conn) unitResult(u *model.Unit) *params.UnitResult {
	app := c.Model.Apps[u.App]
	out := &params.UnitResult{
		Tag:             names.NewUnitTag(u.Name).String(),
		WorkloadVersion: u.Version,
		OpenedPorts:     u.Ports,
		Charm:           app.Charm.URL,
		Leader:          app.Leader == u.Name,
		Life:            string(u.Life),
		ProviderId:      u.ProviderID,
		Address:         u.Address,
	}
	for _, r := range c.relations() {
		if own, other, ok := sides(r, u.App); ok {
			out.RelationData = append(out.RelationData, c.relationData(r, own, other))
		}
	}
	return out
}

func (c *Conn) relationData(r *model.Relation, own, other model.Endpoint) params.EndpointRelationData {
	data := params.EndpointRelationData{
		RelationId:       r.ID,
		Endpoint:         own.Name,
		RelatedEndpoint:  other.Name,
		CrossModel:       c.Model.Apps[other.App] == nil,
		ApplicationData:  anyMap(r.AppData[other.App]),
		UnitRelationData: map[string]params.RelationData{},
	}
	for unit, settings := range r.UnitData {
		if app, err := names.UnitApplication(unit); err == nil && app == other.App {
			data.UnitRelationData[unit] = params.RelationData{InScope: true, UnitData: anyMap(settings)}
		}
	}
	return data
}

func anyMap(in map[string]string) map[string]any {
	out := map[string]any{}
	for k, v := range in {
		out[k] = v
	}
	return out
}

func charmRelations(c *Conn, arg params.ApplicationCharmRelations) (params.ApplicationCharmRelationsResults, error) {
	app, err := c.app(arg.ApplicationName)
	if err != nil {
		return params.ApplicationCharmRelationsResults{}, err
	}
	var out params.ApplicationCharmRelationsResults
	for _, r := range sorted(app.Charm.Charm.Meta().CombinedRelations()) {
		out.CharmRelations = append(out.CharmRelations, r.Name)
	}
	return out, nil
}

func leader(c *Conn, arg params.Entity) (params.StringResult, error) {
	app, err := c.appByTag(arg.Tag)
	if err != nil {
		return params.StringResult{Error: facade.Error(err)}, nil
	}
	if app.Leader == "" {
		return params.StringResult{Error: facade.Error(errors.NotFoundf("leader for %q", app.Name))}, nil
	}
	return params.StringResult{Result: app.Leader}, nil
}

// unitNumber is the 3 of mysql/3.
func unitNumber(unit string) int {
	n, _ := strconv.Atoi(unit[strings.LastIndex(unit, "/")+1:])
	return n
}
