package agent

import (
	"fmt"
	"strings"
	"time"

	"github.com/juju/errors"
	apiservererrors "github.com/juju/juju/apiserver/errors"
	"github.com/juju/juju/core/secrets"
	"github.com/juju/juju/rpc/params"
	"github.com/juju/names/v5"

	"github.com/charmarr/charmarr-go/tests/lab/juju/facade"
	"github.com/charmarr/charmarr-go/tests/lab/juju/model"
)

var secretMethods = map[string]Handler{
	"SecretsManager.CreateSecretURIs":                  facade.Method(createSecretURIs),
	"SecretsManager.GetSecretBackendConfigs":           facade.Method(secretBackends),
	"SecretsManager.GetSecretContentInfo":              facade.Method(secretContents),
	"SecretsManager.GetSecretMetadata":                 facade.Method(ownSecrets),
	"SecretsManager.GetConsumerSecretsRevisionInfo":    facade.Method(consumedRevisions),
	"SecretsManager.WatchConsumedSecretsChanges":       watchKeys(consumedSecrets),
	"SecretsManager.WatchObsolete":                     facade.Method(watchObsolete),
	"SecretsManager.WatchSecretsRotationChanges":       facade.Method(watchNothingDue),
	"SecretsManager.WatchSecretRevisionsExpiryChanges": facade.Method(watchNothingDue),
	"SecretsDrain.GetSecretsToDrain":                   facade.Method(func(*Conn, facade.None) (params.ListSecretResults, error) { return params.ListSecretResults{}, nil }),
	"SecretsDrain.WatchSecretBackendChanged":           never,
}

// internal is the backend that keeps secrets in the controller itself: with it an agent sends and gets contents as data.
const internal = "controller"

func createSecretURIs(_ *Conn, arg params.CreateSecretURIsArg) (results[params.StringResult], error) {
	var out results[params.StringResult]
	for range arg.Count {
		out.Results = append(out.Results, params.StringResult{Result: secrets.NewURI().String()})
	}
	return out, nil
}

func secretBackends(c *Conn, _ params.SecretBackendArgs) (params.SecretBackendConfigResults, error) {
	return params.SecretBackendConfigResults{
		ActiveID: c.Controller.UUID,
		Results: map[string]params.SecretBackendConfigResult{c.Controller.UUID: {
			ControllerUUID: c.Controller.UUID, ModelUUID: c.Model.UUID, ModelName: c.Model.Name,
			Config: params.SecretBackendConfig{BackendType: internal},
		}},
	}, nil
}

// find is the secret of a URI, or of a label: its owner's, or the one that this unit gave it as a reader.
func (c *Conn) find(uri, label string) (*model.Secret, error) {
	if uri != "" {
		parsed, err := secrets.ParseURI(uri)
		switch {
		case err != nil:
			return nil, err
		case !parsed.IsLocal(c.Model.UUID):
			return nil, facade.NotDone("SecretsManager", "GetSecretContentInfo across models")
		}
		if s := c.Model.Secrets[parsed.ID]; s != nil {
			return s, nil
		}
		return nil, errors.NotFoundf("secret %q", parsed.ID)
	}
	for _, s := range c.Model.Secrets {
		if label != "" && ((c.owns(s) && s.Label == label) || s.Consumers[c.Unit].Label == label) {
			return s, nil
		}
	}
	return nil, errors.NotFoundf("consumer label %q", label)
}

// mayRead holds for the owner, its units, and the applications and units it was granted to.
func (c *Conn) mayRead(s *model.Secret) bool {
	return c.owns(s) || s.Grants[c.App] != "" || s.Grants[c.Unit] != ""
}

func latest(s *model.Secret) model.Revision { return s.Revisions[len(s.Revisions)-1] }

func secretContents(c *Conn, args params.GetSecretContentArgs) (results[params.SecretContentResult], error) {
	return each(args.Args, func(arg params.GetSecretContentArg) params.SecretContentResult {
		data, err := c.content(arg)
		return params.SecretContentResult{Content: params.SecretContentParams{Data: data}, Error: facade.Error(err)}
	})
}

