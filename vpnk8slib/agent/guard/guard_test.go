package guard

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"golang.org/x/sys/unix"
)

// A kernel that has no hook where an interface takes packets says so in one of two ways, and the second is what it says where there is no
// interface, too: that one is waited for.
func TestLacks(t *testing.T) {
	for summary, test := range map[string]struct {
		tried  kernel
		device string
		said   error
		lacks  bool
	}{
		"no hook":                      {kernel{true, true}, "lo", unix.EOPNOTSUPP, true},
		"no tables for interfaces":     {kernel{true, true}, "lo", unix.ENOENT, true},
		"nor zones":                    {kernel{true, false}, "lo", unix.ENOENT, true},
		"no zones":                     {kernel{false, true}, "lo", unix.EOPNOTSUPP, true},
		"no interface":                 {kernel{true, true}, "nowhere0", unix.ENOENT, false},
		"nothing that could be spared": {kernel{false, true}, "lo", unix.ENOENT, false},
		"not allowed":                  {kernel{true, true}, "lo", unix.EPERM, false},
		"laid":                         {kernel{true, true}, "lo", nil, false},
	} {
		t.Run(summary, func(t *testing.T) {
			said := test.said
			if said != nil {
				said = fmt.Errorf("conn.Receive: netlink receive: %w", said)
			}
			assert.Equal(t, test.lacks, test.tried.lacks(test.device, said))
		})
	}
}
