package client

import (
	"github.com/juju/juju/rpc/params"
	"github.com/juju/names/v5"
)

// smallMethods are the facades of which the juju program wants little more than an answer.
var smallMethods = map[string]Handler{
	"Pinger.Ping":                 method(func(*Conn, none) (none, error) { return none{}, nil }),
	"Annotations.Get":             method(annotations),
	"Annotations.Set":             method(setAnnotations),
	"Block.List":                  method(func(*Conn, none) (params.BlockResults, error) { return params.BlockResults{}, nil }),
	"Spaces.ListSpaces":           method(listSpaces),
	"Cloud.Clouds":                method(clouds),
	"Cloud.Cloud":                 method(cloudByTag),
	"Cloud.UserCredentials":       method(userCredentials),
	"Controller.ControllerConfig": method(controllerConfig),
	"SecretBackends.ListSecretBackends": method(func(*Conn, params.ListSecretBackendsArgs) (params.ListSecretBackendsResults, error) {
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
	return each(args.Annotations, func(params.EntityAnnotations) error { return notDone("annotations") }), nil
}

// listSpaces refuses as a Kubernetes model does; a bundle's deployment expects that.
func listSpaces(*Conn, none) (params.ListSpacesResults, error) {
	return params.ListSpacesResults{}, &params.Error{Code: params.CodeNotSupported, Message: "spaces not supported"}
}

func labCloud() params.Cloud {
	return params.Cloud{
		Type: "kubernetes", AuthTypes: []string{"empty"}, HostCloudRegion: "lab/default",
		Regions: []params.CloudRegion{{Name: "default"}},
	}
}

func clouds(*Conn, none) (params.CloudsResult, error) {
	return params.CloudsResult{Clouds: map[string]params.Cloud{"cloud-" + cloudName: labCloud()}}, nil
}

func cloudByTag(_ *Conn, args params.Entities) (params.CloudResults, error) {
	var out params.CloudResults
	for _, e := range args.Entities {
		var one params.CloudResult
		if name, err := tagName(e.Tag, names.CloudTagKind); err != nil {
			one.Error = serverError(err)
		} else if name != cloudName {
			one.Error = serverError(notDone("clouds other than " + cloudName))
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

func controllerConfig(c *Conn, _ none) (params.ControllerConfigResult, error) {
	return params.ControllerConfigResult{Config: map[string]any{
		"controller-uuid": c.Controller.UUID, "ca-cert": c.CACert, "controller-name": cloudName,
	}}, nil
}
