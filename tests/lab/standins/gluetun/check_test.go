package main

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

// One target that answers is enough, wherever in the list it stands; where none does, the tunnel is made anew. Of more than three gluetun
// asks the first three only, every five minutes: the charm gives it no more.
func TestAnyTargetIsEnough(t *testing.T) {
	tests := []struct {
		summary  string
		targets  []string
		from, to time.Duration // when the tunnel is made anew; 0: it stays
	}{
		{"one that answers", []string{"alive:80"}, 0, 0},
		{"one that does not", []string{"dead:80"}, 6 * time.Second, 6 * time.Second},
		{"the first one dead", []string{"dead:80", "alive:80"}, 0, 0},
		{"two dead", []string{"dead:80", "dead:443", "alive:80"}, 0, 0},
		{"all dead", []string{"dead:80", "dead:443"}, 6 * time.Second, 6 * time.Second},
		{"all dead, later", []string{"dying:80", "dead:443"}, 10 * time.Minute, 10*time.Minute + 3*time.Minute},
		{"the fourth alone", []string{"dead:80", "dead:80", "dead:80", "alive:80"}, 5 * time.Minute, 7 * time.Minute},
	}
	for _, test := range tests {
		t.Run(test.summary, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				c := checked{test.targets, func(ctx context.Context, target string, patience time.Duration) error {
					if target == "alive:80" || target == "dying:80" && time.Since(began) < 10*time.Minute {
						return nil
					}
					select {
					case <-ctx.Done():
					case <-time.After(patience):
					}
					return errors.New("no answer")
				}}
				err := c.atOnce(ctx)
				if err == nil {
					err = c.lasting(ctx)
				}
				if test.to == 0 {
					assert.ErrorIs(t, err, context.DeadlineExceeded)
					return
				}
				assert.NotErrorIs(t, err, context.DeadlineExceeded)
				assert.GreaterOrEqual(t, time.Since(began), test.from)
				assert.LessOrEqual(t, time.Since(began), test.to)
			})
		})
	}
}
