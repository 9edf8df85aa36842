// Command toolcharm is the dispatch of a charm with no workload, which does with charms/hook whatever its options say. It
// keeps what each hook asked the real hook tools, and what they said: tests/e2e/testdata/hook-tools.txtar reads it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/charmarr/charmarr-go/charms/hook"
	"github.com/charmarr/charmarr-go/vpnk8slib"
)

func main() {
	if name := filepath.Base(os.Args[0]); name != "dispatch" {
		os.Exit(relay(name, os.Args[1:]))
	}
	if err := listen(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	hook.Main(run, map[string]hook.Action{"calls": calls, "refusals": refusals, "duplicate": duplicate})
}

type config struct {
	Note  string `json:"note"`
	Say   string `json:"say"`
	Own   string `json:"own"`
	Key   string `json:"key"`
	Ports string `json:"ports"`
}

type observed struct {
	hook.Unit
	config config
	taken  []vpnk8slib.Relation
	key    map[string]string
	keyErr error // only ErrNoSecret
}

func run(ctx context.Context) error {
	o, err := observe()
	if err != nil {
		return err
	}
	d, err := reconcile(o)
	if err != nil {
		return err
	}
	env, err := hook.NewEnv()
	if err != nil {
		return err
	}
	return hook.Apply(ctx, env, o.Unit, d)
}

func observe() (o observed, err error) {
	if o.Unit, err = hook.ReadUnit(); err != nil {
		return o, err
	}
	if o.config, err = hook.Config[config](); err != nil {
		return o, err
	}
	if strings.HasSuffix(o.Event, "-relation-broken") { // what a charm hears that does not know better
		id, app := os.Getenv("JUJU_RELATION_ID"), os.Getenv("JUJU_REMOTE_APP")
		_ = exec.Command("relation-get", "-r="+id, "-", app, "--app").Run()
	}
	if o.taken, err = hook.Relations("take"); err != nil || o.config.Key == "" {
		return o, err
	}
	if o.key, err = hook.Secret(o.config.Key); errors.Is(err, hook.ErrNoSecret) {
		o.keyErr, err = err, nil
	}
	return o, err
}

func reconcile(o observed) (d hook.Desired, err error) {
	if d.Ports, err = ports(o.config.Ports); err != nil {
		return d, err
	}
	d.Publish = map[string]map[string]string{"give": {"say": o.config.Say}}
	if o.config.Own != "" {
		d.Secrets = []hook.SecretWant{{Label: "own", Description: "What own says.", Content: map[string]string{"value": o.config.Own}}}
	}
	var heard []string
	for _, r := range o.taken {
		heard = append(heard, r.Remote["say"]+" of "+r.App)
	}
	if len(heard) == 0 {
		heard = []string{"nothing"}
	}
	d.Status = hook.Active("takes " + strings.Join(heard, ", "))
	switch {
	case o.keyErr != nil:
		d.Status = hook.Blocked(o.keyErr.Error())
	case o.key != nil:
		d.Status = d.Status.With("key says " + o.key["value"])
	}
	d.Status = d.Status.With(o.config.Note)
	return d, nil
}

// ports is never nil: an empty list closes what is open.
func ports(list string) ([]int, error) {
	out := []int{}
	for _, word := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' }) {
		port, err := strconv.Atoi(word)
		if err != nil {
			return nil, fmt.Errorf("cannot read the option ports: %w", err)
		}
		out = append(out, port)
	}
	return out, nil
}
