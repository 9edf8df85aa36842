// Package facade is what the lab controller's two sides share: how a method of Juju's RPC is served from the model in
// memory, and how changes are watched.
package facade

import (
	"encoding/json"
	"fmt"

	apiservererrors "github.com/juju/juju/apiserver/errors"
	"github.com/juju/juju/rpc/params"
	"github.com/juju/names/v5"

	"github.com/charmarr/charmarr-go/tests/lab/juju/model"
)

// Conn is a connection to a controller, of whichever kind.
type Conn interface{ Lab() *model.Controller }

// Handler serves one method of one facade. id names the object for the few facades that have several (watchers).
type Handler[C Conn] func(conn C, id string, args json.RawMessage) (any, error)

// None is the parameter or result of methods without one.
type None struct{}

// Method makes a Handler of a function with typed parameters and result that may change the controller: it runs under
// the lock, and wakes whoever waits for a change.
func Method[C Conn, P, R any](serve func(C, P) (R, error)) Handler[C] {
	return handler(serve, func(ctl *model.Controller, run func() error) error { return ctl.Update(run) })
}

// Read makes a Handler likewise of a function that changes nothing but its own connection's watchers, and wakes nobody.
func Read[C Conn, P, R any](serve func(C, P) (R, error)) Handler[C] {
	return handler(serve, func(ctl *model.Controller, run func() error) (err error) {
		ctl.View(func() { err = run() })
		return err
	})
}

// handler writes the answer under the lock, too: it may hold maps that the next call changes.
func handler[C Conn, P, R any](serve func(C, P) (R, error), under func(*model.Controller, func() error) error) Handler[C] {
	return func(conn C, _ string, raw json.RawMessage) (any, error) {
		var args P
		if len(raw) > 0 {
			if err := json.Unmarshal(raw, &args); err != nil {
				return nil, &params.Error{Code: params.CodeBadRequest, Message: fmt.Sprintf("cannot read the arguments: %v", err)}
			}
		}
		var answer json.RawMessage
		err := under(conn.Lab(), func() error {
			out, err := serve(conn, args)
			if err == nil {
				answer, err = json.Marshal(out)
			}
			return err
		})
		if err != nil {
			return nil, Error(err)
		}
		return answer, nil
	}
}

// NotDone refuses a method that the lab controller has not got.
func NotDone(facade, method string) error {
	return &params.Error{
		Code:    params.CodeNotImplemented,
		Message: fmt.Sprintf("the lab controller does not do %s.%s", facade, method),
	}
}

// Error is an error as the API sends it: its text, and the code that callers act on.
func Error(err error) *params.Error { return apiservererrors.ServerError(err) }

// Each serves a bulk call: one result for each argument, an argument's error in its own result.
func Each[A any](args []A, serve func(A) error) params.ErrorResults {
	out := params.ErrorResults{Results: make([]params.ErrorResult, len(args))}
	for i, arg := range args {
		out.Results[i].Error = Error(serve(arg))
	}
	return out
}

// TagName is the name behind a tag of the kind wanted.
func TagName(text, kind string) (string, error) {
	tag, err := names.ParseTag(text)
	if err != nil {
		return "", err
	}
	if tag.Kind() != kind {
		return "", fmt.Errorf("%q is not a valid %s tag", text, kind)
	}
	return tag.Id(), nil
}
