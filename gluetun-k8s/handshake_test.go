package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

func TestHandshake(t *testing.T) {
	by := func(l *overlay.TunnelLink) *overlay.Report {
		return &overlay.Report{Gateway: &overlay.GatewayState{Link: l}}
	}
	ago := func(d time.Duration) *overlay.TunnelLink {
		return &overlay.TunnelLink{WireGuard: true, Shaken: noon.Add(-d)}
	}
	for name, c := range map[string]struct {
		agent *overlay.Report
		want  Handshake
	}{
		"pod-gateway has no agent":        {nil, Handshake{}},
		"an agent that is no gateway's":   {&overlay.Report{}, Handshake{}},
		"there is no tunnel":              {by(nil), Handshake{}},
		"OpenVPN's has none":              {by(&overlay.TunnelLink{}), Handshake{}},
		"the server has not answered":     {by(&overlay.TunnelLink{WireGuard: true}), Handshake{Known: true}},
		"as it is every two minutes":      {by(ago(2 * time.Minute)), Handshake{true, noon.Add(-2 * time.Minute), false}},
		"older than its keys live":        {by(ago(181 * time.Second)), Handshake{true, noon.Add(-181 * time.Second), true}},
		"a clock that was set back since": {by(ago(-time.Hour)), Handshake{true, noon.Add(time.Hour), false}},
	} {
		assert.Equal(t, c.want, handshake(c.agent, noon), name)
	}
}
