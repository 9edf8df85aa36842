package ports

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/charmarr/charmarr-go/vpnk8slib/agent/natpmp"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// source is who grants ports. There are two: a router in the tunnel, who is asked for one for each application, and the VPN client, which
// has been granted some by itself and tells which.
type source interface {
	// obtain has a port by both protocols for a lease, the one of the lease if that is to be had. Taken are those that lead to others.
	obtain(ctx context.Context, l overlay.Lease, taken func(uint16) bool) (grant, error)
	// atOnce says that it answers at once, so that all may ask it at every look.
	atOnce() bool
}

// grant is what a source grants.
type grant struct {
	port     uint16
	lifetime time.Duration // unless it is granted again
}

// sourceOf is who grants ports to this gateway; nil: nobody does. It is good for one look.
func sourceOf(c *overlay.Gateway) source {
	switch {
	case c.Told != "":
		return &teller{url: c.Told}
	case c.Ports.IsValid() || c.RouterPorts: // whose address is looked up when it is asked
		return router{natpmp.Router{Addr: netip.AddrPortFrom(c.Ports, natpmp.Port), Device: c.Tunnel}}
	}
	return nil
}

// What cannot be used of what was granted.
var (
	errUneven = errors.New("it gives other ports for TCP than for UDP")
	errNone   = errors.New("the VPN client has been granted no port")
	errTaken  = errors.New("its only port leads to another application already")
	errBrief  = fmt.Errorf("it gives ports for less than %s", least)
	errRoots  = fmt.Errorf("it gives a port under %d, on which only root could listen", ours)
)

// gone says of an error that the source has answered, and with another port than there was before or with none. Of one that is silent
// nothing is known.
func gone(err error) bool {
	return slices.ContainsFunc([]error{errNone, errTaken, errRoots}, func(e error) bool { return errors.Is(err, e) })
}

// check says why a workload could not use a port.
func (g grant) check() error {
	switch {
	case g.lifetime < least:
		return errBrief
	case g.port < ours:
		return errRoots
	}
	return nil
}
