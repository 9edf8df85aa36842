package main

import (
	"time"

	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// Handshake is WireGuard's last with its server: beside the probe a second witness of the tunnel. A new one does not show that the tunnel
// leads anywhere, nor that its server is still there; an old one shows that it is not.
type Handshake struct {
	Known bool      // nobody knows it of OpenVPN, nor without an agent of ours in the pod
	Last  time.Time // zero: none since the tunnel's interface was made
	Old   bool      // longer ago than its keys are good for
}

// session is how long keys of WireGuard's are good for after a handshake: an end that sends shakes hands anew before (REJECT_AFTER_TIME,
// whitepaper 6.1).
const session = 180 * time.Second

// handshake is as this pod's agent has seen it.
func handshake(agent *overlay.Report, now time.Time) (h Handshake) {
	if agent == nil || agent.Gateway == nil || agent.Gateway.Link == nil || !agent.Gateway.Link.WireGuard {
		return h
	}
	last := agent.Gateway.Link.Shaken
	return Handshake{Known: true, Last: last, Old: !last.IsZero() && now.Sub(last) > session}
}

// says is what it adds to a tunnel that is down; empty where it is not known.
func (h Handshake) says() string {
	at := clock(h.Last)
	switch {
	case !h.Known:
		return ""
	case h.Last.IsZero():
		return ": its server has not answered since it was made; are key and address right?"
	case h.Old:
		return ": its server does not answer; it did last at " + at
	}
	return ": its server answered at " + at + ", and nothing comes back from behind it now"
}

// clock is the time of a day, the same for whoever reads it.
func clock(t time.Time) string { return t.UTC().Format(time.TimeOnly + " MST") }
