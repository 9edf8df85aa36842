package overlay

import (
	"net/netip"
	"net/url"
	"time"
)

// Lease is a port of the address that the world sees a tunnel by: what comes to it is one application's, by TCP and by UDP.
type Lease struct {
	Port  uint16    `json:"port,omitempty"`  // 0: there is none now
	Inner uint16    `json:"inner,omitempty"` // at which it comes out of the tunnel too, with providers that leave that to this end
	Since time.Time `json:"since,omitzero"`  // when the port became this one
	// Lifetime is how long it is good for, unless it is renewed, which it is in time; in seconds.
	Lifetime int        `json:"lifetime_s,omitempty"`
	Until    time.Time  `json:"until,omitzero"`
	Client   netip.Addr `json:"client,omitzero"` // to whom it leads; zero: the application is not heard
	Error    string     `json:"error,omitempty"` // why there is none, or none was to be had the last time
}

// onLoopback holds for a URL that leads to a port of this pod's own, and nowhere else.
func onLoopback(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return false
	}
	at, err := netip.ParseAddrPort(u.Host)
	return err == nil && at.Addr().IsLoopback() && at.Port() != 0
}
