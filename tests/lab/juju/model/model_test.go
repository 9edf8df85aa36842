package model

import (
	"testing"

	"github.com/juju/charm/v12"
	"github.com/juju/juju/core/life"
	"github.com/stretchr/testify/require"
)

func endpoint(app, name string, role charm.RelationRole) Endpoint {
	return Endpoint{App: app, Relation: charm.Relation{Name: name, Role: role, Interface: "vpn-gateway", Scope: charm.ScopeGlobal}}
}

// across is a controller with a gateway offered in one model and a meter that consumes it, as "way", in another.
func across(t *testing.T) (c *Controller, offering, consuming *Model, r *Relation) {
	t.Helper()
	c = New()
	offering, consuming = c.AddModel("downloads", "admin"), c.AddModel("core", "admin")
	gateway, meter := endpoint("gateway", "vpn-gateway", charm.RoleProvider), endpoint("meter", "vpn", charm.RoleRequirer)
	offering.Apps["gateway"] = &App{Name: "gateway", Life: life.Alive}
	consuming.Apps["meter"] = &App{Name: "meter", Life: life.Alive}
	o := &Offer{Name: "gateway", App: "gateway", Endpoints: map[string]charm.Relation{"vpn-gateway": gateway.Relation}}
	c.Offer(offering, o)
	c.Consume(consuming, &Remote{Name: "way", OfferUUID: o.UUID, Source: offering.UUID, Endpoints: []charm.Relation{gateway.Relation}})
	r = c.AddRelation(consuming, endpoint("way", "vpn-gateway", charm.RoleProvider), meter)
	return c, offering, consuming, r
}

// What either side says reaches the other under the names that are used there.
func TestDataAcrossModels(t *testing.T) {
	c, offering, consuming, r := across(t)
	require.Equal(t, "meter:vpn way:vpn-gateway", r.Key)
	require.Regexp(t, `^remote-[0-9a-f]{32}:vpn gateway:vpn-gateway$`, r.Twin.Key)
	proxy := r.Twin.Endpoints[0].App

	c.EnterScope(consuming, r, "meter/0", map[string]string{"ingress-address": "10.42.0.7"})
	c.SetAppData(consuming, r, "meter", map[string]string{"instance_name": "meter"})
	require.Equal(t, map[string]string{"ingress-address": "10.42.0.7"}, r.Twin.UnitData[proxy+"/0"])
	require.Equal(t, map[string]string{"instance_name": "meter"}, r.Twin.AppData[proxy])
	require.Equal(t, "joined", r.Twin.Status.Status)

	c.EnterScope(offering, r.Twin, "gateway/0", nil)
	c.SetAppData(offering, r.Twin, "gateway", map[string]string{"vpn_connected": "true"})
	require.Contains(t, r.UnitData, "way/0")
	require.Equal(t, map[string]string{"vpn_connected": "true"}, r.AppData["way"])

	before := r.Versions["way"]
	c.SetAppData(offering, r.Twin, "gateway", map[string]string{"vpn_connected": "true"})
	require.Equal(t, before, r.Versions["way"], "the same data again is no change")
	c.SetAppData(offering, r.Twin, "gateway", map[string]string{"vpn_connected": ""})
	require.Empty(t, r.AppData["way"], "an empty value removes the key")
	require.Greater(t, r.Versions["way"], before)
}

// A relation goes when its last unit has taken leave, and takes the consumer's stand-in along.
func TestRelationRemoved(t *testing.T) {
	c, offering, consuming, r := across(t)
	c.EnterScope(consuming, r, "meter/0", nil)
	c.DestroyRelation(consuming, r, false)
	require.Equal(t, life.Dying, r.Twin.Life)
	require.Len(t, consuming.Relations, 1, "meter/0 has still to run its hooks")

	c.LeaveScope(consuming, r, "meter/0")
	require.Empty(t, consuming.Relations)
	require.Empty(t, offering.Relations)
	require.Empty(t, offering.Remotes)
	require.Contains(t, consuming.Remotes, "way", "what is consumed stays until remove-saas")
}

// An offer taken back ends its relations and says so to its consumers.
func TestOfferRemoved(t *testing.T) {
	c, offering, consuming, r := across(t)
	c.EnterScope(consuming, r, "meter/0", nil)
	c.RemoveOffer(offering, offering.Offers["gateway"])
	require.Empty(t, consuming.Relations)
	require.Equal(t, "terminated", consuming.Remotes["way"].Status.Status)
}
