package client

import (
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/juju/charm/v12"
	charmresource "github.com/juju/charm/v12/resource"
	"github.com/juju/errors"
	coreresources "github.com/juju/juju/core/resources"
	"github.com/juju/juju/rpc/params"
	"github.com/juju/names/v5"
	"github.com/juju/utils/v3"

	"github.com/charmarr/charmarr-go/tests/lab/juju/facade"
	"github.com/charmarr/charmarr-go/tests/lab/juju/model"
)

var resourcesMethods = map[string]Handler{
	"Resources.ListResources":       facade.Read(listResources),
	"Resources.AddPendingResources": facade.Method(addPendingResources),
}

// An image's reference is sent apart from the application: the client asks for an id, sends the reference under it,
// and names the id when it deploys or refreshes.
func addPendingResources(c *Conn, args params.AddPendingResourcesArgsV2) (params.AddPendingResourcesResult, error) {
	var out params.AddPendingResourcesResult
	if _, err := facade.TagName(args.Tag, names.ApplicationTagKind); err != nil {
		out.Error = facade.Error(err)
		return out, nil
	}
	for _, r := range args.Resources {
		if r.Type != charmresource.TypeContainerImage.String() {
			out.Error = facade.Error(notDone("resources other than images"))
			return out, nil
		}
		uuid, err := utils.NewUUID()
		if err != nil {
			return out, err
		}
		c.Model.Pending[uuid.String()] = &model.Resource{ID: uuid.String(), Name: r.Name}
		out.PendingIDs = append(out.PendingIDs, uuid.String())
	}
	return out, nil
}

// uploadResource takes an image's reference. It serves
// PUT /model/<uuid>/applications/<app>/resources/<name>?pendingid=<id>; without an id it changes the application.
func (c *Conn) uploadResource(w http.ResponseWriter, r *http.Request, app, name string) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		httpError(w, errors.Annotate(err, "cannot receive the resource"))
		return
	}
	err = c.Controller.Update(func() error { return c.keepResource(app, name, r.URL.Query().Get("pendingid"), body) })
	if err != nil {
		httpError(w, err)
		return
	}
	writeJSON(w, http.StatusOK, params.UploadResult{})
}

func (c *Conn) keepResource(appName, name, pending string, body []byte) error {
	image, err := coreresources.UnmarshalDockerResource(body)
	if err != nil {
		return err
	}
	if err := coreresources.ValidateDockerRegistryPath(image.RegistryPath); err != nil {
		return err
	}
	fill := func(r *model.Resource) {
		r.Path, r.Username, r.Password = image.RegistryPath, image.Username, image.Password
		r.Size, r.Time = int64(len(body)), time.Now()
	}
	if pending != "" {
		r := c.Model.Pending[pending]
		if r == nil || r.Name != name {
			return errors.NotFoundf("pending resource %q (%s)", name, pending)
		}
		fill(r)
		return nil
	}
	app, err := c.app(appName)
	if err != nil {
		return err
	}
	if _, ok := app.Charm.Charm.Meta().Resources[name]; !ok {
		return errors.NotFoundf("resource %q", appName+"/"+name)
	}
	r := app.Resources[name]
	r.Name = name
	fill(&r)
	app.Resources[name] = r
	app.ModifiedVersion++
	return nil
}

// takeResources are the images of a new application, each of which its charm must declare and nothing may leave out.
func (c *Conn) takeResources(meta *charm.Meta, ids map[string]string) (map[string]model.Resource, error) {
	out := map[string]model.Resource{}
	for name, id := range ids {
		r := c.Model.Pending[id]
		if r == nil || r.Path == "" {
			return nil, errors.NotFoundf("pending resource %q (%s)", name, id)
		}
		if _, ok := meta.Resources[name]; !ok {
			return nil, errors.NotValidf("resource %q that the charm does not declare", name)
		}
		out[name] = *r
		delete(c.Model.Pending, id)
	}
	for name := range meta.Resources {
		if _, ok := out[name]; !ok {
			return nil, errors.NotValidf("charm resource %q without an image", name)
		}
	}
	return out, nil
}

// newResources are an application's images after a refresh: what it had, and what was sent anew.
func (c *Conn) newResources(app *model.App, ids map[string]string) (map[string]model.Resource, error) {
	out := map[string]model.Resource{}
	for name, r := range app.Resources {
		out[name] = r
	}
	for name, id := range ids {
		r := c.Model.Pending[id]
		if r == nil || r.Path == "" {
			return nil, errors.NotFoundf("pending resource %q (%s)", name, id)
		}
		out[name] = *r
		delete(c.Model.Pending, id)
	}
	return out, nil
}

func listResources(c *Conn, args params.ListResourcesArgs) (params.ResourcesResults, error) {
	var out params.ResourcesResults
	for _, e := range args.Entities {
		var one params.ResourcesResult
		if app, err := c.appByTag(e.Tag); err != nil {
			one.Error = facade.Error(err)
		} else {
			one = c.resourcesOf(app)
		}
		out.Results = append(out.Results, one)
	}
	return out, nil
}

func (c *Conn) resourcesOf(app *model.App) params.ResourcesResult {
	var out params.ResourcesResult
	meta := app.Charm.Charm.Meta()
	for _, r := range sorted(app.Resources) {
		fp, _ := charmresource.GenerateFingerprint(strings.NewReader(r.Path))
		declared := params.CharmResource{
			Name: r.Name, Type: charmresource.TypeContainerImage.String(), Path: meta.Resources[r.Name].Path,
			Description: meta.Resources[r.Name].Description, Origin: charmresource.OriginUpload.String(),
			Fingerprint: fp.Bytes(), Size: r.Size,
		}
		out.Resources = append(out.Resources, params.Resource{
			CharmResource: declared, ID: app.Name + "/" + r.Name, ApplicationID: app.Name, Username: admin, Timestamp: r.Time,
		})
		out.CharmStoreResources = append(out.CharmStoreResources, declared)
	}
	for _, u := range c.units(app.Name) {
		out.UnitResources = append(out.UnitResources, params.UnitResources{Entity: params.Entity{Tag: names.NewUnitTag(u.Name).String()}})
	}
	return out
}
