package agent

import (
	"encoding/json"
	"time"

	"github.com/juju/errors"
	apiservererrors "github.com/juju/juju/apiserver/errors"
	"github.com/juju/juju/core/leadership"
	"github.com/juju/juju/rpc/params"
	"github.com/juju/names/v5"

	"github.com/charmarr/charmarr-go/tests/lab/juju/facade"
)

var leadershipMethods = map[string]Handler{
	"LeadershipService.ClaimLeadership":              facade.Method(claimLeadership),
	"LeadershipService.BlockUntilLeadershipReleased": blockUntilReleased,
	"Uniter.WatchLeadershipSettings":                 neverOf,
}

// The shortest and the longest lease that Juju gives; its agents ask for one minute, and again after half of it.
const shortestLease, longestLease = 5 * time.Second, 5 * time.Minute

// claimLeadership gives the lead to who asks first, and to another once that unit is dead or has not asked again in time.
func claimLeadership(c *Conn, args params.ClaimLeadershipBulkParams) (params.ErrorResults, error) {
	return facade.Each(args.Params, func(claim params.ClaimLeadershipParams) error {
		app, err := c.app()
		lease := time.Duration(claim.DurationSeconds * float64(time.Second))
		switch {
		case lease < shortestLease || lease > longestLease:
			return errors.New("invalid duration")
		case claim.UnitTag != names.NewUnitTag(c.Unit).String() || claim.ApplicationTag != names.NewApplicationTag(c.App).String():
			return apiservererrors.ErrPerm
		case err != nil:
			return err
		case !c.Controller.Claim(app, c.Unit, lease):
			return leadership.ErrClaimDenied
		}
		return nil
	}), nil
}

// blockUntilReleased answers when nobody leads the application: then the lead is to be had.
func blockUntilReleased(c *Conn, _ string, _ json.RawMessage) (any, error) {
	led := func() map[string]any {
		app := c.Model.Apps[c.App]
		return map[string]any{"": app != nil && app.Leader != ""}
	}
	id := c.watchers.Add(led, map[string]any{"": true})
	_, _, err := c.watchers.Next(c.Controller, id)
	_ = c.watchers.Stop(id) // it is there, or the connection has ended
	return params.ErrorResult{Error: facade.Error(err)}, nil
}
