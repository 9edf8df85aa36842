package hook

import (
	"context"
	"fmt"
)

// Seeing makes an action of its parameters P and of what a hook of the charm sees, S.
func Seeing[P, S any](see func(context.Context, Env) (S, error), do func(context.Context, Env, P, S) (map[string]string, error)) Action {
	return func(ctx context.Context, p Params) (map[string]string, error) {
		params, err := ReadParams[P](p)
		if err != nil {
			return nil, err
		}
		env, err := NewEnv()
		if err != nil {
			return nil, err
		}
		seen, err := see(ctx, env)
		if err != nil {
			return nil, err
		}
		return do(ctx, env, params, seen)
	}
}

// cannot puts these words before see's error.
func cannot[S any](words string, see func(context.Context, Env) (S, error)) func(context.Context, Env) (S, error) {
	return func(ctx context.Context, env Env) (S, error) {
		seen, err := see(ctx, env)
		if err != nil {
			err = fmt.Errorf("cannot %s: %w", words, err)
		}
		return seen, err
	}
}
