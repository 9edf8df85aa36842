package agent

import (
	"testing"
	"time"

	"github.com/juju/juju/core/secrets"
	"github.com/juju/juju/rpc/params"
	"github.com/stretchr/testify/require"
)

func newSecret(owner, label string) params.CreateSecretArg {
	uri := secrets.NewURI().String()
	arg := params.CreateSecretArg{URI: &uri, OwnerTag: owner}
	arg.Content.Data = map[string]string{"key": "AAAA"}
	if label != "" {
		arg.Label = &label
	}
	return arg
}

func creates(args ...params.CreateSecretArg) params.CommitHookChangesArg {
	return params.CommitHookChangesArg{SecretCreates: args}
}

// get is secret-get: the error that the tool shows.
func (w *world) get(unit, uri, label string) error {
	w.Helper()
	args := params.GetSecretContentArgs{Args: []params.GetSecretContentArg{{URI: uri, Label: label}}}
	if err := call[params.SecretContentResults](w, unit, "SecretsManager.GetSecretContentInfo", args).Results[0].Error; err != nil {
		return err
	}
	return nil
}

// A hook that fails for its secrets leaves behind those that it made until then, and nothing else.
func TestSecretsOneAfterAnother(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.enterScope("gateway/0"))
	first, twice, last := newSecret("application-gateway", "a"), newSecret("application-gateway", "a"), newSecret("application-gateway", "b")
	hook := said("gateway/0", map[string]string{"own": "1"}, nil)
	hook.SecretCreates = []params.CreateSecretArg{first, twice, last}
	hook.SecretGrants = []params.GrantRevokeSecretArg{{URI: *first.URI, ScopeTag: relation, SubjectTags: []string{"application-client"}, Role: "view"}}
	require.EqualError(t, w.commit("gateway/0", hook), `creating secrets: secret with label "a" already exists`)
	require.Len(t, w.m.Secrets, 2, "the first and the last of them")
	require.Empty(t, w.relation.UnitData["gateway/0"])
	require.EqualError(t, w.get("client/0", *first.URI, ""), "permission denied", "the kinds of calls after it were not made")

	hook.SecretCreates = []params.CreateSecretArg{newSecret("application-gateway", "a")}
	require.EqualError(t, w.commit("gateway/0", hook), `creating secrets: secret with label "a" already exists`, "the hook meets what it left behind")
	hook.SecretCreates = nil
	require.NoError(t, w.commit("gateway/0", hook))
	require.NoError(t, w.get("client/0", *first.URI, ""))
	require.Equal(t, map[string]string{"own": "1"}, w.relation.UnitData["gateway/0"])
}

// A label is taken for every way to give it.
func TestLabelsTwice(t *testing.T) {
	w := newWorld(t)
	a, b, own := newSecret("application-gateway", "a"), newSecret("application-gateway", "b"), newSecret("unit-client-0", "own")
	require.NoError(t, w.commit("gateway/0", creates(a, b)))
	require.NoError(t, w.commit("client/0", creates(own, newSecret("application-client", "app"))))

	update := params.UpdateSecretArg{URI: *b.URI}
	update.Label = a.Label
	change := params.CommitHookChangesArg{SecretUpdates: []params.UpdateSecretArg{update}}
	require.EqualError(t, w.commit("gateway/0", change), `updating secrets: secret with label "a" already exists`)
	update.Label = b.Label
	change.SecretUpdates[0] = update
	require.NoError(t, w.commit("gateway/0", change), "it has it already")
	require.Error(t, w.get("gateway/0", *b.URI, "a"), "nor by asking with it")
	require.NoError(t, w.get("gateway/0", *b.URI, "c"))
	require.NoError(t, w.get("gateway/0", "", "c"), "its owner gave it that label by asking")
	require.ErrorContains(t, w.get("gateway/0", "", "b"), "not found")

	grant := params.CommitHookChangesArg{}
	for _, uri := range []string{*a.URI, *b.URI} {
		grant.SecretGrants = append(grant.SecretGrants, params.GrantRevokeSecretArg{URI: uri, ScopeTag: relation, SubjectTags: []string{"application-client"}, Role: "view"})
	}
	require.NoError(t, w.commit("gateway/0", grant))
	require.NoError(t, w.get("client/0", *a.URI, "mine"))
	require.NoError(t, w.get("client/0", *a.URI, "mine"))
	for label, says := range map[string]string{
		"mine": `secret label "mine" for consumer "unit-client-0" already exists`,
		"own":  `secret label "own" for owner "unit-client-0" already exists`,
		"app":  `secret label "app" for application "client" already exists`,
	} {
		require.EqualError(t, w.get("client/0", *b.URI, label), "getting latest secret revision: "+says)
	}
	require.NoError(t, w.get("client/1", *b.URI, "mine"), "another unit's labels are its own")
	require.EqualError(t, w.commit("client/0", creates(newSecret("application-client", "mine"))), `creating secrets: secret with label "mine" already exists`)
}

