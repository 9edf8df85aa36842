package client

import (
	"fmt"
	"time"

	"github.com/juju/errors"
	"github.com/juju/juju/core/life"
	"github.com/juju/juju/core/status"
	"github.com/juju/juju/rpc/params"
	"github.com/juju/names/v5"
	"github.com/juju/version/v2"

	"github.com/charmarr/charmarr-go/tests/lab/juju/facade"
	"github.com/charmarr/charmarr-go/tests/lab/juju/model"
)

var modelMethods = map[string]Handler{
	"ModelManager.CreateModel":        facade.Method(createModel),
	"ModelManager.ListModels":         facade.Read(listModels),
	"ModelManager.ListModelSummaries": facade.Read(listModelSummaries),
	"ModelManager.ModelInfo":          facade.Read(modelInfos),
	"ModelManager.ModelStatus":        facade.Read(modelStatuses),
	"ModelManager.DestroyModels":      facade.Method(destroyModels),
	"ModelConfig.ModelGet":            facade.Read(modelGet),
	"ModelConfig.GetModelConstraints": facade.Read(modelConstraints),
	"ModelConfig.Sequences":           facade.Read(sequences),
}

func createModel(c *Conn, arg params.ModelCreateArgs) (params.ModelInfo, error) {
	if !names.IsValidModelName(arg.Name) {
		return params.ModelInfo{}, errors.NotValidf("model name %q", arg.Name)
	}
	if arg.OwnerTag != names.NewUserTag(admin).String() {
		return params.ModelInfo{}, notDone("users other than admin")
	}
	if _, err := c.modelNamed(admin, arg.Name); err == nil {
		return params.ModelInfo{}, errors.Annotate(
			errors.NewAlreadyExists(nil, fmt.Sprintf("model %q for %s already exists", arg.Name, admin)), "failed to create new model")
	}
	interval := model.UpdateStatus
	for name, value := range arg.Config {
		switch name {
		case "authorized-keys": // the client sends those that it finds, for machines
		case "update-status-hook-interval":
			var err error
			if interval, err = time.ParseDuration(fmt.Sprint(value)); err != nil || interval < time.Minute || interval > time.Hour {
				return params.ModelInfo{}, errors.NotValidf("update-status-hook-interval %v: from 1m to 60m; that", value)
			}
		default:
			return params.ModelInfo{}, notDone("a model's " + name)
		}
	}
	m := c.Controller.AddModel(arg.Name, admin)
	m.UpdateStatus = interval
	return c.modelInfo(m), nil
}

func number() *version.Number {
	n := version.MustParse(model.Version)
	return &n
}

func (c *Conn) modelInfo(m *model.Model) params.ModelInfo {
	return params.ModelInfo{
		Name: m.Name, Type: "caas", UUID: m.UUID, ControllerUUID: c.Controller.UUID, ProviderType: "kubernetes",
		DefaultBase: "ubuntu@22.04/stable", CloudTag: "cloud-" + cloudName, CloudRegion: "default",
		OwnerTag: names.NewUserTag(m.Owner).String(), Life: m.Life,
		Status:       modelStatus(m),
		Users:        []params.ModelUserInfo{{UserName: admin, DisplayName: admin, Access: params.ModelAdminAccess}},
		SLA:          &params.ModelSLAInfo{Level: "unsupported"},
		AgentVersion: number(),
	}
}

func listModels(c *Conn, _ params.Entity) (params.UserModelList, error) {
	var out params.UserModelList
	for _, m := range sorted(c.Controller.Models) {
		out.UserModels = append(out.UserModels, params.UserModel{
			Model: params.Model{Name: m.Name, UUID: m.UUID, Type: "caas", OwnerTag: names.NewUserTag(m.Owner).String()},
		})
	}
	return out, nil
}

func listModelSummaries(c *Conn, _ params.ModelSummariesRequest) (params.ModelSummaryResults, error) {
	var out params.ModelSummaryResults
	for _, m := range sorted(c.Controller.Models) {
		out.Results = append(out.Results, params.ModelSummaryResult{Result: &params.ModelSummary{
			Name: m.Name, UUID: m.UUID, Type: "caas", ControllerUUID: c.Controller.UUID, ProviderType: "kubernetes",
			CloudTag: "cloud-" + cloudName, CloudRegion: "default", OwnerTag: names.NewUserTag(m.Owner).String(), Life: m.Life,
			Status:     modelStatus(m),
			UserAccess: params.ModelAdminAccess, SLA: &params.ModelSLAInfo{Level: "unsupported"}, AgentVersion: number(),
			Counts: []params.ModelEntityCount{{Entity: params.Units, Count: int64(len(m.Units))}},
		}})
	}
	return out, nil
}

