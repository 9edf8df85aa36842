package agent

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/juju/charm/v12"
	"github.com/juju/juju/api/agent/uniter"
	"github.com/juju/juju/core/secrets"
	"github.com/juju/juju/rpc/params"
	"github.com/juju/names/v5"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/tests/lab/juju/model"
)

// across is a world in which gateway/0 offers its way, and client/0 and client/1 of another model are related to it.
type across struct {
	*world
	consuming *model.Model
	uri       string // of a secret of the gateway's, as its charm is told it
}

func newAcross(t *testing.T) *across {
	t.Helper()
	w := &across{world: &world{T: t, Controller: model.New(), agents: map[string]*Conn{}}}
	w.m, w.consuming = w.AddModel("downloads", "admin"), w.AddModel("core", "admin")
	ends := map[string]model.Endpoint{}
	for app, in := range map[string]*model.Model{"gateway": w.m, "client": w.consuming} {
		ch := readCharm(t, app)
		w.Deploy(in, &model.App{Name: app, Leader: app + "/0", Charm: &model.Charm{Charm: ch}}, 2)
		ends[app] = model.Endpoint{App: app, Relation: ch.Meta().CombinedRelations()["way"]}
		for name, u := range in.Units {
			u.Agent.Status = "idle"
			w.agents[name] = &Conn{Controller: w.Controller, Model: in, App: app, Unit: name}
			t.Cleanup(w.agents[name].Close)
		}
	}
	o := &model.Offer{Name: "gateway", App: "gateway", Endpoints: map[string]charm.Relation{"way": ends["gateway"].Relation}}
	w.Offer(w.m, o)
	w.Consume(w.consuming, &model.Remote{Name: "saas", OfferUUID: o.UUID, Source: w.m.UUID, Endpoints: []charm.Relation{ends["gateway"].Relation}})
	w.relation = w.AddRelation(w.consuming, ends["client"], model.Endpoint{App: "saas", Relation: ends["gateway"].Relation})
	w.settle()
	w.uri = w.add()
	return w
}

// settle lets the models hear of each other.
func (w *across) settle() {
	w.View(func() {})
	time.Sleep(5 * time.Second)
	synctest.Wait()
	w.View(func() {})
}

// add is secret-add by the gateway.
func (w *across) add() string {
	w.Helper()
	uri := call[params.StringResults](w.world, "gateway/0", "SecretsManager.CreateSecretURIs", params.CreateSecretURIsArg{Count: 1}).Results[0].Result
	arg := newSecret("application-gateway", "")
	arg.URI = &uri
	require.NoError(w, w.commit("gateway/0", creates(arg)))
	return uri
}

// access is what the gateway's agent makes of secret-grant and secret-revoke in its relation, of which it knows by asking.
func (w *across) access(uri string) []params.GrantRevokeSecretArg {
	w.Helper()
	id := w.relation.Twin.ID
	r := call[params.RelationResults](w.world, "gateway/0", "Uniter.RelationById", params.RelationIds{RelationIds: []int{id}}).Results[0]
	require.Nil(w, r.Error)
	parsed, err := secrets.ParseURI(uri)
	require.NoError(w, err)
	arg := uniter.SecretGrantRevokeArgs{URI: parsed, ApplicationName: &r.OtherApplication, RelationKey: &r.Key, Role: secrets.RoleView}
	return []params.GrantRevokeSecretArg{arg.ToParams()}
}

func (w *across) grant(uri string) {
	w.Helper()
	require.NoError(w, w.commit("gateway/0", params.CommitHookChangesArg{SecretGrants: w.access(uri)}))
}

// revise is secret-set.
func (w *across) revise(content string) {
	w.Helper()
	arg := params.UpdateSecretArg{URI: w.uri}
	arg.Content.Data = map[string]string{"key": content}
	require.NoError(w, w.commit("gateway/0", params.CommitHookChangesArg{SecretUpdates: []params.UpdateSecretArg{arg}}))
}

// read is secret-get with its options: the content, or else the error.
func (w *across) read(unit string, arg params.GetSecretContentArg) string {
	w.Helper()
	args := params.GetSecretContentArgs{Args: []params.GetSecretContentArg{arg}}
	result := call[params.SecretContentResults](w.world, unit, "SecretsManager.GetSecretContentInfo", args).Results[0]
	if result.Error != nil {
		return result.Error.Error()
	}
	return result.Content.Data["key"]
}

