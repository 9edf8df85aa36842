//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// told tells of what a consumer hears from its gateway.
//
// told SECONDS MODEL UNIT TEXT [once] lab|juju|kubectl ARG...: runs a command, and waits until what the unit's relations say holds the text; from
// the command on it may not take longer, or from its end on where it is one that waits for what there is to tell
func (w *teller) told(ts *testscript.TestScript, _ bool, a []string) {
	model, unit, text := a[1], a[2], a[3]
	w.within(ts, a[0], unit+" is told "+text, a[4:], func(ctx context.Context) (bool, error) {
		out, err := w.Juju(ctx, "show-unit", "-m", model, unit)
		return strings.Contains(out, text), err
	})
}

// shown tells of what whoever looks at the status sees.
//
// shown SECONDS MODEL UNIT WORKLOAD-STATUS TEXT [once] lab|juju|kubectl ARG...: runs a command, and waits until the unit's status is this, with
// the text; from the command on it may not take longer, or from its end on
func (w *teller) shown(ts *testscript.TestScript, _ bool, a []string) {
	model, unit, current, text := a[1], a[2], a[3], a[4]
	w.within(ts, a[0], fmt.Sprintf("%s is %s %s", unit, current, text), a[5:], func(ctx context.Context) (bool, error) {
		units, err := w.Units(ctx, model)
		u := units[unit]
		return u.Workload == current && strings.Contains(u.Message, text), err
	})
}

// within runs a command, and waits until something is so that was not before: from the command on it may not take longer; with once before
// it, from its end on.
func (w *teller) within(ts *testscript.TestScript, seconds, what string, command []string, is func(context.Context) (bool, error)) {
	ctx := context.Background()
	limit, err := strconv.Atoi(seconds)
	ts.Check(err)
	already, err := is(ctx)
	ts.Check(err)
	if already {
		ts.Fatalf("already: %s", what)
	}
	waits := command[0] == "once"
	if waits {
		command = command[1:]
	}
	if command[0] == "lab" {
		command = command[1:]
	}
	began := time.Now()
	_, err = w.Lab(ctx, command...)
	ts.Check(err)
	if waits {
		began = time.Now()
	}
	var took time.Duration // until the look began that saw it: how long a look takes is the test's own affair
	for {
		at := time.Since(began)
		so, err := is(ctx)
		if err == nil && so {
			took = at
			break
		}
		if at > time.Minute {
			ts.Fatalf("not so: %s: %v", what, err)
		}
		time.Sleep(200 * time.Millisecond)
	}
	ts.Logf("%s after %.1f s", what, took.Seconds())
	if took > time.Duration(limit)*time.Second {
		ts.Fatalf("%s after %.1f s, not within %d", what, took.Seconds(), limit)
	}
}
