package main

import (
	"encoding/base64"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	provider "github.com/charmarr/charmarr-go/tests/lab/internal/vpn"
	"github.com/charmarr/charmarr-go/tests/lab/internal/where"
)

// The lab's server is ProtonVPN's here: it is connected to by the list alone, and by its key.
func TestPicked(t *testing.T) {
	key, err := provider.ServerKey()
	require.NoError(t, err)
	lab := netip.MustParseAddrPort("198.51.100.200:51820")
	assert.Equal(t, netip.AddrPortFrom(netip.MustParseAddr(where.VPNEndpoint), where.VPNPort), lab)
	for _, s := range []settings{
		{provider: "protonvpn"},
		{provider: "protonvpn", filters: map[string][]string{"COUNTRIES": {"switzerland"}}},
		{provider: "protonvpn", endpoint: lab.Addr()},
	} {
		at, public, err := s.picked()
		require.NoError(t, err)
		assert.Equal(t, lab, at)
		assert.Equal(t, base64.StdEncoding.EncodeToString(key.PublicKey().Bytes()), public)
	}
	for _, s := range []settings{
		{provider: "protonvpn", filters: map[string][]string{"COUNTRIES": {"Sweden"}}},
		{provider: "protonvpn", endpoint: netip.MustParseAddr("203.0.113.9")},
		{provider: "mullvad"}, // whose servers have no key
		{provider: "nordvpn"},
	} {
		_, _, err := s.picked()
		assert.ErrorContains(t, err, "no server found", s)
	}
	at, public, err := settings{provider: "custom", endpoint: lab.Addr(), port: 1637, public: "one's own"}.picked()
	require.NoError(t, err)
	assert.Equal(t, "198.51.100.200:1637 one's own", at.String()+" "+public)
}
