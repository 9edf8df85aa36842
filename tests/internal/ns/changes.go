package ns

import (
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
)

// Changes counts what the kernel tells of interfaces and their addresses, until the test ends.
func (n *NS) Changes(t *testing.T) *atomic.Int64 {
	t.Helper()
	told, done := &atomic.Int64{}, make(chan struct{})
	t.Cleanup(func() { close(done) })
	links, addresses := make(chan netlink.LinkUpdate), make(chan netlink.AddrUpdate)
	require.NoError(t, netlink.LinkSubscribeAt(n.handle, links, done))
	require.NoError(t, netlink.AddrSubscribeAt(n.handle, addresses, done))
	go func() {
		for range links {
			told.Add(1)
		}
	}()
	go func() {
		for range addresses {
			told.Add(1)
		}
	}()
	return told
}
