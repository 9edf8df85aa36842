package model

import (
	"testing"
	"testing/synctest"

	"github.com/juju/charm/v12"
	"github.com/juju/errors"
	"github.com/juju/juju/core/life"
	"github.com/juju/juju/core/secrets"
	"github.com/juju/names/v5"
	"github.com/stretchr/testify/require"
)

func application(name string) names.ApplicationTag { return names.NewApplicationTag(name) }

// shared is a model with a gateway and a client that are related, and the gateway's secret.
func shared() (c *Controller, m *Model, r *Relation, s *Secret) {
	c = New()
	m = c.AddModel("downloads", "admin")
	for _, name := range []string{"gateway", "client"} {
		m.Apps[name] = &App{Name: name, Life: life.Alive}
		c.SetScale(m, m.Apps[name], 1)
		m.Units[name+"/0"].Agent.Status = "idle"
	}
	r = c.AddRelation(m, endpoint("client", "vpn", charm.RoleRequirer), endpoint("gateway", "vpn-gateway", charm.RoleProvider))
	s = m.secret("s", application("gateway"))
	return c, m, r, s
}

func (m *Model) secret(id string, owner names.Tag) *Secret {
	s := &Secret{ID: id, OwnerTag: owner.String(), Grants: map[string]Grant{}, Consumers: map[string]Consumer{}}
	m.Secrets[id] = s
	return s
}

// A grant ends with the relation in which it was given, an application's with the application, and so do its secrets: one
// deployed anew under the same name has nothing of them.
func TestGrantsEnd(t *testing.T) {
	c, m, r, s := shared()
	own := m.secret("user", names.NewModelTag(m.UUID))
	require.NoError(t, m.Grant(s, application("client"), names.NewRelationTag(r.Key), secrets.RoleView))
	require.NoError(t, m.Grant(own, application("client"), names.NewModelTag(m.UUID), secrets.RoleView))
	s.Consumers["client/0"] = Consumer{Revision: 1}
	require.Equal(t, Grant{"relation-client.vpn#gateway.vpn-gateway", "view"}, s.Grants["application-client"])

	c.EnterScope(r, "client/0", nil)
	c.DestroyRelation(r, false)
	require.NotEmpty(t, s.Grants, "client/0 has still to run its hooks")
	c.LeaveScope(r, "client/0")
	require.Empty(t, s.Grants)
	require.NotEmpty(t, own.Grants, "it was the user's")

	c.DestroyApp(m, m.Apps["client"], false)
	require.Empty(t, s.Consumers, "a dying unit has read nothing")
	require.NotEmpty(t, own.Grants, "its unit is not gone yet")
	c.RemoveUnit(m, m.Units["client/0"])
	require.Empty(t, own.Grants)

	unit := m.secret("unit", names.NewUnitTag("gateway/0"))
	c.DestroyApp(m, m.Apps["gateway"], false)
	require.NotContains(t, m.Secrets, unit.ID, "a unit's go as soon as it dies")
	require.Contains(t, m.Secrets, s.ID)
	c.RemoveUnit(m, m.Units["gateway/0"])
	require.NotContains(t, m.Secrets, s.ID)
	require.Contains(t, m.Secrets, own.ID)
}

// A peer relation's grants, and those to a consumer in another model, end likewise.
func TestGrantsEndAcrossModels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, offering, _, r := across(t)
		settle(c)
		s := offering.secret("s", application("gateway"))
		proxy := r.Twin.Endpoints[0].App
		require.NoError(t, offering.Grant(s, application(proxy), application("gateway"), secrets.RoleView))
		c.DestroyRelation(r, false)
		settle(c)
		require.Empty(t, offering.Remotes)
		require.Empty(t, s.Grants)
	})
}

