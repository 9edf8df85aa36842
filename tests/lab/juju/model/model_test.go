package model

import (
	"maps"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juju/charm/v12"
	"github.com/juju/juju/core/life"
	"github.com/juju/juju/rpc/params"
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

// settle lets every moment pass that one model needs to hear of the other. The tests touch the controller without its
// lock; taking it here orders that with what comes by the clock.
func settle(c *Controller) { pass(c, 5*time.Second) }

func pass(c *Controller, d time.Duration) {
	c.View(func() {})
	time.Sleep(d)
	synctest.Wait()
	c.View(func() {})
}

// What either side says reaches the other under the names that are used there, a moment later.
func TestDataAcrossModels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, offering, _, r := across(t)
		require.Equal(t, "meter:vpn way:vpn-gateway", r.Key)
		require.Empty(t, offering.Relations, "the other model has not heard of it yet")
		settle(c)
		require.Regexp(t, `^remote-[0-9a-f]{32}:vpn gateway:vpn-gateway$`, r.Twin.Key)
		proxy := r.Twin.Endpoints[0].App

		c.EnterScope(r, "meter/0", map[string]string{"ingress-address": "10.43.0.7"})
		c.SetAppData(r, "meter", map[string]string{"instance_name": "meter"})
		require.Empty(t, r.Twin.UnitData)
		require.Empty(t, r.Twin.AppData[proxy])
		settle(c)
		require.Equal(t, map[string]string{"ingress-address": "10.43.0.7"}, r.Twin.UnitData[proxy+"/0"])
		require.Equal(t, map[string]string{"instance_name": "meter"}, r.Twin.AppData[proxy])
		require.Equal(t, "joined", r.Twin.Status.Status)

		c.EnterScope(r.Twin, "gateway/0", nil)
		c.SetAppData(r.Twin, "gateway", map[string]string{"vpn_connected": "true"})
		require.NotContains(t, r.UnitData, "way/0")
		settle(c)
		require.Contains(t, r.UnitData, "way/0")
		require.Equal(t, map[string]string{"vpn_connected": "true"}, r.AppData["way"])

		before := r.Versions["way"]
		c.SetAppData(r.Twin, "gateway", map[string]string{"vpn_connected": "true"})
		settle(c)
		require.Equal(t, before, r.Versions["way"], "the same data again is no change")
		c.SetAppData(r.Twin, "gateway", map[string]string{"vpn_connected": ""})
		settle(c)
		require.Empty(t, r.AppData["way"], "an empty value removes the key")
		require.Greater(t, r.Versions["way"], before)
	})
}

// Whatever is said how quickly, the other side never sees an older word after a newer one, and has the last in the end.
func TestOrderAcrossModels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, _, r := across(t)
		seen, late := 0, 0
		for n := range 300 {
			_ = c.Update(func() error {
				c.SetAppData(r, "meter", map[string]string{"n": strconv.Itoa(n)})
				if n == 0 {
					c.EnterScope(r, "meter/0", nil)
				}
				c.SetUnitData(r, "meter/0", map[string]string{"n": strconv.Itoa(n)})
				return nil
			})
			time.Sleep(37 * time.Millisecond)
			c.View(func() {
				if r.Twin == nil {
					return
				}
				proxy := r.Twin.Endpoints[0].App
				now, _ := strconv.Atoi(r.Twin.AppData[proxy]["n"])
				require.GreaterOrEqual(t, now, seen)
				require.Equal(t, r.Twin.AppData[proxy]["n"], r.Twin.UnitData[proxy+"/0"]["n"], "what was said at once arrives at once")
				if seen = now; now < n {
					late++
				}
			})
		}
		require.Positive(t, seen)
		require.Positive(t, late, "a word takes its moment, if not the last one: what is on its way brings it along")
		settle(c)
		require.Equal(t, "299", r.Twin.AppData[r.Twin.Endpoints[0].App]["n"])
	})
}

// A relation goes when its last unit has taken leave and both models know it, and takes the consumer's stand-in along.
func TestRelationRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, offering, consuming, r := across(t)
		settle(c)
		c.EnterScope(r, "meter/0", nil)
		c.EnterScope(r.Twin, "gateway/0", nil)
		settle(c)
		c.DestroyRelation(r, false)
		require.Equal(t, life.Alive, r.Twin.Life)
		settle(c)
		require.Equal(t, life.Dying, r.Twin.Life)
		require.Len(t, consuming.Relations, 1, "meter/0 has still to run its hooks")

		c.LeaveScope(r, "meter/0")
		settle(c)
		require.Len(t, consuming.Relations, 1, "gateway/0 is still there")
		require.Equal(t, []string{"gateway/0"}, slices.Collect(maps.Keys(r.Twin.UnitData)))
		c.LeaveScope(r.Twin, "gateway/0")
		require.Empty(t, offering.Relations)
		require.Empty(t, offering.Remotes)
		settle(c)
		require.Empty(t, consuming.Relations)
		require.Contains(t, consuming.Remotes, "way", "what is consumed stays until remove-saas")
	})
}

// A relation made again at once waits until the other model is done with the last one.
func TestRelationAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, offering, consuming, r := across(t)
		settle(c)
		c.EnterScope(r.Twin, "gateway/0", nil) // the consuming model does not know it yet
		c.DestroyRelation(r, false)
		require.Empty(t, consuming.Relations)
		again := c.AddRelation(consuming, r.Endpoints[0], r.Endpoints[1])
		c.SetAppData(again, "meter", map[string]string{"instance_name": "meter"})
		settle(c)
		require.Nil(t, again.Twin)
		require.Equal(t, life.Dying, r.Twin.Life)
		c.LeaveScope(r.Twin, "gateway/0")
		settle(c)
		require.Len(t, offering.Relations, 1)
		require.NotSame(t, r.Twin, again.Twin)
		require.Equal(t, map[string]string{"instance_name": "meter"}, again.Twin.AppData[again.Twin.Endpoints[0].App])
	})
}

