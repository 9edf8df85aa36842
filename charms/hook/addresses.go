package hook

import (
	"fmt"
	"net/netip"
	"strings"
)

// Addresses reads addresses with commas between them, each with the length of its network or without, where it is the address alone.
func Addresses(text string) (all []netip.Prefix, err error) {
	for word := range strings.SplitSeq(text, ",") {
		if word = strings.TrimSpace(word); word == "" {
			continue
		}
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