// What a consumer's units have read is known at both sides until the unit, or the offer, is gone; a secret that went before
// its news had come is nobody's.
func TestReadersAcrossModels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, offering, consuming, _ := across(t)
		settle(c)
		s := offering.secret("s", application("gateway"))
		s.Revisions = []Revision{{Number: 1}}
		uri := secrets.URI{SourceUUID: offering.UUID, ID: s.ID}
		proxy := c.Token(consuming, "meter")
		require.Contains(t, offering.Remotes, proxy)
		for _, n := range []string{"/0", "/1"} {
			s.Consumers[proxy+n] = Consumer{Revision: 1}
			consuming.Consume(uri, "meter"+n, Consumer{Revision: 1, Latest: 1, Label: "way"})
		}
		require.Error(t, consuming.CheckLabel(names.NewUnitTag("meter/0"), "way"))
		consuming.forgetReader("meter/0")
		require.NoError(t, consuming.CheckLabel(names.NewUnitTag("meter/0"), "way"))

		content := map[string]string{"key": "AAAA"}
		c.Revise(offering, s, content)
		settle(c)
		require.Equal(t, map[string]Consumer{"meter/1": {Revision: 1, Latest: 2, Label: "way"}}, consuming.Consumed[uri])
		c.Revise(offering, s, content)
		offering.forgetSecrets(application("gateway"))
		settle(c)
		require.Equal(t, 2, consuming.Consumed[uri]["meter/1"].Latest)

		offering.Secrets[s.ID] = s
		delete(consuming.Remotes, "way")
		c.Revise(offering, s, content)
		settle(c)
		require.Equal(t, 2, consuming.Consumed[uri]["meter/1"].Latest, "it consumes nothing of that model any more")
		c.RemoveOffer(offering, offering.Offers["gateway"])
		require.Empty(t, s.Consumers)
	})
}

func TestGrantRefuses(t *testing.T) {
	c, m, r, s := shared()
	relation := names.NewRelationTag(r.Key)
	m.Remotes["way"] = &Remote{Name: "way", Life: life.Alive}
	for _, tc := range []struct {
		subject, scope names.Tag
		role           secrets.SecretRole
		says           string
	}{
		{application("client"), relation, "", `secret role "" not valid`},
		{application("client"), relation, "king", `secret role "king" not valid`},
		{application("client"), names.NewRelationTag("a:b c:d"), "view", `invalid scope reference: relation "a:b c:d" not found`},
		{application("nobody"), relation, "view", `invalid subject reference: saas application "nobody" not found`},
		{names.NewUnitTag("client/7"), relation, "view", `invalid subject reference: unit "client/7" not found`},
		{names.NewUnitTag("way/0"), relation, "view", `sharing secrets with a unit across a cross model relation not supported`},
		{application("way"), relation, "view", `sharing consumer secrets across a cross model relation not supported`},
	} {
		require.EqualError(t, m.Grant(s, tc.subject, tc.scope, tc.role), tc.says)
	}
	require.NoError(t, m.Grant(s, application("client"), relation, "view"))
	require.EqualError(t, m.Grant(s, application("client"), application("gateway"), "view"), "cannot change secret permission scope")

	m.Units["client/0"].Life = life.Dying
	require.EqualError(t, m.Grant(s, names.NewUnitTag("client/0"), relation, "view"), `cannot grant dying "unit-client-0" access to secret`)
	c.EnterScope(r, "client/0", nil)
	c.DestroyRelation(r, false)
	require.EqualError(t, m.Grant(s, application("client"), relation, "view"),
		`cannot grant access to secret in scope of "relation-client.vpn#gateway.vpn-gateway" which is not alive`)
}

// A label is one secret's, for whoever gives it, and for an application and its units together.
func TestLabels(t *testing.T) {
	_, m, _, s := shared()
	s.Label = "app"
	m.secret("unit", names.NewUnitTag("gateway/0")).Label = "unit"
	m.secret("other", application("client")).Consumers["gateway/0"] = Consumer{Label: "reader"}
	m.secret("user", names.NewModelTag(m.UUID)).Label = "user"
	for _, tc := range []struct {
		who         names.Tag
		label, says string
	}{
		{application("gateway"), "app", `secret label "app" for owner "application-gateway" already exists`},
		{application("gateway"), "unit", `secret label "unit" for a unit of application "gateway" already exists`},
		{application("gateway"), "reader", `secret label "reader" for a unit of application "gateway" already exists`},
		{names.NewUnitTag("gateway/0"), "app", `secret label "app" for application "gateway" already exists`},
		{names.NewUnitTag("gateway/0"), "unit", `secret label "unit" for owner "unit-gateway-0" already exists`},
		{names.NewUnitTag("gateway/0"), "reader", `secret label "reader" for consumer "unit-gateway-0" already exists`},
		{names.NewModelTag(m.UUID), "user", `secret label "user" for owner "model-` + m.UUID + `" already exists`},
	} {
		err := m.CheckLabel(tc.who, tc.label)
		require.EqualError(t, err, tc.says)
		require.True(t, errors.Is(err, LabelExists))
	}
	for _, who := range []names.Tag{application("client"), names.NewUnitTag("client/0")} {
		for _, label := range []string{"app", "unit", "reader", "user"} {
			require.NoError(t, m.CheckLabel(who, label))
		}
	}
}