// modelByTag is a model of the controller.
func (c *Conn) modelByTag(tag string) (*model.Model, error) {
	uuid, err := facade.TagName(tag, names.ModelTagKind)
	if err != nil {
		return nil, err
	}
	if m := c.Controller.Models[uuid]; m != nil {
		return m, nil
	}
	return nil, errors.NotFoundf("model %q", uuid)
}

func modelInfos(c *Conn, args params.Entities) (params.ModelInfoResults, error) {
	var out params.ModelInfoResults
	for _, e := range args.Entities {
		var one params.ModelInfoResult
		if m, err := c.modelByTag(e.Tag); err != nil {
			one.Error = facade.Error(err)
		} else {
			info := c.modelInfo(m)
			one.Result = &info
		}
		out.Results = append(out.Results, one)
	}
	return out, nil
}

func modelStatuses(c *Conn, args params.Entities) (params.ModelStatusResults, error) {
	var out params.ModelStatusResults
	for _, e := range args.Entities {
		var one params.ModelStatus
		if m, err := c.modelByTag(e.Tag); err != nil {
			one.Error = facade.Error(err)
		} else {
			one = params.ModelStatus{
				ModelTag: e.Tag, Type: "caas", OwnerTag: names.NewUserTag(m.Owner).String(), Life: m.Life,
				ApplicationCount: len(m.Apps), UnitCount: len(m.Units),
			}
			for _, app := range sorted(m.Apps) {
				one.Applications = append(one.Applications, params.ModelApplicationInfo{Name: app.Name})
			}
		}
		out.Results = append(out.Results, one)
	}
	return out, nil
}

// destroyModels lets models die, their agents' last hooks first. With force it removes them with all that is in them at
// once, as Juju does with --force --no-wait.
func destroyModels(c *Conn, args params.DestroyModelsParams) (params.ErrorResults, error) {
	return facade.Each(args.Models, func(arg params.DestroyModelParams) error {
		m, err := c.modelByTag(arg.ModelTag)
		if err != nil {
			return err
		}
		c.Controller.DestroyModel(m, arg.Force != nil && *arg.Force)
		return nil
	}), nil
}

// modelStatus is what a model shows of itself.
func modelStatus(m *model.Model) params.EntityStatus {
	if m.Life != life.Alive {
		return params.EntityStatus{Status: status.Destroying, Since: &m.Created}
	}
	return params.EntityStatus{Status: status.Available, Since: &m.Created}
}

// modelGet is the part of a model's configuration that means something here.
func modelGet(c *Conn, _ facade.None) (params.ModelConfigResults, error) {
	out := params.ModelConfigResults{Config: map[string]params.ConfigValue{}}
	for name, value := range map[string]any{
		"name": c.Model.Name, "uuid": c.Model.UUID, "type": "kubernetes", "agent-version": model.Version,
		"default-base": "", "image-stream": "released", "agent-stream": "released", "development": false,
		"logging-config": "<root>=INFO", "update-status-hook-interval": c.Model.UpdateStatus.String(), "automatically-retry-hooks": true,
		"firewall-mode": "instance", "charmhub-url": "https://api.charmhub.io", "secret-backend": "auto",
		"ssl-hostname-verification": true, "test-mode": false,
	} {
		out.Config[name] = params.ConfigValue{Value: value, Source: "default"}
	}
	return out, nil
}

func modelConstraints(*Conn, facade.None) (params.GetConstraintsResults, error) {
	return params.GetConstraintsResults{}, nil
}

// sequences tell a bundle's deployment the number that an application's next unit will have.
func sequences(c *Conn, _ facade.None) (params.ModelSequencesResult, error) {
	out := params.ModelSequencesResult{Sequences: map[string]int{}}
	for _, app := range c.Model.Apps {
		out.Sequences["application-"+app.Name] = app.Scale
	}
	return out, nil
}
