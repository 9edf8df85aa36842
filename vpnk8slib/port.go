package vpnk8slib

import (
	"time"

	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// Port is one of the VPN provider's that leads to a consumer: whoever connects to the address that the world sees, by TCP or UDP, comes
// to the same port of the consumer's.
type Port struct {
	Number   int       `json:"port" validate:"min=1,max=65535"`
	Since    time.Time `json:"since"`                       // when it became this one
	Lifetime int       `json:"lifetime_s" validate:"min=1"` // in seconds; it is renewed in time, for as long as the gateway can
}

// PortOf is the port that leads to a consumer of a gateway, as the gateway's agent says; nil: none does.
func PortOf(agent *overlay.Report, c Consumer) *Port {
	l, ok := leaseOf(agent, c)
	if !ok || l.Port == 0 || !c.Data.WantPort {
		return nil
	}
	return &Port{int(l.Port), l.Since.UTC().Truncate(time.Second), l.Lifetime}
}

// NoPort is why a consumer that wants a port has none; empty where it has one, or wants none, or nobody has tried yet.
func NoPort(agent *overlay.Report, c Consumer) string {
	if l, ok := leaseOf(agent, c); ok && c.Data.WantPort && l.Port == 0 {
		return l.Error
	}
	return ""
}

func leaseOf(agent *overlay.Report, c Consumer) (overlay.Lease, bool) {
	if agent == nil || agent.Gateway == nil {
		return overlay.Lease{}, false
	}
	l, ok := agent.Gateway.Ports[LeaseName(c.Relation)]
	return l, ok
}