// content is what secret-get shows: the revision that the unit tracks, from its first look on, or the newest, to look
// at only (peek) or to track from now on (refresh).
func (c *Conn) content(arg params.GetSecretContentArg) (map[string]string, error) {
	s, err := c.find(arg.URI, arg.Label)
	if err != nil {
		return nil, err
	}
	if !c.mayRead(s) {
		return nil, apiservererrors.ErrPerm
	}
	tracked, known := s.Consumers[c.Unit]
	if arg.URI != "" && arg.Label != "" && !c.owns(s) {
		tracked.Label = arg.Label
	}
	shown := tracked.Revision
	if !known || arg.Refresh || arg.Peek {
		shown = latest(s).Number
	}
	if !known || arg.Refresh {
		tracked.Revision = shown
	}
	if s.Consumers == nil {
		s.Consumers = map[string]model.Consumer{}
	}
	s.Consumers[c.Unit] = tracked
	for _, r := range s.Revisions {
		if r.Number == shown {
			return r.Data, nil
		}
	}
	return nil, errors.NotFoundf("secret revision %d for %q", shown, s.ID)
}

// consumedSecrets are those the unit reads that have something newer than it tracks: each is told by its URI.
func consumedSecrets(c *Conn, u *model.Unit) map[string]any {
	out := map[string]any{}
	for _, s := range c.Model.Secrets {
		if tracked, ok := s.Consumers[u.Name]; ok && latest(s).Number > tracked.Revision {
			uri := (&secrets.URI{ID: s.ID}).String()
			out[fmt.Sprint(uri, latest(s).Number)] = text(uri)
		}
	}
	return out
}

func consumedRevisions(c *Conn, args params.GetSecretConsumerInfoArgs) (results[params.SecretConsumerInfoResult], error) {
	return each(args.URIs, func(uri string) params.SecretConsumerInfoResult {
		s, err := c.find(uri, "")
		switch {
		case err != nil:
			return params.SecretConsumerInfoResult{Error: facade.Error(err)}
		case !c.mayRead(s):
			return params.SecretConsumerInfoResult{Error: facade.Error(apiservererrors.ErrPerm)}
		}
		tracked, ok := s.Consumers[c.Unit]
		if !ok {
			return params.SecretConsumerInfoResult{Error: facade.Error(errors.NotFoundf("consumer %q metadata for secret %q", c.Unit, s.ID))}
		}
		if tracked.Label == "" && c.owns(s) {
			tracked.Label = s.Label
		}
		return params.SecretConsumerInfoResult{Revision: latest(s).Number, Label: tracked.Label}
	})
}

// ownSecrets are the unit's, and its application's if it leads.
func ownSecrets(c *Conn, _ facade.None) (params.ListSecretResults, error) {
	var out params.ListSecretResults
	for _, s := range c.Model.Secrets {
		if !c.mayManage(s.OwnerTag) {
			continue
		}
		one := params.ListSecretResult{
			URI: (&secrets.URI{ID: s.ID}).String(), Version: 1, OwnerTag: s.OwnerTag, Label: s.Label, Description: s.Description,
			LatestRevision: latest(s).Number, CreateTime: s.Created, UpdateTime: s.Updated,
		}
		for _, r := range s.Revisions {
			one.Revisions = append(one.Revisions, params.SecretRevision{Revision: r.Number})
		}
		out.Results = append(out.Results, one)
	}
	return out, nil
}

// watchObsolete tells the revisions of own secrets that nobody reads any more, as "uri/revision".
func watchObsolete(c *Conn, args params.Entities) (params.StringsWatchResult, error) {
	return c.strings(func() map[string]any {
		out := map[string]any{}
		for _, s := range c.Model.Secrets {
			for _, e := range args.Entities {
				if s.OwnerTag != e.Tag {
					continue
				}
				for _, r := range s.Revisions[:len(s.Revisions)-1] {
					if !tracks(s, r.Number) {
						out[fmt.Sprintf("%s/%d", (&secrets.URI{ID: s.ID}).String(), r.Number)] = true
					}
				}
			}
		}
		return out
	}), nil
}

func tracks(s *model.Secret, revision int) bool {
	for _, have := range s.Consumers {
		if have.Revision == revision {
			return true
		}
	}
	return false
}

func watchNothingDue(c *Conn, _ params.Entities) (params.SecretTriggerWatchResult, error) {
	return params.SecretTriggerWatchResult{WatcherId: c.notify(func() any { return nil })}, nil
}

// mayManage holds for a unit's own secrets, and for an application's if the unit leads it.
func (c *Conn) mayManage(owner string) bool {
	return owner == names.NewUnitTag(c.Unit).String() || (owner == names.NewApplicationTag(c.App).String() && c.leads())
}

// managed is a secret that the unit may change.
func (c *Conn) managed(uri string) (*model.Secret, error) {
	s, err := c.find(uri, "")
	if err == nil && !c.mayManage(s.OwnerTag) {
		err = apiservererrors.ErrPerm
	}
	return s, err
}

