package vpnk8slib

import (
	"cmp"
	"net/netip"
	"slices"
)

// Addresses that Istio's ztunnel answers kubelet's probes from inside the pod's own network: link-local, so never the
// world. (istio/istio cni, HostProbeSNATIP.)
var ztunnel = []netip.Addr{
	netip.MustParseAddr("169.254.7.127"),
	netip.MustParseAddr("fd16:9254:7127:1337:ffff:ffff:ffff:ffff"),
}

// KillSwitch lets the application's pods reach the cluster and nothing else: a packet that misses the overlay is dropped
// by the CNI.
//
// Pods are selected, never listed: an ipBlock does not match a pod on Cilium. That one rule admits the gateway's
// encapsulation, the cluster's DNS and the mesh's HBONE (TCP 15008) on any pod, and needs no change when a gateway moves.
// An ipBlock stands only for what is no pod, each with its port: the API server (its Service's address too, for CNIs that
// look before the address is translated), the Juju controller outside the cluster, the cluster's resolver, for which a cache on the node may
// answer, by an address of its own or by the Service's.
func KillSwitch(a App, n Network) *Object {
	egress := []policyRule{{To: []policyPeer{{NamespaceSelector: &labelSelector{}}}}}
	egress = append(egress, toAddresses(append(slices.Clone(n.APIServers), n.Controllers...), "TCP")...)
	resolvers := slices.Clone(n.DNSOutside)
	for _, a := range n.DNS {
		resolvers = append(resolvers, netip.AddrPortFrom(a, 53))
	}
	egress = append(egress, toAddresses(resolvers, "UDP", "TCP")...)
	var probes policyRule
	for _, a := range ztunnel {
		probes.To = append(probes.To, toHost(a))
	}
	policy := a.own("networking.k8s.io/v1", "NetworkPolicy", KillSwitchName(a.Name))
	policy.Spec = policySpec{labelSelector{a.podLabels()}, []string{"Egress"}, append(egress, probes)}
	return policy
}

func toHost(a netip.Addr) policyPeer { return policyPeer{IPBlock: &ipBlock{host(a).String()}} }

// toAddresses is one rule per address, sorted and each once, so that the same cluster always yields the same policy.
func toAddresses(addrs []netip.AddrPort, protocols ...string) (rules []policyRule) {
	sorted := slices.Clone(addrs)
	slices.SortFunc(sorted, func(a, b netip.AddrPort) int {
		return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Port(), b.Port()))
	})
	for _, a := range slices.Compact(sorted) {
		rule := policyRule{To: []policyPeer{toHost(a.Addr())}}
		for _, p := range protocols {
			rule.Ports = append(rule.Ports, policyPort{p, a.Port()})
		}
		rules = append(rules, rule)
	}
	return rules
}
