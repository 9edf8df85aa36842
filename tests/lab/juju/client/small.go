package client

import (
	"github.com/juju/juju/rpc/params"
	"github.com/juju/names/v5"

	"github.com/charmarr/charmarr-go/tests/lab/juju/facade"
)

// smallMethods are the facades of which the juju program wants little more than an answer.
var smallMethods = map[string]Handler{
	"Pinger.Ping":                 facade.Read(func(*Conn, facade.None) (facade.None, error) { return facade.None{}, nil }),
	"Annotations.Get":             facade.Read(annotations),
	"Annotations.Set":             facade.Read(setAnnotations),
	"Block.List":                  facade.Read(func(*Conn, facade.None) (params.BlockResults, error) { return params.BlockResults{}, nil }),
	"Spaces.ListSpaces":           facade.Read(listSpaces),
	"Cloud.Clouds":                facade.Read(clouds),
	"Cloud.Cloud":                 facade.Read(cloudByTag),
	"Cloud.UserCredentials":       facade.Read(userCredentials),
	"Controller.ControllerConfig": facade.Read(controllerConfig),
	"SecretBackends.ListSecretBackends": facade.Read(func(*Conn, params.ListSecretBackendsArgs) (params.ListSecretBackendsResults, error) {
		return params.ListSecretBackendsResults{}, nil
	}),
}

func annotations(_ *Conn, args params.Entities) (params.AnnotationsGetResults, error) {
	var out params.AnnotationsGetResults
	for _, e := range args.Entities {
		out.Results = append(out.Results, params.AnnotationsGetResult{EntityTag: e.Tag})
	}
	return out, nil
}

func setAnnotations(_ *Conn, args params.AnnotationsSet) (params.ErrorResults, error) {
	return facade.Each(args.Annotations, func(params.EntityAnnotations) error { return notDone("annotations") }), nil
}

// listSpaces refuses as a Kubernetes model does; a bundle's deployment expects that.
func listSpaces(*Conn, facade.None) (params.ListSpacesResults, error) {
	return params.ListSpacesResults{}, &params.Error{Code: params.CodeNotSupported, Message: "spaces not supported"}
}

func labCloud() params.Cloud {
	return params.Cloud{
		Type: "kubernetes", AuthTypes: []string{"empty"}, HostCloudRegion: "lab/default",
		Regions: []params.CloudRegion{{Name: "default"}},
	}
}

func clouds(*Conn, facade.None) (params.CloudsResult, error) {
	return params.CloudsResult{Clouds: map[string]params.Cloud{"cloud-" + cloudName: labCloud()}}, nil
}

func cloudByTag(_ *Conn, args params.Entities) (params.CloudResults, error) {
	var out params.CloudResults
	for _, e := range args.Entities {
		var one params.CloudResult
		if name, err := facade.TagName(e.Tag, names.CloudTagKind); err != nil {
			one.Error = facade.Error(err)
		} else if name != cloudName {
			one.Error = facade.Error(notDone("clouds other than " + cloudName))
		} else {
			cloud := labCloud()
			one.Cloud = &cloud
		}
		out.Results = append(out.Results, one)
	}
	return out, nil
}

func userCredentials(_ *Conn, args params.UserClouds) (params.StringsResults, error) {
	return params.StringsResults{Results: make([]params.StringsResult, len(args.UserClouds))}, nil
}

func controllerConfig(c *Conn, _ facade.None) (params.ControllerConfigResult, error) {
	return params.ControllerConfigResult{Config: map[string]any{
		"controller-uuid": c.Controller.UUID, "ca-cert": c.CACert, "controller-name": cloudName,
	}}, nil
}
