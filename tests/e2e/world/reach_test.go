package world

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Who listens counts once, at whatever address; who is connected does not.
func TestSockets(t *testing.T) {
	ports, err := sockets(`  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   1: 0500002A:D431 0900002A:01BB 01 00000000:00000000 00:00000000 00000000     0        0 2 1 0 100 0 0 10 0
  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000000000000:979C 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 3 1 0 100 0 0 10 0
   1: 00000000000000000000000000000000:1F40 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4 1 0 100 0 0 10 0
`, listen)
	require.NoError(t, err)
	assert.Equal(t, []uint16{8000, 38812}, ports)
	_, err = sockets("0: 0100007F:XYZ 00000000:0000 0A 0\n", listen)
	assert.Error(t, err)
	ports, err = sockets(`   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  211: 00000000:12B6 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 7 2 0 0
  213: 0500002A:9C41 0A002B0A:0035 01 00000000:00000000 00:00000000 00000000     0        0 8 2 0 0
`, unconnected)
	require.NoError(t, err)
	assert.Equal(t, []uint16{4790}, ports)
}

func TestPassed(t *testing.T) {
	const noted = `table inet reached {
	set seen {
		type ipv4_addr . inet_service
		size 4096
		flags dynamic
		elements = { 10.42.0.9 . 4791, 10.42.0.5 . 53,
			     10.42.0.9 . 4790 }
	}
}
`
	assert.Equal(t, []uint16{4790, 4791}, passed(noted, netip.MustParseAddr("10.42.0.9")))
	assert.Equal(t, []uint16{53}, passed(noted, netip.MustParseAddr("10.42.0.5")))
	assert.Empty(t, passed(noted, netip.MustParseAddr("10.42.0.7")))
}
