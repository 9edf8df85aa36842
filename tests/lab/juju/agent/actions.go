package agent

import (
	"time"

	"github.com/juju/errors"
	apiservererrors "github.com/juju/juju/apiserver/errors"
	"github.com/juju/juju/rpc/params"
	"github.com/juju/names/v5"

	"github.com/charmarr/charmarr-go/tests/lab/juju/facade"
	"github.com/charmarr/charmarr-go/tests/lab/juju/model"
)

var actionMethods = map[string]Handler{
	"Uniter.WatchActionNotifications": watchKeys(pendingActions),
	"Uniter.Actions":                  facade.Read(actions),
	"Uniter.ActionStatus":             facade.Read(actionStatus),
	"Uniter.BeginActions":             facade.Method(beginActions),
	"Uniter.FinishActions":            facade.Method(finishActions),
	"Uniter.LogActionsMessages":       facade.Method(logActions),
}

func pendingActions(c *Conn, u *model.Unit) map[string]any {
	out := map[string]any{}
	for id, a := range c.Model.Actions {
		if a.Unit == u.Name && a.Status == params.ActionPending {
			out[id] = true
		}
	}
	return out
}

// action is one of the agent's own unit.
func (c *Conn) action(tag string) (*model.Action, error) {
	id, err := facade.TagName(tag, names.ActionTagKind)
	if err != nil {
		return nil, err
	}
	a := c.Model.Actions[id]
	switch {
	case a == nil:
		return nil, errors.NotFoundf("action %q", id)
	case a.Unit != c.Unit:
		return nil, apiservererrors.ErrPerm
	}
	return a, nil
}

func actions(c *Conn, args params.Entities) (results[params.ActionResult], error) {
	return each(args.Entities, func(e params.Entity) params.ActionResult {
		a, err := c.action(e.Tag)
		switch {
		case err != nil:
			return params.ActionResult{Error: facade.Error(err)}
		case a.Status != params.ActionPending:
			return params.ActionResult{Error: facade.Error(apiservererrors.ErrActionNotAvailable)}
		}
		return params.ActionResult{Action: &params.Action{Tag: e.Tag, Receiver: names.NewUnitTag(a.Unit).String(), Name: a.Name, Parameters: a.Params}}
	})
}

func actionStatus(c *Conn, args params.Entities) (results[params.StringResult], error) {
	return each(args.Entities, func(e params.Entity) params.StringResult {
		a, err := c.action(e.Tag)
		if err != nil {
			return params.StringResult{Error: facade.Error(err)}
		}
		return params.StringResult{Result: a.Status}
	})
}

func beginActions(c *Conn, args params.Entities) (params.ErrorResults, error) {
	return facade.Each(args.Entities, func(e params.Entity) error {
		a, err := c.action(e.Tag)
		if err == nil {
			a.Status, a.Started = params.ActionRunning, time.Now()
		}
		return err
	}), nil
}

func finishActions(c *Conn, args params.ActionExecutionResults) (params.ErrorResults, error) {
	return facade.Each(args.Results, func(done params.ActionExecutionResult) error {
		a, err := c.action(done.ActionTag)
		if err == nil {
			a.Status, a.Message, a.Results, a.Completed = done.Status, done.Message, done.Results, time.Now()
		}
		return err
	}), nil
}

func logActions(c *Conn, args params.ActionMessageParams) (params.ErrorResults, error) {
	return facade.Each(args.Messages, func(m params.EntityString) error {
		a, err := c.action(m.Tag)
		if err == nil {
			a.Log = append(a.Log, params.ActionMessage{Timestamp: time.Now(), Message: m.Value})
		}
		return err
	}), nil
}
