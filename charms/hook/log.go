package hook

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/canonical/pebble/client"
)

// SeeLog calls a function with each line that a service has said since then, as far as its Pebble has kept them; the oldest first. Of a
// container whose Pebble is not there, and a service that there is not, there are none. It asks for as long as Look at most.
func SeeLog(env Env, container, service string, since time.Time, line func(text string)) error {
	p, err := env.Pebble(container)
	if errors.Is(err, errDown) {
		return nil
	}
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	lines := make(chan string)
	ctx, cancel := context.WithTimeout(context.Background(), Look)
	defer cancel()
	go func() {
		ended <- p.Logs(&client.LogsOptions{Services: []string{service}, N: -1, WriteLog: func(e client.LogEntry) error {
			if e.Time.Before(since) {
				return nil
			}
			select {
			case lines <- e.Message:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}})
	}()
	for {
		select {
		case text := <-lines:
			line(text)
		case err := <-ended:
			if err != nil {
				return fmt.Errorf("cannot read the log of service %s of container %s: %w", service, container, err)
			}
			return nil
		case <-ctx.Done():
			return fmt.Errorf("cannot read the log of service %s of container %s: %w", service, container, ctx.Err())
		}
	}
}
