package agent

import (
	"encoding/json"

	apiservererrors "github.com/juju/juju/apiserver/errors"
	"github.com/juju/juju/core/leadership"
	"github.com/juju/juju/core/life"
	"github.com/juju/juju/rpc/params"
	"github.com/juju/names/v5"

	"github.com/charmarr/charmarr-go/tests/lab/juju/facade"
)

var leadershipMethods = map[string]Handler{
	"LeadershipService.ClaimLeadership":              facade.Method(claimLeadership),
	"LeadershipService.BlockUntilLeadershipReleased": blockUntilReleased,
	"Uniter.WatchLeadershipSettings":                 neverOf,
}

// claimLeadership gives the lead to the first who asks, and to another only when that unit has gone. Juju takes it
// away from an agent that stays silent, too; here it waits for the pod to come again.
func claimLeadership(c *Conn, args params.ClaimLeadershipBulkParams) (params.ErrorResults, error) {
	return facade.Each(args.Params, func(claim params.ClaimLeadershipParams) error {
		app, err := c.app()
		switch {
		case err != nil:
			return err
		case claim.UnitTag != names.NewUnitTag(c.Unit).String() || claim.ApplicationTag != names.NewApplicationTag(c.App).String():
			return apiservererrors.ErrPerm
		}
		if leader := c.Model.Units[app.Leader]; leader == nil || leader.Life == life.Dead {
			app.Leader = c.Unit
		}
		if app.Leader != c.Unit {
			return leadership.ErrClaimDenied
		}
		return nil
	}), nil
}

// blockUntilReleased answers when the lead is to be had.
func blockUntilReleased(c *Conn, _ string, _ json.RawMessage) (any, error) {
	var free func() any
	id := ""
	c.Controller.View(func() {
		leader := c.Model.Apps[c.App].Leader
		free = func() any {
			a := c.Model.Apps[c.App]
			return a != nil && a.Leader == leader
		}
		id = c.notify(free)
	})
	_, _, err := c.watchers.Next(c.Controller, id)
	return params.ErrorResult{Error: facade.Error(err)}, nil
}
