package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/charms/hook/hooktest"
)

// Pebble starts gluetun again when nothing has come back for half a minute, and before gluetun would do so by itself: it looks every
// minute, and for nearly two minutes more before it believes what it sees (internal/healthcheck, v3.41). How Pebble goes about it,
// TestAServiceIsStartedAgainByItsCheck shows with a real one.
func TestADeadTunnelIsReconnected(t *testing.T) {
	c, _ := options(t, "provider=nordvpn")
	layer := workload(c, Secret{}, hooktest.Network(t)).Layer
	assert.Equal(t, map[string]string{lastingCheck: "restart"}, layer.Services["gluetun"].OnCheckFailure)
	check := layer.Checks[lastingCheck]
	assert.Equal(t, probeFile, check.Exec.Command)
	period, err := time.ParseDuration(check.Period)
	require.NoError(t, err)
	timeout, err := time.ParseDuration(check.Timeout)
	require.NoError(t, err)
	first, last := time.Duration(check.Threshold-1)*period, time.Duration(check.Threshold)*period+timeout
	assert.GreaterOrEqual(t, first, 30*time.Second, "a tunnel that is silent for a moment is left alone")
	assert.Less(t, last, 50*time.Second)
}

// What a consumer is told within ten seconds comes by two hooks, after this check has turned; and one probe in vain turns nothing.
func TestADownTunnelIsToldSoon(t *testing.T) {
	c, _ := options(t, "provider=nordvpn")
	check := workload(c, Secret{}, hooktest.Network(t)).Layer.Checks[tunnelCheck]
	period, err := time.ParseDuration(check.Period)
	require.NoError(t, err)
	timeout, err := time.ParseDuration(check.Timeout)
	require.NoError(t, err)
	assert.LessOrEqual(t, timeout, period, "Pebble waits no longer than that")
	assert.Greater(t, check.Threshold, 1)
	assert.LessOrEqual(t, time.Duration(check.Threshold)*period+timeout, 6*time.Second)
}
