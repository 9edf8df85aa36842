package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"
)

// checked are the targets through which the tunnel is tried, as in gluetun's internal/healthcheck: any that answers will do.
type checked struct {
	targets []string
	dial    func(ctx context.Context, target string, patience time.Duration) error
}

// atOnce tries all of them, side by side, when the tunnel is up.
func (c checked) atOnce(ctx context.Context) error {
	answers := make(chan error, len(c.targets))
	for _, target := range c.targets {
		go func() { answers <- c.dial(ctx, target, 6*time.Second) }()
	}
	var errs []error
	for range c.targets {
		err := <-answers
		if err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// inTurn tries one after the other, and the first again after the last, as often as there are patiences, in seconds.
func (c checked) inTurn(ctx context.Context, what string, patiences ...time.Duration) error {
	for i, patience := range patiences {
		if c.dial(ctx, c.targets[i%len(c.targets)], patience*time.Second) == nil {
			return nil
		}
	}
	return fmt.Errorf("%s periodic check: all check tries failed", what)
}

// lasting returns when a check has failed, or ctx has ended. The small one is a ping of gluetun's, and a connection here, which the lab's
// targets take as well.
func (c checked) lasting(ctx context.Context) error {
	small, full := time.NewTimer(time.Minute), time.NewTimer(5*time.Minute)
	defer small.Stop()
	defer full.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-small.C:
			err = c.inTurn(ctx, "small", 5, 5, 5, 10, 10, 10, 15, 15, 15, 30)
			small.Reset(time.Minute)
		case <-full.C:
			err = c.inTurn(ctx, "full", 10, 15, 30)
			full.Reset(5 * time.Minute)
		}
		if err != nil {
			return err
		}
	}
}

func dial(ctx context.Context, target string, patience time.Duration) error {
	d := net.Dialer{Timeout: patience}
	c, err := d.DialContext(ctx, "tcp4", target)
	if err != nil {
		return err
	}
	return c.Close()
}