// known is the revision that the unit's agent finds when it was told of a change.
func (w *across) known(unit, uri string) params.SecretConsumerInfoResult {
	args := params.GetSecretConsumerInfoArgs{ConsumerTag: names.NewUnitTag(unit).String(), URIs: []string{uri}}
	return call[params.SecretConsumerInfoResults](w.world, unit, "SecretsManager.GetConsumerSecretsRevisionInfo", args).Results[0]
}

// changes watches for what secret-changed is run of.
func (w *across) changes(unit string) (at params.StringsWatchResult, next func() []string) {
	w.Helper()
	args := params.Entities{Entities: []params.Entity{{Tag: names.NewUnitTag(unit).String()}}}
	at = call[params.StringsWatchResults](w.world, unit, "SecretsManager.WatchConsumedSecretsChanges", args).Results[0]
	require.Nil(w, at.Error)
	return at, func() []string {
		out, err := Methods()["StringsWatcher.Next"](w.agents[unit], at.StringsWatcherId, nil)
		require.NoError(w, err)
		return out.(params.StringsWatchResult).Changes
	}
}

// An offering application's secret is granted in the relation and read in the other model, where each unit tracks its own
// revision and hears of newer ones a moment later.
func TestSecretsAcrossModels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newAcross(t)
		require.Regexp(t, "^secret://"+w.m.UUID+"/[0-9a-z]{20}$", w.uri)
		get := params.GetSecretContentArg{URI: w.uri}
		peek, refresh := params.GetSecretContentArg{URI: w.uri, Peek: true}, params.GetSecretContentArg{URI: w.uri, Refresh: true}
		require.Equal(t, "permission denied", w.read("client/0", get))
		w.grant(w.uri)
		far := call[params.ListSecretResults](w.world, "gateway/0", "SecretsManager.GetSecretMetadata", struct{}{}).Results[0].Access[0]
		require.Regexp(t, `^application-remote-[0-9a-f]{32}$`, far.TargetTag)
		require.Equal(t, names.NewRelationTag(w.relation.Twin.Key).String(), far.ScopeTag)

		_, next := w.changes("client/0")
		require.Equal(t, "AAAA", w.read("client/0", get))
		w.revise("BBBB")
		require.Equal(t, "AAAA", w.read("client/0", get))
		require.Equal(t, "BBBB", w.read("client/0", peek))
		require.Equal(t, 1, w.known("client/0", w.uri).Revision, "it has not heard of it yet")
		began := time.Now()
		require.Equal(t, []string{w.uri}, next())
		require.NotZero(t, time.Since(began))
		require.Equal(t, 2, w.known("client/0", w.uri).Revision)
		require.Equal(t, "AAAA", w.read("client/0", get))
		require.Equal(t, "BBBB", w.read("client/0", refresh))
		require.Equal(t, "BBBB", w.read("client/0", get))

		require.Equal(t, params.CodeNotFound, w.known("client/1", w.uri).Error.Code)
		at, _ := w.changes("client/1")
		require.Empty(t, at.Changes, "it has read nothing")
		require.Equal(t, "BBBB", w.read("client/1", get))
		at, _ = w.changes("client/1")
		require.Equal(t, []string{w.uri}, at.Changes, "Juju runs secret-changed for a later revision that is one's first")
	})
}

// The owner is told of a revision only once nobody in the other model tracks it.
func TestObsoleteAcrossModels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newAcross(t)
		w.grant(w.uri)
		obsolete := func() []string {
			args := params.Entities{Entities: []params.Entity{{Tag: "application-gateway"}}}
			return call[params.StringsWatchResult](w.world, "gateway/0", "SecretsManager.WatchObsolete", args).Changes
		}
		get, refresh := params.GetSecretContentArg{URI: w.uri}, params.GetSecretContentArg{URI: w.uri, Refresh: true}
		require.Equal(t, "AAAA", w.read("client/0", get))
		require.Equal(t, "AAAA", w.read("client/1", get))
		w.revise("BBBB")
		require.Equal(t, "BBBB", w.read("client/0", refresh))
		require.Empty(t, obsolete(), "client/1 has still the first")
		require.Equal(t, "BBBB", w.read("client/1", refresh))
		require.Len(t, obsolete(), 1)
	})
}

