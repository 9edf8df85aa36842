package world

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Ran counts how often a unit has run a hook to its end, by Juju's own log.
func (w World) Ran(ctx context.Context, model, unit, hook string) (int, error) {
	out, err := w.Juju(ctx, "debug-log", "-m", model, "--replay", "--no-tail", "--include", "unit-"+strings.ReplaceAll(unit, "/", "-"))
	return strings.Count(out, fmt.Sprintf("ran %q hook", hook)), err
}

// After does something and waits until the unit has run the hook that it leads to.
func (w World) After(ctx context.Context, limit time.Duration, model, unit, hook string, do func() error) error {
	before, err := w.Ran(ctx, model, unit, hook)
	if err != nil {
		return err
	}
	if err := do(); err != nil {
		return err
	}
	return Until(ctx, limit, func() string {
		n, err := w.Ran(ctx, model, unit, hook)
		if err != nil {
			return err.Error()
		}
		if n == before {
			return unit + " has not run " + hook
		}
		return ""
	})
}
