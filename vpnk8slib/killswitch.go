package vpnk8slib

import (
	"cmp"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	metav1 "k8s.io/client-go/applyconfigurations/meta/v1"
	netv1 "k8s.io/client-go/applyconfigurations/networking/v1"
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
// look before the address is translated), the Juju controller outside the cluster, a DNS cache on the node.
func KillSwitch(a App, n Network) *netv1.NetworkPolicyApplyConfiguration {
	egress := []*netv1.NetworkPolicyEgressRuleApplyConfiguration{
		netv1.NetworkPolicyEgressRule().WithTo(netv1.NetworkPolicyPeer().WithNamespaceSelector(metav1.LabelSelector())),
	}
	egress = append(egress, toAddresses(append(slices.Clone(n.APIServers), n.Controllers...), corev1.ProtocolTCP)...)
	egress = append(egress, toAddresses(n.DNSOutside, corev1.ProtocolUDP, corev1.ProtocolTCP)...)
	probes := netv1.NetworkPolicyEgressRule()
	for _, a := range ztunnel {
		probes.WithTo(netv1.NetworkPolicyPeer().WithIPBlock(netv1.IPBlock().WithCIDR(host(a).String())))
	}
	return netv1.NetworkPolicy(KillSwitchName(a.Name), a.Namespace).
		WithLabels(a.labels()).
		WithOwnerReferences(a.owner()...).
		WithSpec(netv1.NetworkPolicySpec().
			WithPodSelector(metav1.LabelSelector().WithMatchLabels(a.podLabels())).
			WithPolicyTypes(networkingv1.PolicyTypeEgress).
			WithEgress(append(egress, probes)...))
}

// toAddresses is one rule per address, sorted and each once, so that the same cluster always yields the same policy.
func toAddresses(addrs []netip.AddrPort, protocols ...corev1.Protocol) (rules []*netv1.NetworkPolicyEgressRuleApplyConfiguration) {
	sorted := slices.Clone(addrs)
	slices.SortFunc(sorted, func(a, b netip.AddrPort) int {
		return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Port(), b.Port()))
	})
	for _, a := range slices.Compact(sorted) {
		rule := netv1.NetworkPolicyEgressRule().WithTo(netv1.NetworkPolicyPeer().
			WithIPBlock(netv1.IPBlock().WithCIDR(host(a.Addr()).String())))
		for _, p := range protocols {
			rule.WithPorts(netv1.NetworkPolicyPort().WithProtocol(p).WithPort(intstr.FromInt32(int32(a.Port()))))
		}
		rules = append(rules, rule)
	}
	return rules
}
