package vpnk8slib

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// OverlayNetwork is the network of an overlay: a private IPv4 /24, on the wire as its first three octets, "172.16.0".
type OverlayNetwork struct{ prefix netip.Prefix }

// ParseOverlayNetwork reads the form on the wire.
func ParseOverlayNetwork(s string) (OverlayNetwork, error) {
	p, err := netip.ParsePrefix(s + ".0/24")
	if err != nil || !private(p) {
		return OverlayNetwork{}, fmt.Errorf("cannot use overlay network %q: write the first three octets of a private network, such as 172.16.0", s)
	}
	return OverlayNetwork{p}, nil
}

// privates are the networks that an overlay may be in (RFC 1918), the first of them first: whatever else there is, others may have.
var privates = []netip.Prefix{netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"), netip.MustParsePrefix("10.0.0.0/8")}

// private says whether all of a network is in one of them.
func private(n netip.Prefix) bool {
	return slices.ContainsFunc(privates, func(p netip.Prefix) bool { return p.Bits() <= n.Bits() && p.Contains(n.Addr()) })
}

// DefaultOverlay is 172.16.0.0/24, as charmarr-lib-vpn has it.
func DefaultOverlay() OverlayNetwork {
	return OverlayNetwork{netip.PrefixFrom(netip.AddrFrom4([4]byte{172, 16, 0, 0}), 24)}
}

// Overlaps finds the network of n's that the overlay would take away: in a pod the longest prefix wins, so the API server or
// the DNS would be looked for behind the gateway.
func (o OverlayNetwork) Overlaps(n Network) (netip.Prefix, bool) {
	all := n.Direct()
	i := slices.IndexFunc(all, o.prefix.Overlaps)
	if i < 0 {
		return netip.Prefix{}, false
	}
	return all[i], true
}

// apart says what an overlay would take away from the cluster. gateway is how `juju config` finds the one that chooses it.
func apart(overlay netip.Prefix, n Network, gateway string) error {
	p, overlaps := OverlayNetwork{overlay}.Overlaps(n)
	if !overlaps {
		return nil
	}
	whose := "of the cluster"
	if n.Told {
		whose = "of the option cluster-cidrs"
	}
	return fmt.Errorf("the overlay's network %s overlaps %s %s: choose another: juju config %s vxlan-ip-network=%s", overlay, p, whose, gateway, FreeOverlay(n, nil))
}

// FreeOverlay is the first overlay network that overlaps nothing of the cluster's, and nothing that other gateways have, as wide as the method
// overlay has it; the default where none is left.
func FreeOverlay(n Network, others Claims) OverlayNetwork {
	return freeOverlay(0, n, others)
}

// freeOverlay begins with the start-th network of those that there are, and goes around.
func freeOverlay(start int, n Network, others Claims) OverlayNetwork {
	taken := append(n.Direct(), others.networks()...)
	for _, all := range privates {
		there := 1 << (overlayBits - all.Bits())
		for n := range there {
			p := ahead(netip.PrefixFrom(all.Addr(), overlayBits), (start+n)%there)
			if !slices.ContainsFunc(taken, p.Overlaps) {
				return narrow(p)
			}
		}
	}
	return DefaultOverlay()
}

// narrow is the overlay network that p begins with.
func narrow(p netip.Prefix) OverlayNetwork {
	return OverlayNetwork{netip.PrefixFrom(p.Addr(), DefaultOverlay().prefix.Bits()).Masked()}
}

// after is the IPv4 network of the same length behind p.
func after(p netip.Prefix) netip.Prefix { return ahead(p, 1) }

// ahead is the n-th of them behind p.
func ahead(p netip.Prefix, n int) netip.Prefix {
	b := p.Addr().As4()
	binary.BigEndian.PutUint32(b[:], binary.BigEndian.Uint32(b[:])+uint32(n)<<(32-p.Bits()))
	return netip.PrefixFrom(netip.AddrFrom4(b), p.Bits())
}

// By is the network that a routing method takes.
func (o OverlayNetwork) By(method string) OverlayNetwork {
	if method == Overlay {
		return o.Wide()
	}
	return o
}

// Wide is the network of the method overlay: the /20 that holds it.
func (o OverlayNetwork) Wide() OverlayNetwork {
	if !o.prefix.IsValid() {
		return o
	}
	return OverlayNetwork{netip.PrefixFrom(o.prefix.Addr(), overlayBits).Masked()}
}

// Prefix is the whole network.
func (o OverlayNetwork) Prefix() netip.Prefix { return o.prefix }

// String is the form on the wire.
func (o OverlayNetwork) String() string {
	if !o.prefix.IsValid() {
		return ""
	}
	return strings.TrimSuffix(o.prefix.Addr().String(), ".0")
}

// MarshalText writes the form on the wire.
func (o OverlayNetwork) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText reads the form on the wire; an empty text is no network.
func (o *OverlayNetwork) UnmarshalText(b []byte) (err error) {
	*o = OverlayNetwork{}
	if len(b) > 0 {
		*o, err = ParseOverlayNetwork(string(b))
	}
	return err
}
