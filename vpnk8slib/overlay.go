package vpnk8slib

import (
	"fmt"
	"net/netip"
	"strings"
)

// OverlayNetwork is the network of an overlay: a private IPv4 /24, on the wire as its first three octets, "172.16.0".
type OverlayNetwork struct{ prefix netip.Prefix }

// ParseOverlayNetwork reads the form on the wire.
func ParseOverlayNetwork(s string) (OverlayNetwork, error) {
	p, err := netip.ParsePrefix(s + ".0/24")
	if err != nil || !p.Addr().IsPrivate() || !p.Addr().Is4() {
		return OverlayNetwork{}, fmt.Errorf("cannot use overlay network %q: write the first three octets of a private network, such as 172.16.0", s)
	}
	return OverlayNetwork{p}, nil
}

// DefaultOverlay is 172.16.0.0/24, as charmarr-lib-vpn has it.
func DefaultOverlay() OverlayNetwork {
	return OverlayNetwork{netip.PrefixFrom(netip.AddrFrom4([4]byte{172, 16, 0, 0}), 24)}
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

// UnmarshalText reads the form on the wire.
func (o *OverlayNetwork) UnmarshalText(b []byte) (err error) {
	*o, err = ParseOverlayNetwork(string(b))
	return err
}
