package overlay

import "net/netip"

// Six is the IPv6 twin of an overlay's address. Nobody needs to be told it: the overlay's identifier and the IPv4 address say it.
func Six(vni uint32, a netip.Addr) netip.Addr {
	// A network of its own for each overlay, of those that are nobody's on the internet (RFC 4193).
	out := [16]byte{0: 0xfd, 1: 0x76, 2: 0x70, 3: 0x6e, 5: byte(vni >> 16), 6: byte(vni >> 8), 7: byte(vni)}
	four := a.As4()
	copy(out[sixBits/8:], four[:])
	return netip.AddrFrom16(out)
}

const sixBits = 96

// Sixes is the network of the twins of an overlay.
func Sixes(vni uint32) netip.Prefix {
	return netip.PrefixFrom(Six(vni, netip.IPv4Unspecified()), sixBits)
}

// MinSix is the least that an interface must take at once for IPv6, in bytes (RFC 8200).
const MinSix = 1280
