package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestListServers(t *testing.T) {
	found, err := listParams{Provider: "mullvad", Type: "wireguard", Countries: places{"sweden"}, Limit: 50}.list(mullvads(t))
	require.NoError(t, err)
	assert.Equal(t, "hostname       country  city       vpn        address\nse-mma-wg-001  Sweden   Malmö      wireguard  192.0.2.11\nse-sto-wg-001  Sweden   Stockholm  wireguard  192.0.2.12", found["table"])
	assert.Equal(t, "2", found["found"])
	assert.JSONEq(t, `[{"vpn":"wireguard","country":"Sweden","city":"Malmö","hostname":"se-mma-wg-001","ips":["192.0.2.11"]},{"vpn":"wireguard","country":"Sweden","city":"Stockholm","hostname":"se-sto-wg-001","ips":["192.0.2.12"]}]`, found["servers"])

	found, err = listParams{Provider: "mullvad", Limit: 1}.list(mullvads(t))
	require.NoError(t, err)
	assert.Equal(t, []string{"4", "1"}, []string{found["found"], found["shown"]})
	assert.Contains(t, found["table"], "ch-zrh-wg-001")

	_, err = listParams{Provider: "mullvad", Cities: places{"Atlantis"}, Limit: 1}.list(mullvads(t))
	assert.EqualError(t, err, "of the 4 servers of mullvad there is none like that")

	for says, p := range map[string]listParams{
		"name a provider":              {},
		"you name its server yourself": {Provider: "custom"},
		"knows no provider":            {Provider: "acme"},
	} {
		assert.ErrorContains(t, listable(p), says)
	}
	assert.NoError(t, listable(listParams{Provider: "mullvad"}))
}
