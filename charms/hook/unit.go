package hook

import (
	"fmt"
	"net/netip"
	"strings"
)

// Unit is this unit, in this hook.
type Unit struct {
	Name, App, Model string
	ModelUUID        string
	Event            string // "config-changed", "vpn-gateway-relation-broken", ...; empty in an action
	Leader           bool
	Controllers      []netip.AddrPort // where the unit's agent reaches its Juju controller
	Gateway          bool             // the charm says so: a gateway lays no NetworkPolicy on itself
}

// ReadUnit asks Juju who we are. One hook tool.
func ReadUnit() (Unit, error) {
	u := environment()
	var err error
	if u.Leader, err = isLeader(); err != nil {
		return Unit{}, fmt.Errorf("cannot read leadership: %w", err)
	}
	return u, nil
}

// Leaving is true in the hooks in which nothing may be built up any more: Juju runs stop before every end of a pod and
// remove at the unit's end.
func (u Unit) Leaving() bool { return u.Event == "stop" || u.Event == "remove" }

// parseControllers reads JUJU_API_ADDRESSES: host:port, separated by spaces. Names are left out: Juju lists them beside
// the addresses they stand for, and a NetworkPolicy knows no names.
func parseControllers(addresses string) (out []netip.AddrPort) {
	for _, word := range strings.Fields(addresses) {
		if a, err := netip.ParseAddrPort(word); err == nil {
			out = append(out, a)
		}
	}
	return out
}
