package standby

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestDecide(t *testing.T) {
	const self, other = "gluetun-1_b", "gluetun-0_a"
	tests := []struct {
		summary   string
		first     bool
		free      bool
		lease     lease
		unchanged time.Duration
		act       act
	}{
		{"nobody has had it, and this one is to begin", true, false, lease{}, 0, take},
		{"nobody has had it, and another one is to begin: it is given time", false, false, lease{}, begins - 1, wait},
		{"which it did not use", false, false, lease{}, begins, take},
		{"nobody has had it, and nobody can have the tunnel either", false, true, lease{}, Lasts, take},
		{"but may have had it, and not have noticed yet that it was deleted", false, true, lease{}, Lasts - 1, wait},
		{"it is ours", false, false, lease{holder: self, taken: true}, 0, renew},
		{"it is ours, and could not be renewed for long: nobody has taken it", false, false, lease{holder: self, taken: true}, time.Hour, renew},
		{"another one renews it", true, false, lease{holder: other, taken: true}, looks, wait},
		{"another one has not renewed it for a moment", true, false, lease{holder: other, taken: true}, Lasts - 1, wait},
		{"another one is lost", false, false, lease{holder: other, taken: true}, Lasts, take},
		{"another one has given it back", false, false, lease{taken: true}, 0, take},
		{"a pod of our own name, from before", true, false, lease{holder: "gluetun-1_a", taken: true}, 0, wait},
	}
	for _, test := range tests {
		t.Run(test.summary, func(t *testing.T) {
			assert.Equal(t, test.act, decide(self, test.first, test.free, test.lease, test.unchanged))
		})
	}
	assert.Equal(t, "gluetun-1", podOf(self))
	assert.Empty(t, podOf(""))
}

// Whoever cannot renew it has stopped before anybody else may begin, however late he began his last try.
func TestOneStopsBeforeAnotherBegins(t *testing.T) {
	assert.Less(t, Safe+looks, Lasts)
	assert.Less(t, renews+patient+again, Safe, "one failure is no reason to stop")
}
