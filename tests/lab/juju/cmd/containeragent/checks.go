package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/canonical/pebble/client"
	"github.com/juju/juju/juju/sockets"
	"github.com/juju/juju/worker/uniter"
	"github.com/juju/loggo"
	"github.com/juju/names/v5"
	"github.com/juju/utils/v3/exec"
)

var logger = loggo.GetLogger("juju.worker.uniter.checks")

const (
	dataDir    = "/var/lib/juju"
	containers = "/charm/containers"
	// waitNotices is how long one question to a Pebble stays open.
	waitNotices = 30 * time.Second
	retryAfter  = 2 * time.Second
)

// watchChecks gives the charm the events <container>-pebble-check-failed and -recovered, which Juju has from 3.6 on:
// as there, a check that reached its threshold is a "perform-check" change in error, and its recovery a "recover-check"
// change that is done.
func watchChecks(ctx context.Context) {
	for _, name := range strings.Split(os.Getenv("JUJU_CONTAINER_NAMES"), ",") {
		if name != "" {
			go watchContainer(ctx, name)
		}
	}
}

func watchContainer(ctx context.Context, container string) {
	var after time.Time
	for ctx.Err() == nil {
		pebble, err := client.New(&client.Config{Socket: filepath.Join(containers, container, "pebble.socket")})
		if err != nil {
			logger.Errorf("cannot watch the checks of %s: %v", container, err)
			return
		}
		notices, err := pebble.WaitNotices(ctx, waitNotices, &client.NoticesOptions{
			Types: []client.NoticeType{client.ChangeUpdateNotice}, After: after,
		})
		if err != nil {
			// The container's Pebble has not begun, or begins anew.
			sleep(ctx, retryAfter)
			continue
		}
		for _, notice := range notices {
			change, err := pebble.Change(notice.Key)
			var gone *client.Error
			if err != nil && !(errors.As(err, &gone) && gone.StatusCode == http.StatusNotFound) {
				sleep(ctx, retryAfter)
				break // asked again, from this notice on
			}
			after = notice.LastRepeated
			if err != nil {
				continue // Pebble forgets old changes
			}
			event := ""
			switch {
			case change.Kind == "perform-check" && change.Status == "Error":
				event = "failed"
			case change.Kind == "recover-check" && change.Status == "Done":
				event = "recovered"
			default:
				continue
			}
			dispatch(ctx, container, notice.LastData["check-name"], event)
		}
	}
}

// dispatch runs the charm until it succeeds, through the agent's own way for commands in a hook's context: between
// hooks, and committed like one.
func dispatch(ctx context.Context, container, check, event string) {
	hook := fmt.Sprintf("%s-pebble-check-%s", container, event)
	script := fmt.Sprintf(
		"cd \"$CHARM_DIR\" && JUJU_HOOK_NAME=%[1]s JUJU_DISPATCH_PATH=hooks/%[1]s JUJU_WORKLOAD_NAME=%[2]s JUJU_PEBBLE_CHECK_NAME=%[3]s exec ./dispatch",
		hook, container, check)
	for ctx.Err() == nil {
		result, err := execute(script)
		switch {
		case err != nil:
			logger.Debugf("cannot run %s yet: %v", hook, err)
		case result.Code != 0:
			logger.Errorf("hook %q failed: exit status %d: %s%s", hook, result.Code, result.Stdout, result.Stderr)
		default:
			logger.Infof("ran %q hook for check %q", hook, check)
			return
		}
		sleep(ctx, retryAfter)
	}
}

func execute(script string) (*exec.ExecResponse, error) {
	units, err := filepath.Glob(filepath.Join(dataDir, "agents", "unit-*"))
	if err != nil || len(units) != 1 {
		return nil, fmt.Errorf("cannot find the unit's folder: %d there", len(units))
	}
	tag, err := names.ParseUnitTag(filepath.Base(units[0]))
	if err != nil {
		return nil, err
	}
	conn, err := sockets.Dial(uniter.NewPaths(dataDir, tag, nil).Runtime.LocalJujuExecSocket.Client)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	var result exec.ExecResponse
	err = conn.Call(uniter.JujuExecEndpoint, uniter.RunCommandsArgs{Commands: script, RelationId: -1, UnitName: tag.Id()}, &result)
	return &result, err
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
