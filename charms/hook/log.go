package hook

import (
	"fmt"

	"github.com/canonical/pebble/client"
)

// SeeLog calls a function with each line that a service has said since it was started, as far as its Pebble has kept them; the oldest
// first. None of a service that there is not, or that has never run; what it said in its very first moment may be missing, because Pebble notes the
// time of a start after it.
func SeeLog(env Env, container, service string, line func(text string)) error {
	p, err := env.Pebble(container)
	if err != nil {
		return err
	}
	infos, err := p.Services(&client.ServicesOptions{Names: []string{service}})
	if err != nil {
		return fmt.Errorf("cannot ask for service %s of container %s: %w", service, container, err)
	}
	if len(infos) != 1 || infos[0].CurrentSince.IsZero() {
		return nil
	}
	err = p.Logs(&client.LogsOptions{Services: []string{service}, N: -1, WriteLog: func(e client.LogEntry) error {
		if !e.Time.Before(infos[0].CurrentSince) {
			line(e.Message)
		}
		return nil
	}})
	if err != nil {
		return fmt.Errorf("cannot read the log of service %s of container %s: %w", service, container, err)
	}
	return nil
}
