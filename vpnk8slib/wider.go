package vpnk8slib

import (
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// wider names the policies that allow the application's pods more than ours: policies add up, and the widest wins. A rule
// is wider when it names no destination or an address block; pods and namespaces are admitted by ours already. The second
// result says whether ours is among them.
func wider(a App, policies []networkingv1.NetworkPolicy) (names []string, ours bool) {
	for _, p := range policies {
		if p.Name == KillSwitchName(a.Name) {
			ours = true
			continue
		}
		if selects(p, a) && slices.ContainsFunc(p.Spec.Egress, outward) {
			names = append(names, p.Name)
		}
	}
	slices.Sort(names)
	return names, ours
}

func selects(p networkingv1.NetworkPolicy, a App) bool {
	s, err := metav1.LabelSelectorAsSelector(&p.Spec.PodSelector)
	return err != nil || s.Matches(labels.Set(a.podLabels())) // one that cannot be read is better told than passed over
}

func outward(r networkingv1.NetworkPolicyEgressRule) bool {
	return len(r.To) == 0 || slices.ContainsFunc(r.To, func(peer networkingv1.NetworkPolicyPeer) bool { return peer.IPBlock != nil })
}
