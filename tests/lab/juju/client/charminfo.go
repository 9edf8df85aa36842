package client

import (
	"github.com/juju/charm/v12"
	"github.com/juju/juju/rpc/params"
)

// charmParams says everything about a charm in the words of Juju's API.
func charmParams(url string, ch charm.Charm) params.Charm {
	out := params.Charm{
		Revision: ch.Revision(),
		URL:      url,
		Config:   params.ToCharmOptionMap(ch.Config()),
		Meta:     metaParams(ch.Meta()),
		Actions:  &params.CharmActions{ActionSpecs: map[string]params.CharmActionSpec{}},
		Manifest: &params.CharmManifest{},
	}
	if u, err := charm.ParseURL(url); err == nil {
		out.Revision = u.Revision
	}
	if ch.Actions() != nil {
		for name, spec := range ch.Actions().ActionSpecs {
			out.Actions.ActionSpecs[name] = params.CharmActionSpec{Description: spec.Description, Params: spec.Params}
		}
	}
	if ch.Manifest() != nil {
		for _, base := range ch.Manifest().Bases {
			out.Manifest.Bases = append(out.Manifest.Bases, params.CharmBase{
				Name: base.Name, Channel: base.Channel.String(), Architectures: base.Architectures,
			})
		}
	}
	return out
}

func metaParams(meta *charm.Meta) *params.CharmMeta {
	out := &params.CharmMeta{
		Name:           meta.Name,
		Summary:        meta.Summary,
		Description:    meta.Description,
		Subordinate:    meta.Subordinate,
		Provides:       relationsParams(meta.Provides),
		Requires:       relationsParams(meta.Requires),
		Peers:          relationsParams(meta.Peers),
		Categories:     meta.Categories,
		Tags:           meta.Tags,
		Series:         meta.Series,
		Terms:          meta.Terms,
		MinJujuVersion: meta.MinJujuVersion.String(),
		AssumesExpr:    meta.Assumes,
		CharmUser:      string(meta.CharmUser),
		Resources:      map[string]params.CharmResourceMeta{},
		Containers:     map[string]params.CharmContainer{},
		Storage:        map[string]params.CharmStorage{},
	}
	for name, r := range meta.Resources {
		out.Resources[name] = params.CharmResourceMeta{Name: r.Name, Type: r.Type.String(), Path: r.Path, Description: r.Description}
	}
	for name, c := range meta.Containers {
		container := params.CharmContainer{Resource: c.Resource, Uid: c.Uid, Gid: c.Gid}
		for _, m := range c.Mounts {
			container.Mounts = append(container.Mounts, params.CharmMount{Storage: m.Storage, Location: m.Location})
		}
		out.Containers[name] = container
	}
	for name, s := range meta.Storage {
		out.Storage[name] = params.CharmStorage{
			Name: s.Name, Description: s.Description, Type: string(s.Type), Shared: s.Shared, ReadOnly: s.ReadOnly,
			CountMin: s.CountMin, CountMax: s.CountMax, MinimumSize: s.MinimumSize, Location: s.Location, Properties: s.Properties,
		}
	}
	return out
}

func relationsParams(relations map[string]charm.Relation) map[string]params.CharmRelation {
	out := map[string]params.CharmRelation{}
	for name, r := range relations {
		out[name] = relationParams(r)
	}
	return out
}

func relationParams(r charm.Relation) params.CharmRelation {
	return params.CharmRelation{
		Name: r.Name, Role: string(r.Role), Interface: r.Interface, Optional: r.Optional, Limit: r.Limit, Scope: string(r.Scope),
	}
}
