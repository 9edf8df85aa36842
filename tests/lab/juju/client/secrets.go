package client

import (
	"maps"
	"slices"
	"time"

	"github.com/juju/errors"
	"github.com/juju/juju/core/secrets"
	"github.com/juju/juju/rpc/params"
	"github.com/juju/names/v5"

	"github.com/charmarr/charmarr-go/tests/lab/juju/facade"
	"github.com/charmarr/charmarr-go/tests/lab/juju/model"
)

var secretsMethods = map[string]Handler{
	"Secrets.ListSecrets":   facade.Read(listSecrets),
	"Secrets.CreateSecrets": facade.Method(createSecrets),
	"Secrets.UpdateSecrets": facade.Method(updateSecrets),
	"Secrets.RemoveSecrets": facade.Method(removeSecrets),
	"Secrets.GrantSecret":   facade.Method(grantSecret),
	"Secrets.RevokeSecret":  facade.Method(revokeSecret),
}

func listSecrets(c *Conn, args params.ListSecretsArgs) (params.ListSecretResults, error) {
	var out params.ListSecretResults
	var wanted *model.Secret
	if args.Filter.URI != nil {
		s, err := c.secret(*args.Filter.URI, "")
		if err != nil {
			return out, err
		}
		wanted = s
	}
	for _, s := range sorted(c.Model.Secrets) {
		if (wanted != nil && s != wanted) ||
			(args.Filter.Label != nil && s.Label != *args.Filter.Label) ||
			(args.Filter.OwnerTag != nil && s.OwnerTag != *args.Filter.OwnerTag) {
			continue
		}
		one, err := secretResult(s, args.ShowSecrets, args.Filter.Revision)
		if err != nil {
			return out, err
		}
		out.Results = append(out.Results, one)
	}
	return out, nil
}

func secretResult(s *model.Secret, reveal bool, only *int) (params.ListSecretResult, error) {
	out := params.ListSecretResult{
		URI:            (&secrets.URI{ID: s.ID}).String(),
		Version:        1,
		OwnerTag:       s.OwnerTag,
		Description:    s.Description,
		Label:          s.Label,
		LatestRevision: s.Latest().Number,
		CreateTime:     s.Created,
		UpdateTime:     s.Updated,
	}
	for _, subject := range slices.Sorted(maps.Keys(s.Grants)) {
		g := s.Grants[subject]
		out.Access = append(out.Access, params.AccessInfo{TargetTag: subject, ScopeTag: g.Scope, Role: g.Role})
	}
	shown := s.Latest().Number
	if only != nil {
		shown = *only
	}
	internal := "internal"
	found := false
	for _, r := range s.Revisions {
		if only == nil || r.Number == *only {
			out.Revisions = append(out.Revisions, params.SecretRevision{Revision: r.Number, BackendName: &internal, CreateTime: r.Created, UpdateTime: r.Created})
		}
		if r.Number == shown {
			found = true
			if reveal {
				out.Value = &params.SecretValueResult{Data: r.Data}
			}
		}
	}
	if !found {
		return out, errors.NotFoundf("secret revision %d for %q", shown, out.URI)
	}
	return out, nil
}

// owner is the tag under which the user's own secrets stand: they are the model's.
func (c *Conn) owner() string { return names.NewModelTag(c.Model.UUID).String() }

// secret is one of the model's by its URI or else by the name its user gave it.
func (c *Conn) secret(uri, name string) (*model.Secret, error) {
	if uri != "" {
		parsed, err := secrets.ParseURI(uri)
		if err != nil {
			return nil, err
		}
		if s := c.Model.Secrets[parsed.ID]; s != nil {
			return s, nil
		}
		return nil, errors.NotFoundf("secret %q", parsed.ID)
	}
	if s := c.userSecret(name); s != nil {
		return s, nil
	}
	return nil, errors.NotFoundf("secret %q", name)
}

func (c *Conn) userSecret(name string) *model.Secret {
	for _, s := range c.Model.Secrets {
		if name != "" && s.Label == name && s.OwnerTag == c.owner() {
			return s
		}
	}
	return nil
}

