package agent

import (
	"fmt"
	"strings"

	"github.com/juju/errors"
	apiservererrors "github.com/juju/juju/apiserver/errors"
	"github.com/juju/juju/core/secrets"
	"github.com/juju/juju/rpc/params"
	"github.com/juju/names/v5"

	"github.com/charmarr/charmarr-go/tests/lab/juju/facade"
	"github.com/charmarr/charmarr-go/tests/lab/juju/model"
)

// across is the URI of a secret of another model, if one is meant: by a URI, or by a label that this unit gave it.
func (c *Conn) across(uri, label string) *secrets.URI {
	if uri == "" {
		for read, consumers := range c.Model.Consumed {
			if label != "" && consumers[c.Unit].Label == label {
				return &read
			}
		}
		return nil
	}
	parsed, err := secrets.ParseURI(uri)
	if err != nil || parsed.IsLocal(c.Model.UUID) {
		return nil
	}
	return parsed
}

// contentAcross is what secret-get shows of another model's secret. What the unit tracks is kept here, and noted there
// when it looks for the newest, so that the owner sees which revisions are read.
func (c *Conn) contentAcross(uri *secrets.URI, arg params.GetSecretContentArg) (map[string]string, error) {
	s, reader, err := c.granted(uri)
	if err != nil {
		return nil, err
	}
	tracked, known := c.Model.Consumed[*uri][c.Unit]
	refresh, shown := arg.Refresh || !known, tracked.Revision
	if refresh || arg.Peek {
		shown = s.Latest().Number
		if _, noted := s.Consumers[reader]; refresh || !noted {
			s.Consumers[reader] = model.Consumer{Revision: shown}
		}
	}
	data, err := s.Content(shown)
	if err != nil {
		return nil, err
	}
	if arg.URI != "" {
		if err := c.relabelRead(&tracked, arg.Label); err != nil {
			return nil, err
		}
	}
	if refresh {
		tracked.Revision = shown
	}
	if !known {
		tracked.Latest = shown
	}
	c.Model.Consume(*uri, c.Unit, tracked)
	return data, nil
}

// granted is another model's secret that the unit may read, and the unit's name there: the secret was granted to its
// application in a relation across the two models, and that is still there at both sides.
func (c *Conn) granted(uri *secrets.URI) (s *model.Secret, reader string, err error) {
	there := c.Controller.Models[uri.SourceUUID]
	if there == nil { // with no controller but this one, Juju looks last for where the model has gone
		return nil, "", errors.Annotate(errors.NotFoundf("migration"), "creating remote secret client")
	}
	app := names.NewApplicationTag(c.App)
	proxy := c.Controller.Token(c.Model, c.App)
	if proxy == "" {
		return nil, "", errors.Annotatef(errors.NotFoundf("token for %s", names.ReadableString(app)), "getting remote token for %q", c.App)
	}
	s = there.Secrets[uri.ID]
	if s == nil {
		return nil, "", apiservererrors.ErrPerm
	}
	scope := s.Grants[names.NewApplicationTag(proxy).String()].Scope
	for _, r := range there.Relations {
		switch {
		case names.NewRelationTag(r.Key).String() != scope || !r.Has(proxy):
		case c.Model.Relations[r.Twin.ID] != r.Twin:
			return nil, "", errors.Annotatef(errors.NotFoundf("entity for token %q", scope), "getting remote entity for %q", scope)
		default:
			return s, proxy + strings.TrimPrefix(c.Unit, c.App), nil
		}
	}
	return nil, "", apiservererrors.ErrPerm
}

// consumedAcross are the secrets of other models of which the unit has heard something new. Juju tells that also to who
// has looked meanwhile, and to who begins with a second revision or a later one.
func consumedAcross(c *Conn, u *model.Unit) map[string]any {
	out := map[string]any{}
	for read, consumers := range c.Model.Consumed {
		if tracked, ok := consumers[u.Name]; ok && tracked.Latest > 1 {
			out[fmt.Sprint(read.String(), tracked.Latest)] = text(read.String())
		}
	}
	return out
}

// revisionAcross is the newest revision that the unit has heard of. As in Juju it needs no grant for that.
func (c *Conn) revisionAcross(uri *secrets.URI) params.SecretConsumerInfoResult {
	tracked, ok := c.Model.Consumed[*uri][c.Unit]
	if !ok {
		return params.SecretConsumerInfoResult{Error: facade.Error(errors.NotFoundf("consumer %q metadata for secret %q", names.NewUnitTag(c.Unit), uri))}
	}
	return params.SecretConsumerInfoResult{Revision: tracked.Latest, Label: tracked.Label}
}
