package agent

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/juju/charm/v12"
	"github.com/juju/juju/core/life"
	"github.com/juju/juju/rpc/params"
	"github.com/juju/names/v5"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/tests/lab/juju/model"
)

// world is a model in which client/0 and client/1 are related to gateway/0, and each has its agent. The first of each leads.
type world struct {
	*testing.T
	*model.Controller
	m        *model.Model
	relation *model.Relation
	agents   map[string]*Conn
}

const relation = "relation-client.way#gateway.way"

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, Controller: model.New(), agents: map[string]*Conn{}}
	w.m = w.AddModel("downloads", "admin")
	ends := map[string]model.Endpoint{}
	for app, units := range map[string]int{"gateway": 1, "client": 2} {
		ch := readCharm(t, app)
		a := &model.App{Name: app, Charm: &model.Charm{URL: "local:" + app + "-0", Charm: ch}, Config: map[string]any{}}
		w.Deploy(w.m, a, units)
		ends[app] = model.Endpoint{App: app, Relation: ch.Meta().CombinedRelations()["way"]}
		a.Leader = app + "/0"
	}
	w.relation = w.AddRelation(w.m, ends["client"], ends["gateway"])
	for name, u := range w.m.Units {
		u.Agent.Status = "idle"
		w.agents[name] = &Conn{Controller: w.Controller, Model: w.m, App: u.App, Unit: name}
		t.Cleanup(w.agents[name].Close)
	}
	return w
}

func readCharm(t *testing.T, name string) charm.Charm {
	t.Helper()
	side := map[string]string{"gateway": "provides", "client": "requires"}[name]
	dir := t.TempDir()
	for file, text := range map[string]string{
		"metadata.yaml": "name: " + name + "\nsummary: s\ndescription: d\ncontainers:\n  c: {}\n" + side + ":\n  way: {interface: way}\npeers:\n  mates: {interface: mates}\n",
		"manifest.yaml": "bases:\n- name: ubuntu\n  channel: 22.04/stable\n  architectures: [amd64]\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600))
	}
	ch, err := charm.ReadCharmDir(dir)
	require.NoError(t, err)
	return ch
}

// call is one call of an agent's, by its unit's name.
func call[R any](w *world, unit, method string, args any) (out R) {
	w.Helper()
	raw, err := json.Marshal(args)
	require.NoError(w, err)
	answer, err := Methods()[method](w.agents[unit], "", raw)
	require.NoError(w, err)
	text, err := json.Marshal(answer)
	require.NoError(w, err)
	require.NoError(w, json.Unmarshal(text, &out))
	return out
}

// commit is the end of a hook: the error that the agent is told.
func (w *world) commit(unit string, arg params.CommitHookChangesArg) error {
	w.Helper()
	arg.Tag = names.NewUnitTag(unit).String()
	return call[params.ErrorResults](w, unit, "Uniter.CommitHookChanges", params.CommitHookChangesArgs{Args: []params.CommitHookChangesArg{arg}}).OneError()
}

func (w *world) enterScope(unit string) error {
	w.Helper()
	args := params.RelationUnits{RelationUnits: []params.RelationUnit{{Relation: relation, Unit: names.NewUnitTag(unit).String()}}}
	return call[params.ErrorResults](w, unit, "Uniter.EnterScope", args).OneError()
}

func said(unit string, own, app map[string]string) params.CommitHookChangesArg {
	return params.CommitHookChangesArg{RelationUnitSettings: []params.RelationUnitSettings{{
		Relation: relation, Unit: names.NewUnitTag(unit).String(), Settings: own, ApplicationSettings: app,
	}}}
}

// Only the leader speaks for its application; what a unit says for itself in the same hook is lost with it.
func TestOnlyTheLeaderSpeaks(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.enterScope("client/1"))
	arg := said("client/1", map[string]string{"own": "1"}, map[string]string{"app": "1"})
	arg.SecretCreates = []params.CreateSecretArg{newSecret("unit-client-1", "kept")}
	require.EqualError(t, w.commit("client/1", arg), `prerequisites failed: "client/1" is not leader of "client"`)
	require.Empty(t, w.relation.UnitData["client/1"])
	require.Empty(t, w.relation.AppData["client"])
	require.Len(t, w.m.Secrets, 1, "secrets come first, and for good")

	require.NoError(t, w.commit("client/0", said("client/0", nil, map[string]string{"app": "1"})))
	require.Equal(t, map[string]string{"app": "1"}, w.relation.AppData["client"])
	require.EqualError(t, w.commit("client/0", said("client/1", nil, nil)), "permission denied")
	require.EqualError(t, w.commit("client/0", params.CommitHookChangesArg{OpenPorts: []params.EntityPortRange{{Tag: "unit-client-1"}}}), "permission denied")
}

