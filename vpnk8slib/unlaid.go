package vpnk8slib

import (
	"context"
	"fmt"
)

// LookAtPolicies says in Unlaid what is wrong with our policies until the next hook has laid them, and how to have one; nothing where they
// are as they should be. It is for whoever verifies between two hooks: each of those reads them by itself, to lay them again.
func (v *ClientView) LookAtPolicies(ctx context.Context, r Reader, a App) (err error) {
	pod, err := ownPod(ctx, r, a)
	if err == nil {
		a.OwnerUID = v.Owner
		v.Unlaid, err = unlaid(ctx, r, a, pod, policies(a, v.Network))
	}
	return told(err, a.Name)
}

// unlaid says of each of our policies how it is not as Reconcile would make it, and of this unit's pod that none of them is for it. Any hook
// lays a policy again, and nobody else notices before: where policies were found to be enforced once, they count as that.
func unlaid(ctx context.Context, r Reader, a App, pod seenPod, ours Plan) (wrong []string, err error) {
	for _, s := range ours {
		want, err := intentOf(s.Apply)
		if err != nil {
			return nil, err
		}
		var live map[string]any
		switch err := r.Get(ctx, want.ref, &live); {
		case notServed(err):
			wrong = append(wrong, fmt.Sprintf("%s is not there; %s", want.ref, a.nextHook()))
		case err != nil:
			return nil, err
		case !want.holdsIn(live):
			wrong = append(wrong, fmt.Sprintf("%s is not as this charm lays it; %s", want.ref, a.nextHook()))
		}
	}
	if pod.Metadata.UID != "" && pod.Metadata.Labels[nameLabel] != a.Name { // a policy selects pods by the labels that they have now
		wrong = append(wrong, fmt.Sprintf("no policy of ours is for this pod, which has lost its label: kubectl -n %s label --overwrite pod %s %s=%s", a.Namespace, a.Pod(), nameLabel, a.Name))
	}
	return wrong, nil
}

// nextHook says how this unit comes by one, which Juju's update-status is in some minutes.
func (a App) nextHook() string {
	return fmt.Sprintf("the next hook lays it again: kubectl -n %s exec %s -c charm -- juju-exec 'JUJU_DISPATCH_PATH=hooks/update-status ./dispatch'", a.Namespace, a.Pod())
}