// ownSecret is a secret of the user's, the only kind that a user may change.
func (c *Conn) ownSecret(uri, name string) (*model.Secret, error) {
	s, err := c.secret(uri, name)
	if err != nil {
		return nil, err
	}
	if s.OwnerTag != c.owner() {
		return nil, &params.Error{Code: params.CodeUnauthorized, Message: "permission denied"}
	}
	return s, nil
}

func createSecrets(c *Conn, args params.CreateSecretArgs) (params.StringResults, error) {
	var out params.StringResults
	for _, arg := range args.Args {
		uri, err := c.createSecret(arg)
		out.Results = append(out.Results, params.StringResult{Result: uri, Error: facade.Error(err)})
	}
	return out, nil
}

func (c *Conn) createSecret(arg params.CreateSecretArg) (string, error) {
	if len(arg.Content.Data) == 0 {
		return "", errors.NotValidf("empty secret value")
	}
	uri, now := secrets.NewURI(), time.Now()
	s := &model.Secret{ID: uri.ID, OwnerTag: c.owner(), Created: now, Updated: now, Grants: map[string]model.Grant{}, Consumers: map[string]model.Consumer{}}
	if err := c.describeSecret(s, arg.UpsertSecretArg); err != nil {
		return "", err
	}
	s.Revisions = []model.Revision{{Number: 1, Data: arg.Content.Data, Created: now}}
	c.Model.Secrets[s.ID] = s
	return uri.String(), nil
}

// describeSecret gives a secret its name and description; a name is one secret's only.
func (c *Conn) describeSecret(s *model.Secret, arg params.UpsertSecretArg) error {
	if arg.Label != nil {
		if other := c.userSecret(*arg.Label); other != nil && other != s {
			return errors.AlreadyExistsf("secret with name %q", *arg.Label)
		}
		s.Label = *arg.Label
	}
	if arg.Description != nil {
		s.Description = *arg.Description
	}
	return nil
}

func updateSecrets(c *Conn, args params.UpdateUserSecretArgs) (params.ErrorResults, error) {
	return facade.Each(args.Args, func(arg params.UpdateUserSecretArg) error {
		if err := arg.Validate(); err != nil {
			return err
		}
		if arg.AutoPrune != nil && *arg.AutoPrune {
			return notDone("pruning of secrets")
		}
		s, err := c.ownSecret(arg.URI, arg.ExistingLabel)
		if err != nil {
			return err
		}
		if err := c.describeSecret(s, arg.UpsertSecretArg); err != nil {
			return err
		}
		c.Controller.Revise(c.Model, s, arg.Content.Data)
		return nil
	}), nil
}

func removeSecrets(c *Conn, args params.DeleteSecretArgs) (params.ErrorResults, error) {
	return facade.Each(args.Args, func(arg params.DeleteSecretArg) error {
		s, err := c.ownSecret(arg.URI, arg.Label)
		if err != nil {
			return err
		}
		var kept []model.Revision
		for _, r := range s.Revisions {
			if len(arg.Revisions) > 0 && !slices.Contains(arg.Revisions, r.Number) {
				kept = append(kept, r)
			}
		}
		if s.Revisions = kept; len(kept) == 0 {
			delete(c.Model.Secrets, s.ID)
		}
		return nil
	}), nil
}

func grantSecret(c *Conn, arg params.GrantRevokeUserSecretArg) (params.ErrorResults, error) {
	return c.changeGrants(arg, func(s *model.Secret, app names.Tag) error {
		return c.Model.Grant(s, app, names.NewModelTag(c.Model.UUID), secrets.RoleView)
	})
}

func revokeSecret(c *Conn, arg params.GrantRevokeUserSecretArg) (params.ErrorResults, error) {
	return c.changeGrants(arg, func(s *model.Secret, app names.Tag) error {
		delete(s.Grants, app.String())
		return nil
	})
}

func (c *Conn) changeGrants(arg params.GrantRevokeUserSecretArg, change func(*model.Secret, names.Tag) error) (params.ErrorResults, error) {
	s, err := c.ownSecret(arg.URI, arg.Label)
	if err != nil {
		return params.ErrorResults{}, err
	}
	return facade.Each(arg.Applications, func(name string) error {
		err := change(s, names.NewApplicationTag(name))
		return errors.Annotatef(err, "cannot change access to %q for %q", (&secrets.URI{ID: s.ID}).String(), name)
	}), nil
}
