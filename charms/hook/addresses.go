package hook

import (
	"fmt"
	"net/netip"
	"strings"
)

// Words splits a list as people write it: by commas, with spaces around them.
func Words(text string) (out []string) {
	for w := range strings.SplitSeq(text, ",") {
		if w = strings.TrimSpace(w); w != "" {
			out = append(out, w)
		}
	}
	return out
}

// Addresses reads addresses with commas between them, each with the length of its network or without, where it is the address alone.
func Addresses(text string) (all []netip.Prefix, err error) {
	for _, word := range Words(text) {
		if !strings.Contains(word, "/") {
			address, err := netip.ParseAddr(word)
			if err != nil || address.Zone() != "" {
				return nil, fmt.Errorf("cannot read the address %q", word)
			}
			address = address.Unmap()
			all = append(all, netip.PrefixFrom(address, address.BitLen()))
			continue
		}
		network, err := netip.ParsePrefix(word)
		if err != nil || network.Addr().Is4In6() { // which holds no IPv4 address
			return nil, fmt.Errorf("cannot read the network %q", word)
		}
		all = append(all, network)
	}
	return all, nil
}
