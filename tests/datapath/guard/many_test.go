//go:build datapath

package guard

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
)

// A pod that is asked on many ports has a guard as well: the kernel's answers to so many rules are more than a socket holds by itself.
func TestAGuardOfManyPorts(t *testing.T) {
	s := newStage(t)
	g := rules
	for port := range uint16(200) {
		g.Inbound = append(g.Inbound, 20000+port)
	}
	s.guard(g)
	_ = s.pod.Do(t, func() error { return udp(9000, nil)(netip.MustParseAddr("198.18.9.1")) })
	assert.Zero(t, s.counted.Of("198.18.9.1"), "LEAK")
	assert.Positive(t, s.dropped()["out"])
}
