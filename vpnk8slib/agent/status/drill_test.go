package status

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// A charm asks for a drill over the socket, and is told until when, or why there is none.
func TestDrill(t *testing.T) {
	until := time.Date(2026, 11, 27, 12, 0, 5, 0, time.UTC)
	for _, c := range []struct {
		name    string
		seconds int
		drill   Drill
		fails   string
	}{
		{"it is down", 5, func(d time.Duration) (time.Time, error) {
			assert.Equal(t, 5*time.Second, d)
			return until, nil
		}, ""},
		{"too long", 31, func(time.Duration) (time.Time, error) { return until, errors.New("asked") }, "seconds must be a number from 1 to 30"},
		{"not at all", 0, func(time.Duration) (time.Time, error) { return until, errors.New("asked") }, "seconds must be a number from 1 to 30"},
		{"it cannot", 5, func(time.Duration) (time.Time, error) { return time.Time{}, errors.New("the overlay is not laid") }, "the overlay is not laid"},
		{"no overlay of its own", 5, nil, "this agent has no overlay"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, end := context.WithCancel(t.Context())
			defer end()
			socket := filepath.Join(t.TempDir(), "agent.sock")
			ended := make(chan error, 1)
			go func() {
				ended <- Serve(ctx, socket, func() overlay.Report { return overlay.Report{} }, c.drill, nil)
			}()
			require.Eventually(t, func() bool {
				_, up := overlay.Ask(ctx, socket)
				return up == nil
			}, 5*time.Second, 10*time.Millisecond)
			got, err := overlay.Drill(ctx, socket, c.seconds)
			if c.fails != "" {
				assert.ErrorContains(t, err, c.fails)
			} else {
				require.NoError(t, err)
				assert.Equal(t, until, got.Until)
			}
			end()
			assert.NoError(t, <-ended)
		})
	}
}
