package vpnk8slib

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func consumersOf(ids ...int) (out []Consumer) {
	for _, id := range ids {
		out = append(out, Consumer{Relation: fmt.Sprintf("vpn-gateway:%d", id)})
	}
	return out
}

// Who has addresses keeps them, whoever comes and goes; what a gone one had is nobody's for as long as there is other room.
func TestLeases(t *testing.T) {
	network := DefaultOverlay().Wide().prefix
	first := Leases{}.renew(network, consumersOf(3, 4, 7))
	require.Len(t, first.Blocks, 3)
	assert.Equal(t, "172.16.0.48/28", first.Blocks[0].Addresses.String(), "the first block is the gateway's own")
	first.Seen[netip.MustParseAddr("172.16.0.65")] = netip.MustParseAddr("10.42.0.9") // of relation 4
	first.Seen[netip.MustParseAddr("172.16.0.48")] = netip.MustParseAddr("10.42.0.8")

	same := first.renew(network, consumersOf(3, 4, 7))
	assert.Equal(t, first, same)

	second := first.renew(network, consumersOf(3, 7, 9))
	kept, _ := second.of("vpn-gateway-7")
	before, _ := first.of("vpn-gateway-7")
	assert.Equal(t, before, kept)
	next, _ := second.of("vpn-gateway-9")
	gone, _ := first.of("vpn-gateway-4")
	assert.NotEqual(t, gone.Addresses, next.Addresses, "what the kernel and the provider know of it leads to nobody")
	assert.Equal(t, "172.16.0.144/28", next.Addresses.String())
	round, _ := second.renew(network, consumersOf(3, 7, 9, 255+4)).of("vpn-gateway-259")
	assert.Equal(t, gone.Addresses, round.Addresses, "after so many others")
	assert.NotEqual(t, first.Keys["vpn-gateway-4"], second.renew(network, consumersOf(259)).Keys["vpn-gateway-259"])
	assert.NotContains(t, second.Keys, "vpn-gateway-4")
	assert.Equal(t, first.Keys["vpn-gateway-3"], second.Keys["vpn-gateway-3"])
	assert.Equal(t, map[netip.Addr]netip.Addr{netip.MustParseAddr("172.16.0.48"): netip.MustParseAddr("10.42.0.8")}, second.Seen, "nobody has seen the new one")

	// Juju counts from 0.
	zeroth, _ := Leases{}.renew(network, consumersOf(0)).of("vpn-gateway-0")
	one, _ := Leases{}.renew(network, consumersOf(1)).of("vpn-gateway-1")
	assert.NotEqual(t, zeroth.Addresses, one.Addresses)

	moved := first.renew(netip.MustParsePrefix("192.168.0.0/20"), consumersOf(3))
	assert.Equal(t, "192.168.0.48/28", moved.Blocks[0].Addresses.String())
	assert.Empty(t, moved.Seen)
}

// Who wants a port of the provider's has a block that says so. It is the same block with it and without.
func TestLeasesOfThoseWhoWantPorts(t *testing.T) {
	network := DefaultOverlay().Wide().prefix
	consumers := consumersOf(3, 4)
	before := Leases{}.renew(network, consumers)
	client := before.Blocks[0].Addresses.Addr()
	before.Seen[client] = netip.MustParseAddr("10.42.0.9")
	consumers[0].Data.WantPort = true
	wanted := before.renew(network, consumers)
	assert.True(t, wanted.Blocks[0].Port)
	assert.False(t, wanted.Blocks[1].Port)
	assert.Equal(t, before.Seen, wanted.Seen)
	consumers[0].Data.WantPort = false
	assert.Equal(t, before, wanted.renew(network, consumers))
}

// Every key is another one, and long enough for the agent; every block stands alone; and there is an end.
func TestLeasesUntilTheyAreGone(t *testing.T) {
	var ids []int
	for id := range 300 {
		ids = append(ids, id)
	}
	network := DefaultOverlay().Wide().prefix
	all := Leases{}.renew(network, consumersOf(ids...))
	require.Len(t, all.Blocks, 255)
	keys := map[string]bool{}
	for i, b := range all.Blocks {
		key := all.Keys[b.Name]
		assert.GreaterOrEqual(t, len(key), 32)
		assert.False(t, keys[key])
		keys[key] = true
		assert.True(t, network.Overlaps(b.Addresses))
		for _, other := range all.Blocks[:i] {
			assert.False(t, other.Addresses.Overlaps(b.Addresses))
		}
	}
	again := all.renew(network, consumersOf(ids[1:]...))
	_, ok := again.of("vpn-gateway-299")
	assert.False(t, ok)
	_, ok = again.of("vpn-gateway-255")
	assert.True(t, ok, "the place of the one that went")
}