// A reader's label is as good as the URI, for itself, and no other secret's.
func TestLabelsAcrossModels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newAcross(t)
		w.grant(w.uri)
		other := w.add()
		w.grant(other)
		require.Equal(t, "AAAA", w.read("client/0", params.GetSecretContentArg{URI: w.uri, Label: "way"}))
		w.revise("BBBB")
		require.Equal(t, "AAAA", w.read("client/0", params.GetSecretContentArg{Label: "way"}))
		require.Equal(t, "BBBB", w.read("client/0", params.GetSecretContentArg{Label: "way", Refresh: true}))
		require.Equal(t, "way", w.known("client/0", w.uri).Label)
		require.Equal(t, `consumer label "way" not found`, w.read("client/1", params.GetSecretContentArg{Label: "way"}))

		taken := `secret label "way" for consumer "unit-client-0" already exists`
		require.Equal(t, taken, w.read("client/0", params.GetSecretContentArg{URI: other, Label: "way"}))
		require.EqualError(t, w.commit("client/0", creates(newSecret("unit-client-0", "way"))), `creating secrets: secret with label "way" already exists`)
		require.Equal(t, "BBBB", w.read("client/0", params.GetSecretContentArg{URI: w.uri, Label: "tunnel"}))
		require.Equal(t, "AAAA", w.read("client/0", params.GetSecretContentArg{URI: other, Label: "way"}), "it is free again")
	})
}

// Only who the secret was granted to reads it, and only while the grant's relation is there.
func TestRefusalsAcrossModels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newAcross(t)
		get, refresh := params.GetSecretContentArg{URI: w.uri}, params.GetSecretContentArg{URI: w.uri, Refresh: true}
		w.grant(w.uri)
		require.Equal(t, "AAAA", w.read("client/0", get))
		require.Equal(t, "permission denied", w.read("client/0", params.GetSecretContentArg{URI: w.add()}), "another secret")
		nowhere := secrets.NewURI().WithSource(w.m.UUID).String()
		require.Equal(t, "permission denied", w.read("client/0", params.GetSecretContentArg{URI: nowhere}))
		nowhere = secrets.NewURI().WithSource(w.Controller.UUID).String()
		require.Equal(t, "creating remote secret client: migration not found", w.read("client/0", params.GetSecretContentArg{URI: nowhere}))
		update := params.CommitHookChangesArg{SecretDeletes: []params.DeleteSecretArg{{URI: w.uri}}}
		require.ErrorContains(t, w.commit("client/0", update), "not found", "nobody changes what is another model's")

		require.NoError(t, w.commit("gateway/0", params.CommitHookChangesArg{SecretRevokes: w.access(w.uri)}))
		require.Equal(t, "permission denied", w.read("client/0", get))
		w.grant(w.uri)
		w.EnterScope(w.relation.Twin, "gateway/0", nil)
		w.settle()
		w.DestroyRelation(w.relation, false)
		w.settle()
		require.Equal(t, "AAAA", w.read("client/0", get), "the relation is dying, and its hooks still run")
		twin := w.relation.Twin
		w.LeaveScope(twin, "gateway/0")
		require.Equal(t, "permission denied", w.read("client/0", get))
		w.settle()
		require.NotContains(t, w.consuming.Relations, w.relation.ID)

		w.revise("BBBB")
		_, next := w.changes("client/0")
		require.Equal(t, []string{w.uri}, next(), "as in Juju it hears of it all the same")
		require.Equal(t, "permission denied", w.read("client/0", refresh))
		require.Equal(t, 2, w.known("client/0", w.uri).Revision)
	})
}

// Between the removal of the relation here and there the reader has no right to it any more, and who never had a relation
// has no name in the other model.
func TestSecretsWithoutRelation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newAcross(t)
		w.grant(w.uri)
		get := params.GetSecretContentArg{URI: w.uri}
		w.Deploy(w.consuming, &model.App{Name: "meter", Charm: &model.Charm{Charm: readCharm(t, "client")}}, 1)
		w.agents["meter/0"] = &Conn{Controller: w.Controller, Model: w.consuming, App: "meter", Unit: "meter/0"}
		require.Equal(t, `getting remote token for "meter": token for application meter not found`, w.read("meter/0", get))
		w.DestroyRelation(w.relation, false)
		require.NotContains(t, w.consuming.Relations, w.relation.ID)
		require.Contains(t, w.m.Relations, w.relation.Twin.ID)
		require.ErrorContains(t, w.get("client/0", w.uri, ""), "getting remote entity for")
		w.settle()
		require.Equal(t, "permission denied", w.read("client/0", get))
	})
}
