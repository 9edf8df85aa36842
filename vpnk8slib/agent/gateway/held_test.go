package gateway

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// Since when packets come back, or do not: whoever compares it with another report takes the later one. That they never did says nothing.
func TestHeldSinceWhen(t *testing.T) {
	up := false
	k := &Keeper{Tunnel: func() bool { return up }}
	assert.Zero(t, k.Held().Turned, "an agent that has begun anew does not know yet")
	var before time.Time
	for _, up = range []bool{true, false, true} {
		held := k.Held()
		assert.Equal(t, up, held.Tunnel)
		assert.True(t, held.Turned.After(before))
		before = held.Turned
		assert.Equal(t, before, k.Held().Turned, "it is as it was")
	}
}
