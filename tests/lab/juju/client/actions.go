package client

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/juju/errors"
	"github.com/juju/juju/rpc/params"
	"github.com/juju/names/v5"

	"github.com/charmarr/charmarr-go/tests/lab/juju/facade"
	"github.com/charmarr/charmarr-go/tests/lab/juju/model"
)

var actionMethods = map[string]Handler{
	"Action.EnqueueOperation":          facade.Method(enqueueOperation),
	"Action.Actions":                   facade.Read(actions),
	"Action.ListOperations":            facade.Read(listOperations),
	"Action.Operations":                facade.Read(operations),
	"Action.Cancel":                    facade.Method(cancelActions),
	"Action.ApplicationsCharmsActions": facade.Read(charmsActions),
}

func enqueueOperation(c *Conn, args params.Actions) (params.EnqueuedActions, error) {
	var receivers []string
	name := ""
	for _, a := range args.Actions {
		receivers = append(receivers, a.Receiver)
		if name != "" && name != a.Name {
			name = "multiple actions"
			continue
		}
		name = a.Name
	}
	op := &model.Operation{ID: c.Model.NextTask(), Summary: fmt.Sprintf("%s run on %s", name, strings.Join(receivers, ","))}
	out := params.EnqueuedActions{OperationTag: names.NewOperationTag(op.ID).String()}
	for _, arg := range args.Actions {
		var one params.ActionResult
		if action, err := c.enqueue(op, arg); err != nil {
			one.Error = facade.Error(err)
		} else {
			op.Actions = append(op.Actions, action.ID)
			one = actionResult(action)
		}
		out.Actions = append(out.Actions, one)
	}
	c.Model.Operations[op.ID] = op
	return out, nil
}

func (c *Conn) enqueue(op *model.Operation, arg params.Action) (*model.Action, error) {
	unit, err := c.receiver(arg.Receiver)
	if err != nil {
		return nil, err
	}
	spec, ok := c.Model.Apps[unit.App].Charm.Charm.Actions().ActionSpecs[arg.Name]
	if !ok {
		return nil, errors.Errorf("action %q not defined on unit %q", arg.Name, unit.Name)
	}
	if err := spec.ValidateParams(arg.Parameters); err != nil {
		return nil, err
	}
	filled, err := spec.InsertDefaults(arg.Parameters)
	if err != nil {
		return nil, err
	}
	action := &model.Action{
		ID: c.Model.NextTask(), Operation: op.ID, Unit: unit.Name, Name: arg.Name, Params: filled,
		Status: params.ActionPending, Enqueued: time.Now(),
	}
	c.Model.Actions[action.ID] = action
	return action, nil
}

// receiver is the unit of a tag, or the leader for "app/leader".
func (c *Conn) receiver(text string) (*model.Unit, error) {
	name := ""
	if app, ok := strings.CutSuffix(text, "/leader"); ok {
		a, err := c.app(app)
		if err != nil {
			return nil, err
		}
		if a.Leader == "" {
			return nil, errors.Errorf("could not determine leader for %q", app)
		}
		name = a.Leader
	} else {
		var err error
		if name, err = facade.TagName(text, names.UnitTagKind); err != nil {
			return nil, err
		}
	}
	unit := c.Model.Units[name]
	if unit == nil {
		return nil, errors.NotFoundf("unit %q", name)
	}
	return unit, nil
}

func actionResult(a *model.Action) params.ActionResult {
	return params.ActionResult{
		Action: &params.Action{
			Tag: names.NewActionTag(a.ID).String(), Receiver: names.NewUnitTag(a.Unit).String(), Name: a.Name, Parameters: a.Params,
		},
		Enqueued: a.Enqueued, Started: a.Started, Completed: a.Completed,
		Status: a.Status, Message: a.Message, Log: a.Log, Output: a.Results,
	}
}

func actions(c *Conn, args params.Entities) (params.ActionResults, error) {
	return c.eachAction(args, func(*model.Action) {})
}

func cancelActions(c *Conn, args params.Entities) (params.ActionResults, error) {
	return c.eachAction(args, func(a *model.Action) {
		if a.Status == params.ActionPending {
			a.Status, a.Completed = params.ActionCancelled, time.Now()
		}
	})
}

func (c *Conn) eachAction(args params.Entities, do func(*model.Action)) (params.ActionResults, error) {
	var out params.ActionResults
	for _, e := range args.Entities {
		id, err := facade.TagName(e.Tag, names.ActionTagKind)
		a := c.Model.Actions[id]
		if err == nil && a == nil {
			err = errors.NotFoundf("action %q", id)
		}
		if err != nil {
			out.Results = append(out.Results, params.ActionResult{Error: facade.Error(err)})
			continue
		}
		do(a)
		out.Results = append(out.Results, actionResult(a))
	}
	return out, nil
}

func (c *Conn) operationResult(op *model.Operation) params.OperationResult {
	out := params.OperationResult{OperationTag: names.NewOperationTag(op.ID).String(), Summary: op.Summary, Status: params.ActionCompleted}
	for _, id := range op.Actions {
		a := c.Model.Actions[id]
		out.Actions = append(out.Actions, actionResult(a))
		out.Enqueued, out.Started = a.Enqueued, a.Started
		if a.Completed.After(out.Completed) {
			out.Completed = a.Completed
		}
		if a.Status != params.ActionCompleted {
			out.Status = a.Status
		}
	}
	return out
}

func listOperations(c *Conn, args params.OperationQueryArgs) (params.OperationResults, error) {
	var out params.OperationResults
	if len(args.Applications)+len(args.Units)+len(args.Machines)+len(args.ActionNames) > 0 {
		return out, notDone("a selection of operations")
	}
	byID := func(a, b *model.Operation) int {
		return cmp.Or(cmp.Compare(len(a.ID), len(b.ID)), cmp.Compare(a.ID, b.ID))
	}
	for _, op := range slices.SortedFunc(maps.Values(c.Model.Operations), byID) {
		one := c.operationResult(op)
		if len(args.Status) == 0 || slices.Contains(args.Status, one.Status) {
			out.Results = append(out.Results, one)
		}
	}
	return out, nil
}

func operations(c *Conn, args params.Entities) (params.OperationResults, error) {
	var out params.OperationResults
	for _, e := range args.Entities {
		id, err := facade.TagName(e.Tag, names.OperationTagKind)
		op := c.Model.Operations[id]
		if err == nil && op == nil {
			err = errors.NotFoundf("operation %q", id)
		}
		if err != nil {
			out.Results = append(out.Results, params.OperationResult{Error: facade.Error(err)})
			continue
		}
		out.Results = append(out.Results, c.operationResult(op))
	}
	return out, nil
}

func charmsActions(c *Conn, args params.Entities) (params.ApplicationsCharmActionsResults, error) {
	var out params.ApplicationsCharmActionsResults
	for _, e := range args.Entities {
		one := params.ApplicationCharmActionsResult{ApplicationTag: e.Tag}
		if app, err := c.appByTag(e.Tag); err != nil {
			one.Error = facade.Error(err)
		} else {
			one.Actions = map[string]params.ActionSpec{}
			for name, spec := range app.Charm.Charm.Actions().ActionSpecs {
				one.Actions[name] = params.ActionSpec{Description: spec.Description, Params: spec.Params}
			}
		}
		out.Results = append(out.Results, one)
	}
	return out, nil
}

// logLines are an action's messages in the form its watcher sends them.
func logLines(a *model.Action) []string {
	var out []string
	for _, m := range a.Log {
		line, _ := json.Marshal(m) // a time and a text always marshal
		out = append(out, string(line))
	}
	return out
}
