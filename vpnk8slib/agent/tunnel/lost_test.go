package tunnel

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// A tunnel that comes up, is lost, and comes back has been reconnected once, by what it was lost; one that is only lost has not.
func TestLost(t *testing.T) {
	var w Watcher
	up := func() { w.lost.back(); w.up.Store(true) }
	counts := func(silent, gone uint64) {
		t.Helper()
		assert.Equal(t, map[string]uint64{"silent": silent, "gone": gone}, w.Lost())
	}
	w.down(overlay.LostGone) // it is not there yet
	up()
	counts(0, 0)
	w.down(overlay.LostSilent)
	w.down(overlay.LostGone) // which its client tries to mend: it is lost once
	counts(0, 0)
	up()
	up()
	counts(1, 0)
	w.down(overlay.LostGone)
	up()
	counts(1, 1)
}
