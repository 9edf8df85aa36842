package model

import "time"

// Claim gives an application's lead to a unit until the lease runs out, or prolongs the unit's lease. Nobody gets it
// while another has it: an agent that is gone loses it by claiming it no more.
func (c *Controller) Claim(app *App, unit string, lease time.Duration) bool {
	if app.Leader != "" && app.Leader != unit {
		return false
	}
	app.Leader, app.leaseEnds = unit, time.Now().Add(lease)
	time.AfterFunc(lease, func() { c.expire(app) })
	return true
}

// Release takes the lead from a unit that has died.
func (c *Controller) Release(app *App, unit string) {
	if app.Leader == unit {
		app.Leader = ""
	}
}

// expire ends a lease that nobody has prolonged. One that was wakes nobody.
func (c *Controller) expire(app *App) {
	over := func() bool { return app.Leader != "" && !time.Now().Before(app.leaseEnds) }
	ended := false
	c.View(func() { ended = over() })
	if !ended {
		return
	}
	_ = c.Update(func() error { // its function returns nil
		if over() {
			app.Leader = ""
		}
		return nil
	})
}
