package guard

import (
	"encoding/binary"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// What a rule is made of, in nft's own words. Each uses register 1, and 9 beside it where two things are compared at once.

type words = []expr.Any

// rule is one after the other.
func rule(parts ...words) words {
	var all words
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

func is(load expr.Any, value []byte) words {
	return words{load, &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: value}}
}

// some is `LOAD & bits != 0`.
func some(load expr.Any, bits uint32) words {
	zero := binaryutil.NativeEndian.PutUint32(0)
	return words{
		load,
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: binaryutil.NativeEndian.PutUint32(bits), Xor: zero},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: zero},
	}
}

func ifname(name string) []byte {
	out := make([]byte, unix.IFNAMSIZ)
	copy(out, name)
	return out
}

func iif(name string) words {
	return is(&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: 1}, ifname(name))
}
func oif(name string) words {
	return is(&expr.Meta{Key: expr.MetaKeyOIFNAME, Register: 1}, ifname(name))
}
func proto(p byte) words  { return is(&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, []byte{p}) }
func family(f byte) words { return is(&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1}, []byte{f}) }

// marked is `meta mark == mark`.
func marked(mark uint32) words {
	return is(&expr.Meta{Key: expr.MetaKeyMARK, Register: 1}, binaryutil.NativeEndian.PutUint32(mark))
}

// mark is `meta mark set mark`.
func mark(mark uint32) words {
	return words{
		&expr.Immediate{Register: 1, Data: binaryutil.NativeEndian.PutUint32(mark)},
		&expr.Meta{Key: expr.MetaKeyMARK, Register: 1, SourceRegister: true},
	}
}

// addMark is `meta mark set meta mark | bit`.
func addMark(bit uint32) words {
	return words{
		&expr.Meta{Key: expr.MetaKeyMARK, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: binaryutil.NativeEndian.PutUint32(^bit), Xor: binaryutil.NativeEndian.PutUint32(bit)},
		&expr.Meta{Key: expr.MetaKeyMARK, Register: 1, SourceRegister: true},
	}
}

func state(bits uint32) words { return some(&expr.Ct{Key: expr.CtKeySTATE, Register: 1}, bits) }

// reply is `ct direction reply`.
func reply() words { return is(&expr.Ct{Key: expr.CtKeyDIRECTION, Register: 1}, []byte{1}) }

func connection(bit uint32) words { return some(&expr.Ct{Key: expr.CtKeyMARK, Register: 1}, bit) }

// markConnection is `ct mark set ct mark | bit`; other bits are somebody else's.
func markConnection(bit uint32) words {
	return words{
		&expr.Ct{Key: expr.CtKeyMARK, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: binaryutil.NativeEndian.PutUint32(^bit), Xor: binaryutil.NativeEndian.PutUint32(bit)},
		&expr.Ct{Key: expr.CtKeyMARK, Register: 1, SourceRegister: true},
	}
}

// address loads a packet's source or destination, of its family.
func address(f byte, destination bool, register uint32) expr.Any {
	offset, length := uint32(12), uint32(4)
	if f == unix.NFPROTO_IPV6 {
		offset, length = 8, 16
	}
	if destination {
		offset += length
	}
	return &expr.Payload{DestRegister: register, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: length}
}

// within is `ip saddr|daddr @set`.
func within(f byte, destination bool, set *nftables.Set) words {
	return rule(family(f), words{address(f, destination, 1), &expr.Lookup{SourceRegister: 1, SetName: set.Name, SetID: set.ID}})
}

// towards is `ip daddr . th dport @set`, of TCP and UDP.
func towards(f byte, set *nftables.Set) words {
	after := uint32(9) // the 32-bit register behind an IPv4 address in register 1 (NFT_REG32_01)
	if f == unix.NFPROTO_IPV6 {
		after = 12
	}
	return rule(family(f), words{
		&expr.Payload{DestRegister: after, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		address(f, true, 1),
		&expr.Lookup{SourceRegister: 1, SetName: set.Name, SetID: set.ID},
	})
}

func dport(p uint16) words {
	return is(&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2}, binary.BigEndian.AppendUint16(nil, p))
}

// icmp6 is `icmpv6 type t`.
func icmp6(t byte) words {
	return rule(family(unix.NFPROTO_IPV6), proto(unix.IPPROTO_ICMPV6),
		is(&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Len: 1}, []byte{t}))
}

// counted adds to a counter that is named.
func counted(name string) words {
	return words{&expr.Objref{Type: int(nftables.ObjTypeCounter), Name: name}}
}

func accept() words { return words{&expr.Verdict{Kind: expr.VerdictAccept}} }
func drop() words   { return words{&expr.Verdict{Kind: expr.VerdictDrop}} }

// interval is a network as two elements of a set: its first address, and the first one after it.
func interval(p netip.Prefix) []nftables.SetElement {
	out := []nftables.SetElement{{Key: p.Addr().AsSlice()}}
	last := p.Addr().AsSlice()
	for bit := p.Bits(); bit < len(last)*8; bit++ {
		last[bit/8] |= 0x80 >> (bit % 8)
	}
	end, _ := netip.AddrFromSlice(last)
	if next := end.Next(); next.IsValid() { // where there is none, the network goes to the end of all addresses
		out = append(out, nftables.SetElement{Key: next.AsSlice(), IntervalEnd: true})
	}
	return out
}

// etherType is `meta protocol`, in the chains of an interface.
func etherType(t uint16) words {
	return is(&expr.Meta{Key: expr.MetaKeyPROTOCOL, Register: 1}, binary.BigEndian.AppendUint16(nil, t))
}
