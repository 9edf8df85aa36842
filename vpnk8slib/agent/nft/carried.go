package nft

import (
	"encoding/binary"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// Where the encapsulation has what, behind its UDP header (RFC 7348): 8 bytes of its own, an Ethernet header of 14, IPv4 or IPv6.
const (
	innerType    = 8 + 8 + 12
	innerSource  = 8 + 8 + 14 + 12
	innerSource6 = 8 + 8 + 14 + 8
)

// Carries is a VXLAN packet of a frame of an EtherType.
func Carries(t uint16) Words {
	return is(&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: innerType, Len: 2}, binary.BigEndian.AppendUint16(nil, t))
}

// CarriesFrom is a VXLAN packet whose IPv4 source, and the one of the packet in it, are together in a set.
func CarriesFrom(set *nftables.Set) Words {
	return Rule(Family(unix.NFPROTO_IPV4), together(address(unix.NFPROTO_IPV4, false, 1), inside(innerSource), set))
}

// CarriesFrom6 is CarriesFrom, of a packet in it whose IPv6 source is the twin of an address of the set: in that network, which has
// 96 bits.
func CarriesFrom6(network netip.Prefix, set *nftables.Set) Words {
	return Rule(Family(unix.NFPROTO_IPV4), within96(expr.PayloadBaseTransportHeader, innerSource6, network),
		together(address(unix.NFPROTO_IPV4, false, 1), inside(innerSource6+12), set))
}

// together is `first . second @set`: what is loaded into register 1, and into the 32 bits behind it (NFT_REG32_01).
func together(first, second expr.Any, set *nftables.Set) Words {
	return Words{second, first, &expr.Lookup{SourceRegister: 1, SetName: set.Name, SetID: set.ID}}
}

// inside loads an IPv4 address, or what of a twin is one, from the packet that is carried.
func inside(offset uint32) expr.Any {
	return &expr.Payload{DestRegister: 9, Base: expr.PayloadBaseTransportHeader, Offset: offset, Len: 4}
}

// within96 is an IPv6 address in a network of 96 bits.
func within96(base expr.PayloadBase, offset uint32, network netip.Prefix) Words {
	return is(&expr.Payload{DestRegister: 1, Base: base, Offset: offset, Len: 12}, network.Addr().AsSlice()[:12])
}

// MarkSource is `meta mark set ip saddr`.
func MarkSource() Words {
	return Words{address(unix.NFPROTO_IPV4, false, 1), &expr.Meta{Key: expr.MetaKeyMARK, Register: 1, SourceRegister: true}}
}

// MarkedFrom is a packet whose mark, as MarkSource sets it, and IPv4 source are together in a set.
func MarkedFrom(set *nftables.Set) Words {
	return Rule(Family(unix.NFPROTO_IPV4), together(&expr.Meta{Key: expr.MetaKeyMARK, Register: 1}, address(unix.NFPROTO_IPV4, false, 9), set))
}

// MarkedFrom6 is MarkedFrom, of the twin of an address of the set.
func MarkedFrom6(network netip.Prefix, set *nftables.Set) Words {
	const source = 8
	twin := &expr.Payload{DestRegister: 9, Base: expr.PayloadBaseNetworkHeader, Offset: source + 12, Len: 4}
	return Rule(Family(unix.NFPROTO_IPV6), within96(expr.PayloadBaseNetworkHeader, source, network),
		together(&expr.Meta{Key: expr.MetaKeyMARK, Register: 1}, twin, set))
}
