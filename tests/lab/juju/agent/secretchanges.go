package agent

import (
	"slices"
	"strings"
	"time"

	"github.com/juju/errors"
	"github.com/juju/juju/core/secrets"
	"github.com/juju/juju/rpc/params"
	"github.com/juju/names/v5"

	"github.com/charmarr/charmarr-go/tests/lab/juju/facade"
	"github.com/charmarr/charmarr-go/tests/lab/juju/model"
)

// changeSecrets does what secret-add, -set, -grant, -revoke and -remove asked for. Each kind of call is done for all
// secrets, those that fail left out; then a failure keeps the kinds after it from being done at all.
func (c *Conn) changeSecrets(arg params.CommitHookChangesArg) error {
	for _, calls := range []struct {
		doing string
		call  func() params.ErrorResults
	}{
		{doing: "creating secrets", call: func() params.ErrorResults { return facade.Each(arg.SecretCreates, c.createSecret) }},
		{doing: "updating secrets", call: func() params.ErrorResults { return facade.Each(arg.SecretUpdates, c.updateSecret) }},
		{doing: "updating secret tracked revisions", call: func() params.ErrorResults { return facade.Each(arg.TrackLatest, c.trackLatest) }},
		{doing: "granting secrets access", call: func() params.ErrorResults { return facade.Each(arg.SecretGrants, c.grantSecret) }},
		{doing: "revoking secrets access", call: func() params.ErrorResults { return facade.Each(arg.SecretRevokes, c.revokeSecret) }},
		{doing: "removing secrets", call: func() params.ErrorResults { return facade.Each(arg.SecretDeletes, c.removeSecret) }},
	} {
		if err := calls.call().Combine(); err != nil {
			return errors.Annotate(err, calls.doing)
		}
	}
	return nil
}

// labelTaken is the error for a label twice in the words of the API.
func labelTaken(err error, label *string) error {
	if errors.Is(err, model.LabelExists) {
		return errors.AlreadyExistsf("secret with label %q", *label)
	}
	return err
}

// neverDue refuses what would need a clock.
func neverDue(arg params.UpsertSecretArg) error {
	if arg.ExpireTime != nil || arg.RotatePolicy.WillRotate() {
		return errors.NewNotImplemented(nil, "the lab controller does not do secrets that expire or rotate")
	}
	return nil
}

func (c *Conn) createSecret(arg params.CreateSecretArg) error {
	if len(arg.Content.Data) == 0 {
		return errors.NotValidf("empty secret value")
	}
	owner, err := names.ParseTag(arg.OwnerTag)
	if err != nil {
		return err
	}
	if err := c.asManager(arg.OwnerTag); err != nil {
		return err
	}
	if err := neverDue(arg.UpsertSecretArg); err != nil {
		return err
	}
	if arg.URI == nil {
		return errors.NotValidf("secret without a URI")
	}
	uri, err := secrets.ParseURI(*arg.URI)
	if err != nil {
		return err
	}
	now := time.Now()
	s := &model.Secret{
		ID: uri.ID, OwnerTag: owner.String(), Grants: map[string]model.Grant{}, Consumers: map[string]model.Consumer{},
		Revisions: []model.Revision{{Number: 1, Data: arg.Content.Data, Created: now}}, Created: now, Updated: now,
	}
	if err := c.describe(s, arg.UpsertSecretArg); err != nil {
		return err
	}
	c.Model.Secrets[s.ID] = s
	return nil
}

// describe changes what is said of a secret.
func (c *Conn) describe(s *model.Secret, arg params.UpsertSecretArg) error {
	if arg.Label != nil {
		if err := c.relabel(s, *arg.Label); err != nil {
			return labelTaken(err, arg.Label)
		}
	}
	set(&s.Description, arg.Description)
	return nil
}

func (c *Conn) updateSecret(arg params.UpdateSecretArg) error {
	if arg.RotatePolicy == nil && arg.Description == nil && arg.ExpireTime == nil && arg.Label == nil && len(arg.Params)+len(arg.Content.Data) == 0 {
		return errors.New("at least one attribute to update must be specified")
	}
	s, err := c.managed(arg.URI)
	if err != nil {
		return err
	}
	if err := neverDue(arg.UpsertSecretArg); err != nil {
		return err
	}
	if err := c.describe(s, arg.UpsertSecretArg); err != nil {
		return err
	}
	c.Controller.Revise(c.Model, s, arg.Content.Data)
	return nil
}

func (c *Conn) trackLatest(uri string) error {
	s, err := c.find(uri, "")
	if err != nil {
		return err
	}
	s.Consumers[c.Unit] = model.Consumer{Revision: s.Latest().Number, Label: s.Consumers[c.Unit].Label}
	return nil
}

func (c *Conn) grantSecret(arg params.GrantRevokeSecretArg) error {
	return c.eachSubject(arg, func(s *model.Secret, subject names.Tag) error {
		scope, err := names.ParseTag(arg.ScopeTag)
		if err != nil {
			return err
		}
		return c.Model.Grant(s, subject, scope, secrets.SecretRole(strings.ToLower(arg.Role)))
	})
}

func (c *Conn) revokeSecret(arg params.GrantRevokeSecretArg) error {
	return c.eachSubject(arg, func(s *model.Secret, subject names.Tag) error {
		delete(s.Grants, subject.String())
		return nil
	})
}

func (c *Conn) eachSubject(arg params.GrantRevokeSecretArg, do func(*model.Secret, names.Tag) error) error {
	s, err := c.managed(arg.URI)
	if err != nil {
		return err
	}
	for _, text := range arg.SubjectTags {
		subject, err := names.ParseTag(text)
		if err != nil {
			return err
		}
		if err := do(s, subject); err != nil {
			return errors.Annotatef(err, "cannot change access to %q for %q", (&secrets.URI{ID: s.ID}).String(), text)
		}
	}
	return nil
}

// removeSecret takes revisions of a secret away, or all of it.
func (c *Conn) removeSecret(arg params.DeleteSecretArg) error {
	s, err := c.managed(arg.URI)
	if err != nil {
		return err
	}
	for _, n := range arg.Revisions {
		if !slices.ContainsFunc(s.Revisions, func(r model.Revision) bool { return r.Number == n }) {
			return errors.NotFoundf("revision %d for secret %q", n, arg.URI)
		}
	}
	s.Revisions = slices.DeleteFunc(s.Revisions, func(r model.Revision) bool {
		return len(arg.Revisions) == 0 || slices.Contains(arg.Revisions, r.Number)
	})
	if len(s.Revisions) == 0 {
		delete(c.Model.Secrets, s.ID)
	}
	return nil
}