// checkSecrets prepares secret-add, -set, -grant, -revoke and -remove. A label twice is found only here, after the
// hook: then all that the hook did is lost.
func (c *Conn) checkSecrets(arg params.CommitHookChangesArg) (changes []func(), err error) {
	for _, create := range arg.SecretCreates {
		change, err := c.createSecret(create)
		if err != nil {
			return nil, err
		}
		changes = append(changes, change)
	}
	created := func(uri string) bool {
		for _, create := range arg.SecretCreates {
			if create.URI != nil && *create.URI == uri {
				return true
			}
		}
		return false
	}
	mayChange := func(uri string) error {
		if created(uri) {
			return nil
		}
		_, err := c.managed(uri)
		return err
	}
	for _, update := range arg.SecretUpdates {
		if err := mayChange(update.URI); err != nil {
			return nil, err
		}
		changes = append(changes, func() { c.updateSecret(update) })
	}
	for _, uri := range arg.TrackLatest {
		changes = append(changes, func() {
			if s, err := c.find(uri, ""); err == nil && s.Consumers != nil {
				s.Consumers[c.Unit] = model.Consumer{Revision: latest(s).Number, Label: s.Consumers[c.Unit].Label}
			}
		})
	}
	for _, grant := range arg.SecretGrants {
		if err := mayChange(grant.URI); err != nil {
			return nil, err
		}
		changes = append(changes, func() { c.grantSecret(grant, true) })
	}
	for _, revoke := range arg.SecretRevokes {
		if err := mayChange(revoke.URI); err != nil {
			return nil, err
		}
		changes = append(changes, func() { c.grantSecret(revoke, false) })
	}
	for _, gone := range arg.SecretDeletes {
		s, err := c.managed(gone.URI)
		if err != nil {
			return nil, err
		}
		changes = append(changes, func() { removeRevisions(c.Model, s, gone.Revisions) })
	}
	return changes, nil
}

func (c *Conn) createSecret(arg params.CreateSecretArg) (func(), error) {
	switch {
	case arg.URI == nil || *arg.URI == "":
		return nil, errors.NotValidf("secret without a URI")
	case !c.mayManage(arg.OwnerTag):
		return nil, apiservererrors.ErrPerm
	case len(arg.Content.Data) == 0:
		return nil, errors.NotValidf("empty secret value")
	}
	uri, err := secrets.ParseURI(*arg.URI)
	if err != nil {
		return nil, err
	}
	label := ""
	set(&label, arg.Label)
	for _, s := range c.Model.Secrets {
		if label != "" && s.Label == label && s.OwnerTag == arg.OwnerTag {
			return nil, errors.AlreadyExistsf("secret with label %q", label)
		}
	}
	return func() {
		now := time.Now()
		s := &model.Secret{
			ID: uri.ID, OwnerTag: arg.OwnerTag, Label: label, Grants: map[string]string{}, Consumers: map[string]model.Consumer{},
			Revisions: []model.Revision{{Number: 1, Data: arg.Content.Data, Created: now}}, Created: now, Updated: now,
		}
		set(&s.Description, arg.Description)
		c.Model.Secrets[s.ID] = s
	}, nil
}

func (c *Conn) updateSecret(arg params.UpdateSecretArg) {
	s, err := c.find(arg.URI, "")
	if err != nil {
		return
	}
	set(&s.Label, arg.Label)
	set(&s.Description, arg.Description)
	s.Updated = time.Now()
	if len(arg.Content.Data) > 0 {
		s.Revisions = append(s.Revisions, model.Revision{Number: latest(s).Number + 1, Data: arg.Content.Data, Created: s.Updated})
	}
}

func (c *Conn) grantSecret(arg params.GrantRevokeSecretArg, grant bool) {
	s, err := c.find(arg.URI, "")
	if err != nil {
		return
	}
	for _, subject := range arg.SubjectTags {
		tag, err := names.ParseTag(subject)
		if err != nil {
			continue
		}
		delete(s.Grants, tag.Id())
		if grant {
			s.Grants[tag.Id()] = strings.ToLower(arg.Role)
		}
	}
}

// removeRevisions takes revisions of a secret away, or all of it.
func removeRevisions(m *model.Model, s *model.Secret, numbers []int) {
	var kept []model.Revision
	for _, r := range s.Revisions {
		gone := len(numbers) == 0
		for _, n := range numbers {
			gone = gone || n == r.Number
		}
		if !gone {
			kept = append(kept, r)
		}
	}
	if s.Revisions = kept; len(kept) == 0 {
		delete(m.Secrets, s.ID)
	}
}
