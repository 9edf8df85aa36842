package hook

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/canonical/pebble/client"
	"gopkg.in/yaml.v3"
)

// settle is how long Pebble may take over a change: it gives a service 1 s to show that it stays up, and a stopping one
// its kill-delay. Waiting for the end of a stop is what makes Release safe.
const settle = 30 * time.Second

func applyWorkload(env Env, w Workload) error {
	checks := w.Layer.Checks
	if w.Mode == AsIs { // in a pod that is new nothing says when the overlay is there, and the rest is as it was
		checks = map[string]Check{}
		if c, ok := w.Layer.Checks[OverlayCheck]; ok {
			checks[OverlayCheck] = c
		}
		if len(checks) == 0 {
			return nil
		}
	}
	p, err := env.Pebble(w.Container)
	if errors.Is(err, errDown) && w.Mode != Running {
		return nil // nothing runs under a Pebble that is not there, and its coming brings a hook
	}
	if err != nil {
		return err
	}
	if w.Mode == Running {
		return run(p, w)
	}
	if w.Mode == Stopped {
		if err := stopAll(p, w.Container); err != nil {
			return err
		}
	}
	_, err = ensureLayer(p, w.Container, Layer{Checks: checks})
	return err
}

func run(p Pebble, w Workload) error {
	for _, d := range w.Dirs {
		if err := ensureDir(p, d); err != nil {
			return err
		}
	}
	if err := writeFiles(p, w); err != nil {
		return err
	}
	planned, err := ensureLayer(p, w.Container, w.Layer)
	if err != nil {
		return err
	}
	running, err := runningServices(p)
	if err != nil {
		return err
	}
	var missing []string
	for name := range w.Layer.Services {
		if !slices.Contains(running, name) {
			missing = append(missing, name)
		}
	}
	if planned && len(missing) == 0 {
		return nil
	}
	logInfo("container %s: replanned (new plan: %t, not running before: %v)", w.Container, !planned, missing)
	return replan(p)
}

// replan starts what the plan has and does not run, one that is on its way down when it has ended. When that is Pebble does not tell: to
// its API such a service is inactive, as it is when it has ended. So it is asked to start it, again and again.
func replan(p Pebble) error {
	const pause = 200 * time.Millisecond
	for until := time.Now().Add(settle); ; time.Sleep(pause) {
		err := wait(p, func() (string, error) { return p.Replan(&client.ServiceOptions{}) })
		if !ending(err) || time.Now().After(until) {
			return err
		}
	}
}

// ending holds for what Pebble says of a service that somebody is stopping, or that it stops by itself because a check has failed: it counts
// as inactive from the first signal on, and cannot be started before it has ended.
func ending(err error) bool {
	return err != nil && strings.Contains(err.Error(), "cannot start service while ")
}

// ensureLayer adds the layer when the plan differs from it, and says whether it was there. Checks begin at once; services
// wait for a replan.
func ensureLayer(p Pebble, label string, want Layer) (planned bool, err error) {
	if len(want.Services)+len(want.Checks) == 0 {
		return true, nil
	}
	have, err := plan(p)
	if err != nil {
		return false, err
	}
	if len(want.Services) > 0 { // what is stopped says nothing
		want.LogTargets = turnedOff(want.LogTargets, have.LogTargets)
	}
	if has(have, want) {
		return true, nil
	}
	data, err := yaml.Marshal(want)
	if err != nil {
		return false, fmt.Errorf("cannot write the layer: %w", err)
	}
	if err := p.AddLayer(&client.AddLayerOptions{Label: label, Combine: true, LayerData: data}); err != nil {
		return false, fmt.Errorf("cannot add the layer: %w", err)
	}
	return false, nil
}

// writeFiles writes what differs, and stops the services first. If this hook ends half way, the next one finds them
// stopped and starts them on the whole set. What Pebble was just ending by itself may have come up on half of it: it is stopped as well.
func writeFiles(p Pebble, w Workload) error {
	var differing []File
	for _, f := range w.Files {
		same, err := sameFile(p, f)
		if err != nil {
			return err
		}
		if !same {
			differing = append(differing, f)
		}
	}
	if len(differing) == 0 {
		return nil
	}
	if err := stopAll(p, w.Container); err != nil {
		return err
	}
	for _, f := range differing {
		err := p.Push(&client.PushOptions{Path: f.Path, Source: strings.NewReader(f.Content), MakeDirs: true, Permissions: f.Mode, UserID: f.UserID, GroupID: f.GroupID})
		if err != nil {
			return fmt.Errorf("cannot write %s: %w", f.Path, err)
		}
		logInfo("container %s: wrote %s", w.Container, f.Path)
	}
	return stopAll(p, w.Container)
}

