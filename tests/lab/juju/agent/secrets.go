package agent

import (
	"fmt"
	"maps"

	"github.com/juju/errors"
	apiservererrors "github.com/juju/juju/apiserver/errors"
	"github.com/juju/juju/core/leadership"
	"github.com/juju/juju/core/secrets"
	"github.com/juju/juju/rpc/params"
	"github.com/juju/names/v5"

	"github.com/charmarr/charmarr-go/tests/lab/juju/facade"
	"github.com/charmarr/charmarr-go/tests/lab/juju/model"
)

var secretMethods = map[string]Handler{
	"SecretsManager.CreateSecretURIs":                  facade.Read(createSecretURIs),
	"SecretsManager.GetSecretBackendConfigs":           facade.Read(secretBackends),
	"SecretsManager.GetSecretContentInfo":              facade.Method(secretContents),
	"SecretsManager.GetSecretRevisionContentInfo":      facade.Read(revisionContents),
	"SecretsManager.GetSecretMetadata":                 facade.Read(ownSecrets),
	"SecretsManager.GetConsumerSecretsRevisionInfo":    facade.Read(consumedRevisions),
	"SecretsManager.WatchConsumedSecretsChanges":       watchKeys(consumedSecrets),
	"SecretsManager.WatchObsolete":                     facade.Read(watchObsolete),
	"SecretsManager.WatchSecretsRotationChanges":       facade.Read(watchNothingDue),
	"SecretsManager.WatchSecretRevisionsExpiryChanges": facade.Read(watchNothingDue),
	"SecretsDrain.GetSecretsToDrain":                   facade.Read(func(*Conn, facade.None) (params.ListSecretResults, error) { return params.ListSecretResults{}, nil }),
	"SecretsDrain.WatchSecretBackendChanged":           never,
}

// internal is the backend that keeps secrets in the controller itself: with it an agent sends and gets contents as data.
const internal = "controller"

