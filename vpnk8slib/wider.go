package vpnk8slib

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// wider names the policies that allow this pod more than ours: policies add up, and the widest wins. A rule is wider when
// it names no destination or an address block; pods and namespaces are admitted by ours already. The second result says
// whether ours is among them.
func wider(a App, pod seenPod, policies []seenPolicy) (names []string, ours bool) {
	carried := labels.Set(pod.Metadata.Labels)
	if len(carried) == 0 {
		carried = a.podLabels()
	}
	for _, p := range policies {
		if p.Metadata.Name == KillSwitchName(a.Name) {
			ours = true
			continue
		}
		if selects(p, carried) && slices.ContainsFunc(p.Spec.Egress, outward) {
			names = append(names, p.Metadata.Name)
		}
	}
	slices.Sort(names)
	return names, ours
}

func selects(p seenPolicy, pod labels.Set) bool {
	s, err := metav1.LabelSelectorAsSelector(&p.Spec.PodSelector)
	return err != nil || s.Matches(pod) // one that cannot be read is better told than passed over
}

func outward(r seenRule) bool {
	for _, peer := range r.To {
		if peer.IPBlock != nil {
			return true
		}
	}
	return len(r.To) == 0
}