// sameFile compares by content: these files are small, and Pebble lists no hashes. Mode and owner count too.
func sameFile(p Pebble, f File) (bool, error) {
	infos, err := p.ListFiles(&client.ListFilesOptions{Path: f.Path, Itself: true})
	if notFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("cannot look at %s: %w", f.Path, err)
	}
	if f.Seed {
		return true, nil
	}
	if len(infos) != 1 || infos[0].Mode().Perm() != f.Mode.Perm() || !sameID(f.UserID, infos[0].UserID()) || !sameID(f.GroupID, infos[0].GroupID()) {
		return false, nil
	}
	var have bytes.Buffer
	if err := p.Pull(&client.PullOptions{Path: f.Path, Target: &have}); err != nil {
		return false, fmt.Errorf("cannot read %s: %w", f.Path, err)
	}
	return have.String() == f.Content, nil
}

func sameID(want, have *int) bool { return want == nil || (have != nil && *have == *want) }

func ensureDir(p Pebble, d Dir) error {
	_, err := p.ListFiles(&client.ListFilesOptions{Path: d.Path, Itself: true})
	if err == nil {
		return nil
	}
	if !notFound(err) {
		return fmt.Errorf("cannot look at %s: %w", d.Path, err)
	}
	err = p.MakeDir(&client.MakeDirOptions{Path: path.Clean(d.Path), MakeParents: true, Permissions: d.Mode, UserID: d.UserID, GroupID: d.GroupID})
	if err != nil {
		return fmt.Errorf("cannot make %s: %w", d.Path, err)
	}
	return nil
}

// notFound is Pebble's answer for a path that is not there: an error kind of its files API, or a plain 404.
func notFound(err error) bool {
	var e *client.Error
	return errors.As(err, &e) && (e.Kind == "not-found" || e.StatusCode == 404)
}

// plan is what all layers come to.
func plan(p Pebble) (have Layer, err error) {
	data, err := p.PlanBytes(&client.PlanOptions{})
	if err == nil {
		err = yaml.Unmarshal(data, &have)
	}
	if err != nil {
		return Layer{}, fmt.Errorf("cannot read the plan: %w", err)
	}
	return have, nil
}

// has says whether every part of a layer stands in the plan as we want it.
func has(have, want Layer) bool {
	for name, s := range want.Services {
		if len(s.Environment) == 0 {
			s.Environment = have.Services[name].Environment
			if len(s.Environment) != 0 {
				return false
			}
		}
		if !reflect.DeepEqual(s, have.Services[name]) {
			return false
		}
	}
	for name, c := range want.Checks {
		if !reflect.DeepEqual(withDefaults(c), withDefaults(have.Checks[name])) {
			return false
		}
	}
	for name, t := range want.LogTargets {
		if !reflect.DeepEqual(t, have.LogTargets[name]) {
			return false
		}
	}
	return true
}

// withDefaults adds what Pebble fills in where a check says nothing.
func withDefaults(c Check) Check {
	if c.Period == "" {
		c.Period = "10s"
	}
	if c.Timeout == "" {
		c.Timeout = "3s"
	}
	if c.Threshold == 0 {
		c.Threshold = 3
	}
	return c
}

func stopAll(p Pebble, container string) error {
	running, err := runningServices(p)
	if err != nil || len(running) == 0 {
		return err
	}
	logInfo("container %s: stopping %s", container, strings.Join(running, ", "))
	return wait(p, func() (string, error) { return p.Stop(&client.ServiceOptions{Names: running}) })
}

// allEnded waits until nothing runs behind whose stop something is released.
func allEnded(env Env, d Desired) error {
	for _, w := range d.Workloads {
		if w.Mode != Stopped || len(d.Release) == 0 {
			continue
		}
		if err := ended(env, w); err != nil {
			return err
		}
	}
	return nil
}

// ended waits for the end of a stop that somebody else has begun: a service counts as inactive then while it still runs.
func ended(env Env, w Workload) error {
	p, err := env.Pebble(w.Container)
	if errors.Is(err, errDown) {
		return nil
	}
	if err != nil {
		return err
	}
	changes, err := p.Changes(&client.ChangesOptions{Selector: client.ChangesInProgress})
	if err != nil {
		return fmt.Errorf("container %s: cannot list what Pebble does: %w", w.Container, err)
	}
	for _, c := range changes {
		if c.Kind != "stop" && c.Kind != "restart" {
			continue
		}
		if err := wait(p, func() (string, error) { return c.ID, nil }); err != nil {
			return fmt.Errorf("container %s: cannot see the end of a stop: %w", w.Container, err)
		}
	}
	return nil
}

// runningServices counts one that Pebble is about to start again as running: it may be up in the next moment.
func runningServices(p Pebble) ([]string, error) {
	infos, err := p.Services(&client.ServicesOptions{})
	if err != nil {
		return nil, fmt.Errorf("cannot list the services: %w", err)
	}
	var names []string
	for _, s := range infos {
		if s.Current == client.StatusActive || s.Current == client.StatusBackoff {
			names = append(names, s.Name)
		}
	}
	return names, nil
}

func wait(p Pebble, start func() (string, error)) error {
	id, err := start()
	if err != nil {
		return err
	}
	change, err := p.WaitChange(id, &client.WaitChangeOptions{Timeout: settle})
	if err != nil {
		return err
	}
	if change != nil && change.Err != "" {
		return fmt.Errorf("change %s failed: %s", id, change.Err)
	}
	return nil
}
