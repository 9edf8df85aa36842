package world

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Who listens counts once, at whatever address; who is connected does not.
func TestListeners(t *testing.T) {
	ports, err := listeners(`  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   1: 0500002A:D431 0900002A:01BB 01 00000000:00000000 00:00000000 00000000     0        0 2 1 0 100 0 0 10 0
  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000000000000:979C 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 3 1 0 100 0 0 10 0
   1: 00000000000000000000000000000000:1F40 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4 1 0 100 0 0 10 0
`)
	require.NoError(t, err)
	assert.Equal(t, []uint16{8000, 38812}, ports)
	_, err = listeners("0: 0100007F:XYZ 00000000:0000 0A 0\n")
	assert.Error(t, err)
}