// A relation dies while one unit's pod is replaced: the new agent finds it and leaves it as Juju has it, and nobody joins.
func TestDyingRelation(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.enterScope("client/0"))
	w.relation.Life = life.Dying
	require.NoError(t, w.enterScope("client/0"))
	require.EqualError(t, w.enterScope("client/1"), "cannot enter scope: unit or relation is not alive")
}

// Answers are written before the next call changes what is in them, and reads wake nobody.
func TestReads(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.enterScope("client/0"))
	self := params.Entities{Entities: []params.Entity{{Tag: "unit-client-0"}}}
	ends := params.RelationUnits{RelationUnits: []params.RelationUnit{{Relation: relation, Unit: "unit-client-0"}}}
	reads := map[string]any{
		"Uniter.Life": self, "Uniter.Refresh": self, "Uniter.UnitStatus": self, "Uniter.State": self, "Uniter.ConfigSettings": self,
		"Uniter.CharmURL": self, "Uniter.ReadSettings": ends, "Uniter.Relation": ends, "Uniter.WatchRelationUnits": ends,
		"Uniter.WatchUnitRelations": self, "Uniter.WatchConfigSettingsHash": self, "Uniter.GoalStates": self,
		"Uniter.NetworkInfo":               params.NetworkInfoParams{Unit: "unit-client-0", Endpoints: []string{"way"}},
		"SecretsManager.GetSecretMetadata": struct{}{}, "Pinger.Ping": struct{}{}, "Uniter.ModelConfig": struct{}{},
	}
	changed := w.View(func() {})
	for method, args := range reads {
		call[any](w, "client/0", method, args)
	}
	select {
	case <-changed:
		require.Fail(t, "a read woke everybody")
	default:
	}

	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := range 300 {
			_ = w.Update(func() error {
				w.SetUnitData(w.relation, "client/0", map[string]string{string(rune('a' + n%26)): string(rune('a' + n%7))})
				return nil
			})
		}
	}()
	for range 300 {
		call[any](w, "client/0", "Uniter.ReadSettings", ends)
	}
	<-done
	<-changed
}

func TestLeadership(t *testing.T) {
	w := newWorld(t)
	w.m.Apps["client"].Leader = ""
	claim := func(unit string, seconds float64) error {
		return call[params.ErrorResults](w, unit, "LeadershipService.ClaimLeadership", params.ClaimLeadershipBulkParams{Params: []params.ClaimLeadershipParams{{
			ApplicationTag: "application-client", UnitTag: names.NewUnitTag(unit).String(), DurationSeconds: seconds,
		}}}).OneError()
	}
	released := func() <-chan error {
		out := make(chan error, 1)
		go func() {
			answer, err := Methods()["LeadershipService.BlockUntilLeadershipReleased"](w.agents["client/1"], "", nil)
			if err == nil && answer.(params.ErrorResult).Error != nil {
				err = answer.(params.ErrorResult).Error
			}
			out <- err
		}()
		return out
	}
	require.NoError(t, <-released(), "nobody leads: the lead is to be had")
	require.EqualError(t, claim("client/0", 4), "invalid duration")
	require.EqualError(t, claim("client/0", 301), "invalid duration")
	require.NoError(t, claim("client/0", 60))
	require.EqualError(t, claim("client/1", 60), "leadership claim denied")

	waiting := released()
	require.Empty(t, waiting)
	tag := params.Entities{Entities: []params.Entity{{Tag: "unit-client-0"}}}
	require.NoError(t, call[params.ErrorResults](w, "client/0", "Uniter.EnsureDead", tag).OneError())
	require.NoError(t, <-waiting)
	require.Equal(t, life.Dead, w.m.Units["client/0"].Life)
	require.NoError(t, claim("client/1", 60))

	_ = w.Update(func() error {
		w.DestroyApp(w.m, w.m.Apps["client"], true)
		return nil
	})
	require.NoError(t, <-released(), "the application is gone")
}
