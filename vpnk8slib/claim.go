package vpnk8slib

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// A Claim is what a gateway has of its overlay that no other gateway of the cluster has. It is no lock: gateways read each other's, and
// one of two gives way. Until then both route: each overlay ends in the pods of its own gateway and clients, who know each other by
// address and key.
type Claim struct {
	Gateway string       // namespace/application
	VXLANID int          // 0: none
	Network netip.Prefix // as wide as its routing method has it; zero: none
}

// Claims are those of several gateways.
type Claims []Claim

// observeClaims reads what gateways keep for their own pods. What others have is nothing where they may not be listed: then a
// choice that was made stays.
func observeClaims(ctx context.Context, r Reader, a App) (own Claim, others Claims, err error) {
	var kept seenConfigMap
	if err := r.Get(ctx, Ref{"ConfigMap", a.gatewayConfig(), a.Namespace}, &kept); err != nil && !notServed(err) {
		return Claim{}, nil, err
	}
	own = claimOf(a, kept.Data)
	var all list[seenConfigMap]
	if err := r.List(ctx, gatewayConfigs, "", &all); apierrors.IsForbidden(err) || notServed(err) {
		return own, nil, nil
	} else if err != nil {
		return Claim{}, nil, err
	}
	for _, m := range all.Items {
		of := App{Name: m.Metadata.Labels[nameLabel], Namespace: m.Metadata.Namespace}
		if c := claimOf(of, m.Data); c.Gateway != own.Gateway && c.VXLANID != 0 && m.Metadata.Name == of.gatewayConfig() {
			others = append(others, c)
		}
	}
	return own, others, nil
}

// claimOf reads what anybody who may write a ConfigMap can have written: what is no overlay's is no claim.
func claimOf(a App, files map[string]string) Claim {
	c := Claim{Gateway: a.Namespace + "/" + a.Name}
	for _, m := range methods {
		id, network := m.claims(files)
		if id > 0 && id < vxlanIDs && private(network) && network.Bits() >= overlayBits {
			c.VXLANID, c.Network = id, network.Masked()
		}
	}
	return c
}

// vxlanIDs is how many network identifiers there are; 0 is none of ours.
const vxlanIDs = 1 << 24

// A TakenError is that what the operator set is another gateway's as well.
type TakenError struct {
	Gateway   string // whose: namespace/application
	Has, Free string // what that one has of it, and what nobody has
	Kept      bool   // it has been laid already, and stays: nobody's overlay is taken down for it
}

func (e *TakenError) Error() string {
	return fmt.Sprintf("gateway %s has %s, and nobody %s", e.Gateway, e.Has, e.Free)
}

// VXLANID is what the operator set; or, where that is 0, the gateway's own: what it has had, or one that is free. Of two that have the
// same by themselves, the one whose name sorts behind takes another. Where what is set is another's as well, a *TakenError says so; unless
// it is Kept, the number is the one that the gateway has had.
func (v GatewayView) VXLANID(a App, set int) (int, error) {
	if set == 0 {
		if _, taken := v.before().id(v.Claim.VXLANID); v.Claim.VXLANID != 0 && !taken {
			return v.Claim.VXLANID, nil
		}
		return v.freeID(a), nil
	}
	other, taken := v.Others.id(set)
	if !taken {
		return set, nil
	}
	return v.Claim.VXLANID, &TakenError{other.Gateway, strconv.Itoa(set), strconv.Itoa(v.freeID(a)), set == v.Claim.VXLANID}
}

// OverlayNetwork is the same of the network, as the routing method takes it. It overlaps nothing of n's either, which is the
// cluster's with whatever else is to be reached beside the overlay.
func (v GatewayView) OverlayNetwork(a App, set OverlayNetwork, method string, n Network) (OverlayNetwork, error) {
	free := func() OverlayNetwork {
		_, start := begin(a)
		return freeOverlay(start, n, v.Others)
	}
	if set.prefix.IsValid() {
		want := set.By(method).prefix
		other, taken := v.Others.network(want)
		if !taken {
			return set, nil
		}
		// By another method what it has is wider, or narrower: it is its own all the same.
		e := &TakenError{other.Gateway, other.Network.String(), free().String(), want.Overlaps(v.Claim.Network)}
		if e.Kept {
			return set, e
		}
		return narrow(v.Claim.Network), e
	}
	if !v.Claim.Network.IsValid() {
		return free(), nil
	}
	kept := narrow(v.Claim.Network)
	_, overlaps := kept.By(method).Overlaps(n)
	if _, taken := v.before().network(kept.By(method).prefix); taken || overlaps {
		return free(), nil
	}
	return kept, nil
}

// freeID is the first that no other gateway has.
func (v GatewayView) freeID(a App) int {
	for id, _ := begin(a); ; id = (id + 1) % vxlanIDs {
		if _, taken := v.Others.id(id); id != 0 && !taken {
			return id
		}
	}
}

// begin is where an application begins to look, so that few look at the same: a network identifier, and a network's number.
func begin(a App) (id, network int) {
	sum := sha256.Sum256([]byte(a.Namespace + "/" + a.Name))
	n := binary.BigEndian.Uint32(sum[:])
	return int(n >> 8), int(n & 0xff)
}

// before are the claims of those whose names sort before the gateway's.
func (v GatewayView) before() (out Claims) {
	for _, c := range v.Others {
		if c.Gateway < v.Claim.Gateway {
			out = append(out, c)
		}
	}
	return out
}

// id is who has a network identifier.
func (c Claims) id(id int) (Claim, bool) {
	return c.first(func(c Claim) bool { return c.VXLANID == id })
}

// network is who has something of a network.
func (c Claims) network(p netip.Prefix) (Claim, bool) {
	return c.first(func(c Claim) bool { return c.Network.Overlaps(p) })
}

func (c Claims) first(has func(Claim) bool) (Claim, bool) {
	i := slices.IndexFunc(c, has)
	if i < 0 {
		return Claim{}, false
	}
	return c[i], true
}

func (c Claims) networks() (out CIDRs) {
	for _, claim := range c {
		out = append(out, claim.Network)
	}
	return out
}
