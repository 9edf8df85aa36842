package vpnk8slib

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"unicode"
)

// CIDRs is a list of networks. On the wire and in options it is one string: "10.1.0.0/16,10.152.183.0/24".
type CIDRs []netip.Prefix

// ParseCIDRs reads networks separated by commas or spaces. It refuses what would be a hole: a network that holds every
// address, host bits, and networks that overlap. The error names the network and what to write in its place.
func ParseCIDRs(s string) (CIDRs, error) {
	var out CIDRs
	for _, f := range strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' }) {
		p, err := netip.ParsePrefix(f)
		if err != nil {
			return nil, fmt.Errorf("cannot read network %q: write it as 10.1.0.0/16", f)
		}
		out = append(out, p)
	}
	if len(out) == 0 {
		return nil, noNetwork(s)
	}
	if err := out.check(); err != nil {
		return nil, err
	}
	return out, nil
}

func noNetwork(s string) error {
	return fmt.Errorf("cannot find a network in %q: write them as 10.1.0.0/16,10.152.183.0/24", s)
}

// check says what would be a hole.
func (c CIDRs) check() error {
	for n, p := range c {
		if p != p.Masked() {
			return fmt.Errorf("cannot use network %s: it has host bits, write %s", p, p.Masked())
		}
		if shortest := widest(p.Addr()); p.Bits() < shortest {
			return fmt.Errorf("cannot use network %s: it is wider than any cluster's (/%d), name the cluster's pod and service networks only", p, shortest)
		}
		for _, q := range c[:n] {
			if p.Overlaps(q) {
				return fmt.Errorf("cannot use networks %s and %s: they overlap, name one of them", q, p)
			}
		}
	}
	return nil
}

// foreignCIDRs are networks as others publish them, who check less (charmarr-lib-vpn 0.5 takes any text). Nothing here is
// made from them, so nothing stands still because of them: what can be read is kept, and only a text without any network
// is refused.
type foreignCIDRs CIDRs

// UnmarshalText reads what can be read; an empty text is no network.
func (c *foreignCIDRs) UnmarshalText(b []byte) error {
	var found []netip.Prefix
	for _, f := range strings.FieldsFunc(string(b), func(r rune) bool { return r == ',' || r == ';' || unicode.IsSpace(r) }) {
		if p, err := netip.ParsePrefix(f); err == nil {
			found = append(found, p.Masked())
		}
	}
	if len(b) > 0 && len(found) == 0 {
		return noNetwork(string(b))
	}
	*c = foreignCIDRs(merged(found...))
	return nil
}

// widest is the shortest prefix that a cluster's network has. Two halves of the world would open the kill switch like the
// whole. 10.0.0.0/8 is as wide as any private network; IPv6 pod networks are /48 or longer, because the controller manager
// takes at most 16 bits off a node's /64.
func widest(a netip.Addr) int {
	if a.Is4() {
		return 8
	}
	return 32
}

// String is the form on the wire.
func (c CIDRs) String() string { return c.join(",") }

func (c CIDRs) join(separator string) string {
	parts := make([]string, len(c))
	for i, p := range c {
		parts[i] = p.String()
	}
	return strings.Join(parts, separator)
}

// MarshalText writes the form on the wire.
func (c CIDRs) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads the form on the wire; an empty text is no network.
func (c *CIDRs) UnmarshalText(b []byte) (err error) {
	*c = nil
	if len(b) > 0 {
		*c, err = ParseCIDRs(string(b))
	}
	return err
}

// Contains says whether a network of the list holds a.
func (c CIDRs) Contains(a netip.Addr) bool {
	return slices.ContainsFunc(c, func(p netip.Prefix) bool { return p.Contains(a) })
}

// And adds networks, but for those that others hold.
func (c CIDRs) And(more ...netip.Prefix) CIDRs { return merged(slices.Concat(c, more)...) }

// Only keeps the networks of one family.
func (c CIDRs) Only(v6 bool) (out CIDRs) {
	for _, p := range c {
		if p.Addr().Is6() == v6 {
			out = append(out, p)
		}
	}
	return out
}

// merged sorts networks and drops those that another one holds, so that the same cluster always yields the same text.
func merged(in ...netip.Prefix) (out CIDRs) {
	slices.SortFunc(in, func(a, b netip.Prefix) int {
		if c := a.Addr().Compare(b.Addr()); c != 0 {
			return c
		}
		return a.Bits() - b.Bits()
	})
	for _, p := range in {
		if len(out) == 0 || !out[len(out)-1].Overlaps(p) {
			out = append(out, p)
		}
	}
	return out
}

// host is the network of one address.
func host(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }
