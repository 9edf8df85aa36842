package vpnk8slib

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"

	"k8s.io/apimachinery/pkg/types"
)

// ClientView is everything that a consumer reads from the cluster.
type ClientView struct {
	Last     *LastGood // nil: never routed, or what was kept cannot be read
	Network  Network
	Owner    types.UID // of the application's ServiceAccount
	Wider    []string  // other NetworkPolicies that select our pods and allow more than ours
	Probe    EnforcementProbe
	Enforced Enforcement
}

// ObserveClient reads what a consumer decides from. A *ForbiddenError says that the application is not trusted.
func ObserveClient(ctx context.Context, r Reader, a App, o Overrides) (v ClientView, err error) {
	defer func() { err = named(err, a) }()
	base, err := observe(ctx, r, a, o)
	v.Network, v.Owner = base.Network, base.Owner
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
	var ours bool
	v.Wider, ours = wider(a, policies.Items)
	return v, v.probe(ctx, r, ours)
}

// GatewayView is everything that a gateway reads from the cluster.
type GatewayView struct {
	Network Network
	Owner   types.UID // of the application's ServiceAccount
}

// ObserveGateway reads what a gateway decides from. A *ForbiddenError says that the application is not trusted.
func ObserveGateway(ctx context.Context, r Reader, a App, o Overrides) (GatewayView, error) {
	v, err := observe(ctx, r, a, o)
	return v, named(err, a)
}

// observe reads what both ends need.
func observe(ctx context.Context, r Reader, a App, o Overrides) (v GatewayView, err error) {
	var account seenAccount
	if err := r.Get(ctx, Ref{"ServiceAccount", a.Name, a.Namespace}, &account); err != nil {
		return v, err
	}
	v.Owner = types.UID(account.Metadata.UID)
	v.Network, err = Discover(ctx, r, o)
	return v, err
}

// named completes a refusal with who was refused: the client knows the token, not always whose it is.
func named(err error, a App) error {
	var f *ForbiddenError
	if errors.As(err, &f) && f.App == "" {
		f.App = a.Name
	}
	return err
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
	if json.Unmarshal([]byte(kept.Data[lastGoodKey]), &last) == nil && last != nil && check(last.Gateway) == nil {
		v.Last = last
	}
	if json.Unmarshal([]byte(kept.Data[probeKey]), &v.Probe) != nil {
		v.Probe = EnforcementProbe{}
	}
	return nil
}

// probe keeps the record of enforcement going: a target that answers while there is no policy yet, and then whether it
// still does. Once the policy is known to be enforced in this pod nothing is asked any more.
func (v *ClientView) probe(ctx context.Context, r Reader, policy bool) error {
	pod := ownAddress()
	if !policy {
		target, err := kubelet(ctx, r)
		if err != nil {
			return err
		}
		v.Probe = EnforcementProbe{Target: target, Before: target.IsValid() && answers(ctx, target)}
	} else if v.Probe.Before && (v.Probe.Pod != pod || !v.Probe.Blocked) {
		v.Probe.Pod, v.Probe.Blocked = pod, !answers(ctx, v.Probe.Target)
	}
	v.Enforced = v.Probe.verdict()
	return nil
}

// kubelet is an address inside the cluster that no policy of ours admits: a node's kubelet.
func kubelet(ctx context.Context, r Reader) (netip.AddrPort, error) {
	var nodes list[seenNode]
	if err := r.List(ctx, "Node", "", &nodes); err != nil {
		return netip.AddrPort{}, fmt.Errorf("cannot find a target to measure enforcement with: %w", err)
	}
	for _, n := range nodes.Items {
		for _, a := range n.Status.Addresses {
			addr, err := netip.ParseAddr(a.Address)
			if port := n.Status.DaemonEndpoints.KubeletEndpoint.Port; err == nil && a.Type == "InternalIP" && port > 0 {
				return netip.AddrPortFrom(addr, port), nil
			}
		}
	}
	return netip.AddrPort{}, nil
}
