package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/charmarr/charmarr-go/charms/hook"
)

// The actions run in the workload's container, through its Pebble: in the network of the pod as the workload has it, and
// as the workload's user. The charm's own container sends nothing, but for verify-egress and speedtest, which every consumer has.
var actions = hook.ConsumerActions[Config](container, map[string]hook.Action{"fetch": fetch, "resolve": resolve, "routes": routes, "listen": listen})

type fetchParams struct {
	URL     string `json:"url" validate:"required,http_url"`
	Family  family `json:"family"`
	Timeout int    `json:"timeout" validate:"min=1,max=60"` // seconds
}

func fetch(ctx context.Context, p hook.Params) (map[string]string, error) {
	params, err := hook.ReadParams[fetchParams](p)
	if err != nil {
		return nil, err
	}
	return probe(ctx, seconds(params.Timeout), "fetch", "-family", string(params.Family), "-timeout", seconds(params.Timeout).String(), "--", params.URL)
}

// family is any, 4 or 6; `juju run` hands over a number as such.
type family string

func (f *family) UnmarshalJSON(data []byte) error {
	switch word := strings.Trim(string(data), `"`); word {
	case "any", "4", "6":
		*f = family(word)
		return nil
	default:
		return errors.New("set any, 4 or 6")
	}
}

type resolveParams struct {
	Name    string `json:"name" validate:"required,hostname_rfc1123"`
	Family  family `json:"family"`
	Timeout int    `json:"timeout" validate:"min=1,max=60"` // seconds
	Server  string `json:"server" validate:"omitempty,hostname_port"`
}

func resolve(ctx context.Context, p hook.Params) (map[string]string, error) {
	params, err := hook.ReadParams[resolveParams](p)
	if err != nil {
		return nil, err
	}
	return probe(ctx, seconds(params.Timeout), "resolve", "-family", string(params.Family), "-timeout", seconds(params.Timeout).String(), "-server", params.Server, "--", params.Name)
}

type listenParams struct {
	Port    int `json:"port" validate:"min=1024,max=65535"`
	Seconds int `json:"seconds" validate:"min=1,max=60"`
}

func listen(ctx context.Context, p hook.Params) (map[string]string, error) {
	params, err := hook.ReadParams[listenParams](p)
	if err != nil {
		return nil, err
	}
	return probe(ctx, seconds(params.Seconds), "listen", "-for", seconds(params.Seconds).String(), strconv.Itoa(params.Port))
}

// routes only reads, so it answers in every state.
func routes(ctx context.Context, _ hook.Params) (map[string]string, error) {
	env, err := hook.NewEnv()
	if err != nil {
		return nil, err
	}
	return exec(ctx, env, 5*time.Second, "routes")
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }

// probe runs one command of the workload that sends or takes packets.
func probe(ctx context.Context, takes time.Duration, args ...string) (map[string]string, error) {
	env, err := hook.NewEnv()
	if err != nil {
		return nil, err
	}
	seen, err := hook.SeeConsumer[Config](ctx, env, container)
	if err != nil {
		return nil, err
	}
	if err := mayProbe(seen); err != nil {
		return nil, err
	}
	return exec(ctx, env, takes+3*time.Second, args...)
}

func exec(ctx context.Context, env hook.Env, limit time.Duration, args ...string) (map[string]string, error) {
	out, err := hook.Exec(ctx, env, container, limit, hook.ExecAs{UserID: hook.ID(user), GroupID: hook.ID(user)}, append([]string{program}, args...)...)
	if err != nil {
		return nil, err
	}
	return results(out)
}

// results turns the workload's JSON object into what an action hands back: texts as they are, all else as JSON.
func results(out string) (map[string]string, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal([]byte(out), &fields); err != nil {
		return nil, fmt.Errorf("cannot understand what the workload printed (%q): %w", out, err)
	}
	r := map[string]string{}
	for name, raw := range fields {
		var text string
		if json.Unmarshal(raw, &text) != nil {
			text = string(raw)
		}
		r[name] = text
	}
	return r, nil
}
