package overlay

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// Names is how a pod's names are resolved. Two resolvers never hear of each other's names.
type Names struct {
	Port    uint16           `json:"port"`              // on which the agent resolves, on the pod's loopback
	Zones   []string         `json:"zones"`             // the cluster's domains, such as cluster.local
	Cluster []netip.AddrPort `json:"cluster"`           // the cluster's resolvers, for its domains
	Outside []netip.AddrPort `json:"outside,omitempty"` // resolvers behind the overlay, for all else; none: all else fails
	// Namespace is the pod's own, of which nobody is asked whether it is there. Empty: it is not known.
	Namespace string `json:"namespace,omitempty"`
	// Networks are the cluster's: the names of their addresses are the cluster's too.
	Networks []netip.Prefix `json:"networks,omitempty"`
}

// Check says what is wrong, and names the field.
func (n Names) Check() error {
	if n.Port == 0 {
		return errors.New("port must be the port of the agent's resolver, not 0")
	}
	if len(n.Zones) == 0 {
		return errors.New("zones must hold the cluster's domain, such as cluster.local")
	}
	if n.Namespace != "" && !fileName(n.Namespace) {
		return fmt.Errorf("namespace must be the name of one, not %q", n.Namespace)
	}
	for _, z := range n.Zones {
		if !domain(z) {
			return fmt.Errorf("zones must hold domains, not %q", z)
		}
	}
	for field, all := range map[string][]netip.AddrPort{"cluster": n.Cluster, "outside": n.Outside} {
		if err := ports(field, all); err != nil {
			return err
		}
	}
	return cluster(n.Networks)
}

// Absolute is a name that is asked for as it is. Else it would be asked for below each of the domains that the pod searches, and whoever
// answers for those may be outside.
func Absolute(name string) string { return strings.TrimSuffix(name, ".") + "." }

// ports says what is wrong with addresses that have a port each.
func ports(field string, all []netip.AddrPort) error {
	for _, a := range all {
		if !plain(a.Addr()) || a.Port() == 0 {
			return fmt.Errorf("%s must hold addresses with a port, not %s", field, a)
		}
	}
	return nil
}

// domain holds for a name of at least one label, in small letters and without the last dot.
func domain(name string) bool {
	if name == "" || len(name) > 253 {
		return false
	}
	for _, label := range strings.Split(name, ".") {
		if !fileName(label) {
			return false
		}
	}
	return true
}
