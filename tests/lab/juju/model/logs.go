package model

import "github.com/juju/juju/rpc/params"

// keptLogs is how many messages a model keeps at most.
const keptLogs = 50000

// Log adds to a model's log. It wakes those who read logs, and nobody who waits for a change: agents say a lot.
func (c *Controller) Log(m *Model, message params.LogMessage) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m.Logs = append(m.Logs, message)
	if drop := len(m.Logs) - keptLogs; drop > 0 {
		m.Logs, m.LogsDropped = m.Logs[drop:], m.LogsDropped+drop
	}
	close(c.logged)
	c.logged = make(chan struct{})
}

// ViewLogs reads like View; the channel closes at the next message.
func (c *Controller) ViewLogs(look func()) <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	look()
	return c.logged
}
