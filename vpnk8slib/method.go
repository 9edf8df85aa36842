package vpnk8slib

import (
	"fmt"
	"net/netip"
	"strings"
)

// method is one way of routing. It travels in relation data by its name; a consumer charm never mentions one.
type method interface {
	name() string
	// check says what is wrong with what a gateway published, beyond its fields' own kinds.
	check(d ProviderData) error
	// client is the consumer's end of the route to the gateway that published d.
	client(c Client, d ProviderData) (fragment, error)
	// gateway is the gateway's end.
	gateway(g Gateway) (fragment, error)
	// offer is what the gateway publishes to one consumer; see Gateway.Offer.
	offer(g Gateway, c Consumer, secret string) (ProviderData, error)
	// heard is where the agent of a consumer's pod answers, on the loopback, whether its gateway is heard; empty: it does not know.
	heard() string
	// claims is what the files of a gateway's ConfigMap say of its overlay; zero where they are another method's.
	claims(files map[string]string) (vxlanID int, network netip.Prefix)
}

// methods are all that are known here, the best first.
var methods = []method{byOverlay{}, podGateway{}}

// RoutingMethods are the names of the routing methods known here: what a consumer announces.
func RoutingMethods() []string {
	var names []string
	for _, m := range methods {
		names = append(names, m.name())
	}
	return names
}

func methodOf(name string) (method, error) {
	for _, m := range methods {
		if m.name() == name {
			return m, nil
		}
	}
	return nil, fmt.Errorf("cannot route by method %q: known are %s; refresh this charm: juju refresh %s --path=<the newer charm>", name, strings.Join(RoutingMethods(), ", "), application)
}