// createSecretURIs makes ids of this model: whoever is handed one in another model finds out where it belongs.
func createSecretURIs(c *Conn, arg params.CreateSecretURIsArg) (results[params.StringResult], error) {
	var out results[params.StringResult]
	if arg.Count <= 0 {
		return out, errors.NotValidf("secret URi count %d", arg.Count)
	}
	for range arg.Count {
		out.Results = append(out.Results, params.StringResult{Result: secrets.NewURI().WithSource(c.Model.UUID).String()})
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

// find is the model's secret of a URI, or of a label: its owner's, or the one that this unit gave it as a reader. Those
// of other models are found by across.
func (c *Conn) find(uri, label string) (*model.Secret, error) {
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
	for _, s := range c.Model.Secrets {
		if label != "" && ((c.owns(s) && s.Label == label) || s.Consumers[c.Unit].Label == label) {
			return s, nil
		}
	}
	return nil, errors.NotFoundf("consumer label %q", label)
}

// mayRead holds for the owner, its units, and the applications and units it was granted to.
func (c *Conn) mayRead(s *model.Secret) bool {
	_, app := s.Grants[names.NewApplicationTag(c.App).String()]
	_, unit := s.Grants[names.NewUnitTag(c.Unit).String()]
	return c.owns(s) || app || unit
}

func secretContents(c *Conn, args params.GetSecretContentArgs) (results[params.SecretContentResult], error) {
	return each(args.Args, func(arg params.GetSecretContentArg) params.SecretContentResult {
		data, err := c.content(arg)
		return params.SecretContentResult{Content: params.SecretContentParams{Data: data}, Error: facade.Error(err)}
	})
}

// revisionContents is asked by an agent that removes revisions: what is in another backend it must take away itself.
func revisionContents(c *Conn, arg params.SecretRevisionArg) (out results[params.SecretContentResult], err error) {
	s, err := c.managed(arg.URI)
	if err != nil {
		return out, err
	}
	for _, revision := range arg.Revisions {
		data, err := s.Content(revision)
		out.Results = append(out.Results, params.SecretContentResult{Content: params.SecretContentParams{Data: data}, Error: facade.Error(err)})
	}
	return out, nil
}

// content is what secret-get shows: the revision that the unit tracks, from its first look on, or the newest, to look
// at only (peek) or to track from now on (refresh).
func (c *Conn) content(arg params.GetSecretContentArg) (map[string]string, error) {
	if uri := c.across(arg.URI, arg.Label); uri != nil {
		return c.contentAcross(uri, arg)
	}
	s, err := c.find(arg.URI, arg.Label)
	if err != nil {
		return nil, err
	}
	if !c.mayRead(s) {
		return nil, apiservererrors.ErrPerm
	}
	label, err := c.newLabel(s, arg)
	if err != nil {
		return nil, err
	}
	tracked, known := s.Consumers[c.Unit]
	if err := c.relabelRead(&tracked, label); err != nil {
		return nil, errors.Annotate(err, "getting latest secret revision")
	}
	shown := tracked.Revision
	if !known || arg.Refresh || arg.Peek {
		shown = s.Latest().Number
	}
	if !known || arg.Refresh {
		tracked.Revision = shown
	}
	s.Consumers[c.Unit] = tracked
	return s.Content(shown)
}

// newLabel is the label that a reader gives to a secret by asking for it with one. Who may manage the secret changes its
// own label that way.
func (c *Conn) newLabel(s *model.Secret, arg params.GetSecretContentArg) (string, error) {
	switch {
	case arg.URI == "" || arg.Label == "":
		return "", nil
	case !c.owns(s):
		return arg.Label, nil
	case arg.Label == s.Label:
		return "", nil
	case !c.mayManage(s.OwnerTag):
		return arg.Label, nil
	}
	return "", c.relabel(s, arg.Label)
}

// relabelRead gives what the unit reads another label of its own.
func (c *Conn) relabelRead(tracked *model.Consumer, label string) error {
	if label == "" || label == tracked.Label {
		return nil
	}
	if err := c.Model.CheckLabel(names.NewUnitTag(c.Unit), label); err != nil {
		return err
	}
	tracked.Label = label
	return nil
}

// relabel gives a secret another label of its owner's.
func (c *Conn) relabel(s *model.Secret, label string) error {
	owner, err := names.ParseTag(s.OwnerTag)
	if err == nil && label != "" && label != s.Label {
		err = c.Model.CheckLabel(owner, label)
	}
	if err == nil {
		s.Label = label
	}
	return err
}

// consumedSecrets are those the unit reads that have something newer than it tracks: each is told by its URI.
func consumedSecrets(c *Conn, u *model.Unit) map[string]any {
	out := map[string]any{}
	for _, s := range c.Model.Secrets {
		if tracked, ok := s.Consumers[u.Name]; ok && s.Latest().Number > tracked.Revision {
			uri := (&secrets.URI{ID: s.ID}).String()
			out[fmt.Sprint(uri, s.Latest().Number)] = text(uri)
		}
	}
	maps.Copy(out, consumedAcross(c, u))
	return out
}

func consumedRevisions(c *Conn, args params.GetSecretConsumerInfoArgs) (results[params.SecretConsumerInfoResult], error) {
	return each(args.URIs, func(uri string) params.SecretConsumerInfoResult {
		if across := c.across(uri, ""); across != nil {
			return c.revisionAcross(across)
		}
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
		return params.SecretConsumerInfoResult{Revision: s.Latest().Number, Label: tracked.Label}
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
			LatestRevision: s.Latest().Number, CreateTime: s.Created, UpdateTime: s.Updated,
		}
		for subject, g := range s.Grants {
			one.Access = append(one.Access, params.AccessInfo{TargetTag: subject, ScopeTag: g.Scope, Role: g.Role})
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
	if err == nil {
		err = c.asManager(s.OwnerTag)
	}
	return s, err
}

// asManager refuses who may not change an owner's secrets.
func (c *Conn) asManager(owner string) error {
	switch {
	case c.mayManage(owner):
		return nil
	case owner == names.NewApplicationTag(c.App).String():
		return leadership.NewNotLeaderError(c.Unit, c.App)
	}
	return apiservererrors.ErrPerm
}
