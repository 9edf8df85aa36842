package main

import (
	"net/netip"
	"strings"
)

// gluetun asks on its own whether its tunnel lives, beside this charm's probe, and makes it anew where nobody answers: by connections (over
// tcp4, and by TLS on port 443) and by pings, in turn to what it is given (its internal/healthcheck). So it is given every target that it can
// use: with one of them alone it would tear down, again and again, a tunnel that the others answer through.

// healthTargets are as many as gluetun tries before it gives its tunnel up: three connections in a row, each to the next of its list.
const healthTargets = 3

// four are those over IPv4, which alone gluetun can use: it connects over no other, and a ping that its firewall refuses makes it ask public
// resolvers instead, for good.
func (t targets) four() (out targets) {
	for _, a := range t {
		if a.Addr().Is4() {
			out = append(out, a)
		}
	}
	return out
}

// health is what gluetun is told of it. A version that knows one target is
// given as long as later versions take by themselves. What that one knew the target by later ones read first: for them it is empty.
func health(c Config) map[string]string {
	list := c.ProbeTargets.four()
	if c.gluetun().oneTarget {
		return map[string]string{"HEALTH_TARGET_ADDRESS": list[0].String(), "HEALTH_VPN_DURATION_INITIAL": "2m"}
	}
	return map[string]string{
		"HEALTH_TARGET_ADDRESS": "", "HEALTH_TARGET_ADDRESSES": joined(list, netip.AddrPort.String),
		"HEALTH_ICMP_TARGET_IPS": joined(list, func(a netip.AddrPort) string { return a.Addr().String() }), "HEALTH_RESTART_VPN": "on",
	}
}

func joined[T any](list []T, text func(T) string) string {
	var out []string
	for _, a := range list {
		out = append(out, text(a))
	}
	return strings.Join(out, ",")
}
