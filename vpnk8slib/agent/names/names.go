// Package names resolves a pod's names: the cluster's by the cluster's resolver, all others by one behind the tunnel. What one
// is asked, the other never hears.
package names

import (
	"net/netip"
	"strings"

	"github.com/miekg/dns"

	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// Side is who is asked for a name.
type Side int

// Who is asked.
const (
	Nobody  Side = iota // it is nobody's name: the answer is that there is none
	Cluster             // the cluster's resolver
	Outside             // the one behind the tunnel
)

// local are the domains that nobody outside of a network answers for (RFC 6761, 6762, 7686, 8375, 9476), and the beginnings of
// the cluster's that programs try as they are.
var local = []string{"local", "localhost", "invalid", "onion", "home.arpa", "internal", "alt", "svc"}

// SideOf says who is asked for a name, which is as a message has it, in any case; and what the cluster must have above it for its resolver to
// be asked.
func SideOf(n overlay.Names, name string) (Side, Above) {
	name = canonical(name)
	for _, z := range n.Zones {
		if within(name, z) {
			if above, may := aboveIn(z, n.Namespace, name); may {
				return Cluster, above
			}
			return Nobody, Above{}
		}
	}
	return beyond(n, name), Above{}
}

// beyond is who is asked for a name in none of the cluster's domains.
func beyond(n overlay.Names, name string) Side {
	if within(name, "in-addr.arpa") || within(name, "ip6.arpa") {
		return reverse(n, name)
	}
	if !strings.Contains(name, ".") { // a name of the pod's own, whom nobody outside knows
		return Nobody
	}
	for _, z := range local {
		if within(name, z) {
			return Nobody
		}
	}
	return Outside
}

// canonical is a name in one case, without the dot at its end.
func canonical(name string) string { return strings.TrimSuffix(strings.ToLower(name), ".") }

func within(name, zone string) bool { return name == zone || strings.HasSuffix(name, "."+zone) }

// reverse is who is asked for the name of an address. Those of private networks that are not the cluster's are nobody's.
func reverse(n overlay.Names, name string) Side {
	address, ok := addressOf(name)
	if !ok {
		return Nobody // a part of one: nobody asks for that but to look around
	}
	for _, p := range n.Networks {
		if p.Contains(address) {
			return Cluster
		}
	}
	if address.IsGlobalUnicast() && !address.IsPrivate() {
		return Outside
	}
	return Nobody
}

// addressOf is the address that a reverse name is of.
func addressOf(name string) (netip.Addr, bool) {
	labels := strings.Split(name, ".")
	labels = labels[:len(labels)-2] // without the zone
	var text strings.Builder
	for i := len(labels) - 1; i >= 0; i-- {
		text.WriteString(labels[i])
		switch done := len(labels) - i; {
		case i == 0:
		case strings.HasSuffix(name, ".in-addr.arpa"):
			text.WriteByte('.')
		case done%4 == 0:
			text.WriteByte(':')
		}
	}
	if strings.HasSuffix(name, ".ip6.arpa") && len(labels) != 32 {
		return netip.Addr{}, false
	}
	a, err := netip.ParseAddr(text.String())
	return a, err == nil && a.Zone() == ""
}

// answer is one without records.
func answer(q *dns.Msg, code int) *dns.Msg {
	m := new(dns.Msg)
	m.SetRcode(q, code)
	m.RecursionAvailable = true
	return m
}
