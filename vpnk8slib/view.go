package vpnk8slib

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"k8s.io/apimachinery/pkg/types"
)

// ClientView is everything that a consumer reads from the cluster.
type ClientView struct {
	Last     *LastGood // nil: never routed, or what was kept cannot be read
	Network  Network
	Owner    types.UID // of the application's ServiceAccount
	Trials   Trials    // of images
	Unlaid   []string  // see LookAtPolicies
	Wider    []string  // other NetworkPolicies that select our pods and allow more than ours
	Probe    EnforcementProbe
	Enforced Enforcement
}

// ObserveClient reads what a consumer decides from. A *ForbiddenError says that the application is not trusted.
func ObserveClient(ctx context.Context, r Reader, a App, o Overrides) (v ClientView, err error) {
	defer func() { err = told(err, a.Name) }()
	base, err := observe(ctx, r, a, o)
	v.Network, v.Owner, v.Trials = base.Network, base.Owner, base.Trials
	if err != nil {
		return v, err
	}
	if err := v.readState(ctx, r, a); err != nil {
		return v, err
	}
	var policies list[seenPolicy]
	if err := r.List(ctx, "NetworkPolicy", a.Namespace, &policies); err != nil {
		return v, err
	}
	pod, err := ownPod(ctx, r, a)
	if err != nil {
		return v, err
	}
	var ours bool
	v.Wider, ours = wider(a, pod, policies.Items)
	return v, v.probe(ctx, r, pod, ours)
}

// ownPod is this unit's pod; empty where it is not known which.
func ownPod(ctx context.Context, r Reader, a App) (p seenPod, err error) {
	if a.Unit == "" {
		return p, nil
	}
	err = r.Get(ctx, Ref{"Pod", a.Pod(), a.Namespace}, &p)
	if notServed(err) {
		return seenPod{}, nil
	}
	return p, err
}

// GatewayView is everything that a gateway reads from the cluster.
type GatewayView struct {
	Network Network
	Owner   types.UID         // of the application's ServiceAccount
	Trials  Trials            // of images
	Claim   Claim             // what the gateway has had of an overlay so far
	Others  Claims            // of the cluster's other gateways
	Images  map[string]string // of this pod's containers, by their names; empty where the pod is not known
	Devices []string          // that this pod has
}

// ObserveGateway reads what a gateway decides from. A *ForbiddenError says that the application is not trusted.
func ObserveGateway(ctx context.Context, r Reader, a App, o Overrides) (v GatewayView, err error) {
	defer func() { err = told(err, a.Name) }()
	if v, err = observe(ctx, r, a, o); err != nil {
		return v, err
	}
	if v.Claim, v.Others, err = observeClaims(ctx, r, a); err != nil {
		return v, err
	}
	pod, err := ownPod(ctx, r, a)
	v.Images = map[string]string{}
	for _, c := range pod.Spec.Containers {
		v.Images[c.Name] = c.Image
		v.Devices = slices.AppendSeq(v.Devices, maps.Keys(c.Resources.Limits))
	}
	return v, err
}

// observe reads what both ends need.
func observe(ctx context.Context, r Reader, a App, o Overrides) (v GatewayView, err error) {
	var account seenAccount
	if err := r.Get(ctx, Ref{"ServiceAccount", a.Name, a.Namespace}, &account); err != nil {
		return v, err
	}
	v.Owner = types.UID(account.Metadata.UID)
	if v.Trials, err = observeTrials(ctx, r, a); err != nil {
		return v, err
	}
	v.Network, err = Discover(ctx, r, o)
	return v, err
}

// readState reads what an earlier hook kept. What cannot be read counts as never routed: the pod stays as it is, closed.
func (v *ClientView) readState(ctx context.Context, r Reader, a App) error {
	var kept seenConfigMap
	err := r.Get(ctx, Ref{"ConfigMap", a.clientState(), a.Namespace}, &kept)
	if notServed(err) {
		return nil
	}
	if err != nil {
		return err
	}
	var last *LastGood
	if json.Unmarshal([]byte(kept.Data[lastGoodKey]), &last) == nil && last != nil && last.Gateway.valid() == nil {
		v.Last = last
	}
	if json.Unmarshal([]byte(kept.Data[probeKey]), &v.Probe) != nil {
		v.Probe = EnforcementProbe{}
	}
	return nil
}

// probe keeps the record of enforcement going: a target that answers while there is no policy yet, and then whether it
// still does. Once the policy is known to be enforced in this pod nothing is asked any more. A pod that came to another
// node asks nothing: there may be no route to the first one, and silence would prove nothing. Nor does one with a guard, which lets nobody
// ask a kubelet: what was found before it was laid, on whatever node, is kept.
func (v *ClientView) probe(ctx context.Context, r Reader, pod seenPod, policy bool) error {
	node, _ := netip.ParseAddr(pod.Status.HostIP)
	uid := pod.Metadata.UID
	guarded := slices.ContainsFunc(pod.Spec.InitContainers, func(c seenContainer) bool { return c.Name == guardName })
	switch {
	case guarded:
	case !policy:
		target, err := kubelet(ctx, r, pod.Spec.NodeName, node)
		if err != nil {
			return err
		}
		v.Probe = EnforcementProbe{Target: target, Before: target.IsValid() && answers(ctx, target)}
	case uid == "":
		return nil // it is not known which pod this is, so neither is anything of it
	case v.Probe.Target.Addr() != node:
		v.Probe.Pod, v.Probe.Blocked = "", false
	case v.Probe.Before && (v.Probe.Pod != uid || !v.Probe.Blocked):
		v.Probe.Pod, v.Probe.Blocked = uid, !answers(ctx, v.Probe.Target)
	}
	v.Enforced = v.Probe.verdict()
	return nil
}

// kubelet is an address inside the cluster that no policy of ours admits and every pod has a route to: the kubelet of its
// own node. It is zero where the node is not known, or not where its kubelet listens. Kubernetes lets a CNI admit the own
// node whatever policies say; such a cluster is told as one that does not enforce them, which is the careful mistake.
func kubelet(ctx context.Context, r Reader, name string, addr netip.Addr) (netip.AddrPort, error) {
	if name == "" || !addr.IsValid() {
		return netip.AddrPort{}, nil
	}
	var node seenNode
	err := r.Get(ctx, Ref{Kind: "Node", Name: name}, &node)
	if err != nil && !notServed(err) {
		return netip.AddrPort{}, fmt.Errorf("cannot find a target to measure enforcement with: %w", err)
	}
	port := node.Status.DaemonEndpoints.KubeletEndpoint.Port
	if port == 0 {
		return netip.AddrPort{}, nil
	}
	return netip.AddrPortFrom(addr, port), nil
}