// A grant lasts as long as the relation that it was given in.
func TestGrantsOfARelation(t *testing.T) {
	w := newWorld(t)
	s := newSecret("application-gateway", "")
	require.NoError(t, w.commit("gateway/0", creates(s)))
	grant := params.CommitHookChangesArg{SecretGrants: []params.GrantRevokeSecretArg{{
		URI: *s.URI, ScopeTag: relation, SubjectTags: []string{"application-client"}, Role: "view",
	}}}
	require.EqualError(t, w.commit("client/0", grant), "granting secrets access: permission denied")
	require.NoError(t, w.commit("gateway/0", grant))
	require.NoError(t, w.get("client/0", *s.URI, ""))
	access := call[params.ListSecretResults](w, "gateway/0", "SecretsManager.GetSecretMetadata", struct{}{}).Results[0].Access
	require.Equal(t, []params.AccessInfo{{TargetTag: "application-client", ScopeTag: relation, Role: "view"}}, access)

	w.DestroyRelation(w.relation, false)
	require.EqualError(t, w.get("client/0", *s.URI, ""), "permission denied")
	require.ErrorContains(t, w.commit("gateway/0", grant), `invalid scope reference: relation "client:way gateway:way" not found`)
}

// Who may not change a secret, and what no secret of the lab does.
func TestSecretRefusals(t *testing.T) {
	w := newWorld(t)
	s := newSecret("application-client", "")
	require.EqualError(t, w.commit("client/1", creates(s)), `creating secrets: "client/1" is not leader of "client"`)
	require.EqualError(t, w.commit("gateway/0", creates(s)), "creating secrets: permission denied")
	require.NoError(t, w.commit("client/0", creates(s)))
	remove := params.CommitHookChangesArg{SecretDeletes: []params.DeleteSecretArg{{URI: *s.URI, Revisions: []int{2}}}}
	require.EqualError(t, w.commit("client/0", remove), `removing secrets: revision 2 for secret "`+*s.URI+`" not found`)
	update := params.CommitHookChangesArg{SecretUpdates: []params.UpdateSecretArg{{URI: *s.URI}}}
	require.EqualError(t, w.commit("client/0", update), "updating secrets: at least one attribute to update must be specified")

	asks := params.SecretRevisionArg{URI: *s.URI, Revisions: []int{1, 2}}
	contents := call[params.SecretContentResults](w, "client/0", "SecretsManager.GetSecretRevisionContentInfo", asks).Results
	require.Equal(t, s.Content.Data, contents[0].Content.Data)
	require.NotNil(t, contents[1].Error)

	due, daily := time.Now(), secrets.RotateDaily
	expires, rotates := newSecret("application-client", ""), newSecret("application-client", "")
	expires.ExpireTime, rotates.RotatePolicy = &due, &daily
	for _, arg := range []params.CreateSecretArg{expires, rotates} {
		require.ErrorContains(t, w.commit("client/0", creates(arg)), "the lab controller does not do secrets that expire or rotate")
	}

	uri := call[params.StringResults](w, "client/0", "SecretsManager.CreateSecretURIs", params.CreateSecretURIsArg{Count: 1}).Results[0].Result
	require.Regexp(t, "^secret://"+w.m.UUID+"/[0-9a-z]{20}$", uri)
}
