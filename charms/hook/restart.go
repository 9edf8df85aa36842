package hook

import (
	"fmt"

	"github.com/canonical/pebble/client"
)

// Restart stops what runs in a container, and starts it again. It waits for both.
func Restart(env Env, container string) error {
	p, err := env.Pebble(container)
	if err != nil {
		return err
	}
	running, err := runningServices(p)
	if err == nil && len(running) == 0 {
		err = fmt.Errorf("nothing runs in container %s", container)
	}
	if err == nil {
		if err = wait(p, func() (string, error) { return p.Restart(&client.ServiceOptions{Names: running}) }); ending(err) {
			err = replan(p)
		}
	}
	if err != nil {
		return fmt.Errorf("cannot start the services of container %s again: %w", container, err)
	}
	return nil
}