// Of a relation that is gone before the moment has passed, the other model never hears.
func TestRelationGoneAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, offering, consuming, r := across(t)
		c.DestroyRelation(r, false)
		settle(c)
		require.Empty(t, consuming.Relations)
		require.Empty(t, offering.Relations)
		require.Empty(t, offering.Remotes)
	})
}

// An offer taken back ends its relations and says so to its consumers, whose units still run their hooks.
func TestOfferRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, offering, consuming, r := across(t)
		c.EnterScope(r, "meter/0", nil)
		settle(c)
		c.RemoveOffer(offering, offering.Offers["gateway"])
		require.Empty(t, offering.Relations)
		require.Empty(t, offering.Remotes)
		require.NotEqual(t, "terminated", consuming.Remotes["way"].Status.Status)
		settle(c)
		require.Equal(t, "terminated", consuming.Remotes["way"].Status.Status)
		require.Equal(t, life.Dying, r.Life)
		c.LeaveScope(r, "meter/0")
		require.Empty(t, consuming.Relations)
	})
}

// A model goes with what is in it: an application when its agent is done, at once with force. The other model's units
// still take their leave.
func TestDestroyModel(t *testing.T) {
	for _, force := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c, offering, consuming, r := across(t)
			require.NoError(t, consuming.CheckActive())
			meter := consuming.Apps["meter"]
			meter.Scale = 1
			consuming.addUnit(meter, "meter/0")
			consuming.Units["meter/0"].Agent.Status = "idle"
			c.EnterScope(r, "meter/0", nil)
			settle(c)
			c.EnterScope(r.Twin, "gateway/0", nil)
			settle(c)
			c.DestroyModel(consuming, force)
			require.EqualError(t, consuming.CheckActive(), `model "core" is dying`)
			if !force {
				settle(c)
				require.Contains(t, c.Models, consuming.UUID)
				require.Equal(t, life.Dying, consuming.Units["meter/0"].Life)
				c.LeaveScope(r, "meter/0")
				c.KillUnit(consuming, consuming.Units["meter/0"])
				c.RemoveUnit(consuming, consuming.Units["meter/0"])
				require.Contains(t, c.Models, consuming.UUID, "the relation still has a unit of the other model")
			}
			settle(c)
			require.Equal(t, []string{"gateway/0"}, slices.Collect(maps.Keys(r.Twin.UnitData)))
			c.LeaveScope(r.Twin, "gateway/0")
			settle(c)
			require.NotContains(t, c.Models, consuming.UUID)
			require.Empty(t, offering.Relations)
			require.Empty(t, offering.Remotes)
		})
	}
}

// A unit that was scaled away and is wanted again before its agent was done comes again.
func TestScaleDownAndUp(t *testing.T) {
	c := New()
	m := c.AddModel("downloads", "admin")
	app := &App{Name: "gateway", Life: life.Alive}
	m.Apps[app.Name] = app
	c.SetScale(m, app, 2)
	first := m.Units["gateway/1"]
	first.Agent.Status = "idle"
	c.SetScale(m, app, 1)
	c.SetScale(m, app, 2)
	require.Equal(t, life.Dying, m.Units["gateway/1"].Life, "what has begun to die does not live again")
	c.KillUnit(m, first)
	c.RemoveUnit(m, first)
	require.Equal(t, life.Alive, m.Units["gateway/1"].Life)
	require.NotSame(t, first, m.Units["gateway/1"])

	c.SetScale(m, app, 1)
	require.NotContains(t, m.Units, "gateway/1", "its agent never came")
	c.DestroyApp(m, app, true)
	require.Empty(t, m.Units)
	require.Empty(t, m.Apps)
}

// The lead is one unit's until its lease has run out or it is dead, however many others ask.
func TestLeadership(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New()
		m := c.AddModel("downloads", "admin")
		app := &App{Name: "gateway", Life: life.Alive}
		m.Apps[app.Name] = app
		c.SetScale(m, app, 2)
		claim := func(unit string) (got bool) {
			_ = c.Update(func() error {
				got = c.Claim(app, unit, time.Minute)
				return nil
			})
			return got
		}
		require.True(t, claim("gateway/0"))
		pass(c, 50*time.Second)
		require.True(t, claim("gateway/0"), "its agent is there")
		pass(c, 50*time.Second)
		require.False(t, claim("gateway/1"))
		require.Equal(t, "gateway/0", app.Leader)
		pass(c, 11*time.Second)
		require.Empty(t, app.Leader, "its agent has been gone for a minute")
		require.True(t, claim("gateway/1"))
		require.False(t, claim("gateway/0"), "it has come back too late")

		c.KillUnit(m, m.Units["gateway/1"])
		require.True(t, claim("gateway/0"), "who is dead leads nobody")
	})
}

func TestLogs(t *testing.T) {
	c := New()
	m := c.AddModel("downloads", "admin")
	changed, logged := c.View(func() {}), c.ViewLogs(func() {})
	for n := range keptLogs + 2 {
		c.Log(m, params.LogMessage{Message: strconv.Itoa(n)})
	}
	require.Len(t, m.Logs, keptLogs)
	require.Equal(t, 2, m.LogsDropped)
	require.Equal(t, "2", m.Logs[0].Message)
	<-logged
	select {
	case <-changed:
		require.Fail(t, "a line of the log is no change of the model")
	default:
	}
}
