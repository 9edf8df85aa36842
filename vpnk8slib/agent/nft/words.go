package nft

import (
	"encoding/binary"
	"net"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// What a rule is made of, in nft's own Words. Each uses register 1, and 9 beside it where two things are compared at once.

// Words are a rule, or a part of one.
type Words = []expr.Any

// Rule is one after the other.
func Rule(parts ...Words) Words {
	var all Words
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

func is(load expr.Any, value []byte) Words {
	return Words{load, &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: value}}
}

func isNot(load expr.Any, value []byte) Words {
	return Words{load, &expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: value}}
}

// some is `LOAD & bits != 0`.
func some(load expr.Any, bits uint32) Words {
	zero := binaryutil.NativeEndian.PutUint32(0)
	return Words{
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

func Iif(name string) Words {
	return is(&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: 1}, ifname(name))
}
func Oif(name string) Words {
	return is(&expr.Meta{Key: expr.MetaKeyOIFNAME, Register: 1}, ifname(name))
}

// NotIif is `iifname != name`.
func NotIif(name string) Words {
	return isNot(&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: 1}, ifname(name))
}

// NotOif is `oifname != name`.
func NotOif(name string) Words {
	return isNot(&expr.Meta{Key: expr.MetaKeyOIFNAME, Register: 1}, ifname(name))
}

func Proto(p byte) Words  { return is(&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, []byte{p}) }
func Family(f byte) Words { return is(&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1}, []byte{f}) }

// Marked is `meta mark == mark`.
func Marked(mark uint32) Words {
	return is(&expr.Meta{Key: expr.MetaKeyMARK, Register: 1}, binaryutil.NativeEndian.PutUint32(mark))
}

// Mark is `meta mark set mark`.
func Mark(mark uint32) Words {
	return Words{
		&expr.Immediate{Register: 1, Data: binaryutil.NativeEndian.PutUint32(mark)},
		&expr.Meta{Key: expr.MetaKeyMARK, Register: 1, SourceRegister: true},
	}
}

// MarkedBit is `meta mark & bit != 0`.
func MarkedBit(bit uint32) Words { return some(&expr.Meta{Key: expr.MetaKeyMARK, Register: 1}, bit) }

// MarkedOther is `meta mark & mask != mark`.
func MarkedOther(mask, mark uint32) Words {
	return Words{
		&expr.Meta{Key: expr.MetaKeyMARK, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: binaryutil.NativeEndian.PutUint32(mask), Xor: binaryutil.NativeEndian.PutUint32(0)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: binaryutil.NativeEndian.PutUint32(mark)},
	}
}

// AddMark is `meta mark set meta mark | bit`.
func AddMark(bit uint32) Words { return MarkAs(bit, bit) }

// MarkAs is `meta mark set (meta mark & ~mask) | mark`.
func MarkAs(mask, mark uint32) Words {
	return Words{
		&expr.Meta{Key: expr.MetaKeyMARK, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: binaryutil.NativeEndian.PutUint32(^mask), Xor: binaryutil.NativeEndian.PutUint32(mark)},
		&expr.Meta{Key: expr.MetaKeyMARK, Register: 1, SourceRegister: true},
	}
}

// States of a connection, as bits (linux/netfilter/nf_conntrack_common.h).
const (
	Established = 1 << 1
	Related     = 1 << 2
	New         = 1 << 3
)

func State(bits uint32) Words { return some(&expr.Ct{Key: expr.CtKeySTATE, Register: 1}, bits) }

// Zone is `ct zone set z`, before conntrack looks: connections of one zone are not those of another.
func Zone(z uint16) Words {
	return Words{
		&expr.Immediate{Register: 1, Data: binaryutil.NativeEndian.PutUint16(z)},
		&expr.Ct{Key: expr.CtKeyZONE, Register: 1, SourceRegister: true},
	}
}

// Untracked is `notrack`, before conntrack looks: to it the packet is of no connection, and none is remembered.
func Untracked() Words { return Words{&expr.Notrack{}} }

// Reply is `ct direction reply`.
func Reply() Words { return is(&expr.Ct{Key: expr.CtKeyDIRECTION, Register: 1}, []byte{1}) }

// Original is `ct direction original`.
func Original() Words { return is(&expr.Ct{Key: expr.CtKeyDIRECTION, Register: 1}, []byte{0}) }

func Connection(bit uint32) Words { return some(&expr.Ct{Key: expr.CtKeyMARK, Register: 1}, bit) }

// MarkConnection is `ct mark set ct mark | bit`; other bits are somebody else's.
func MarkConnection(bit uint32) Words {
	return Words{
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

// Within is `ip saddr|daddr @set`.
func Within(f byte, destination bool, set *nftables.Set) Words {
	return Rule(Family(f), Words{address(f, destination, 1), &expr.Lookup{SourceRegister: 1, SetName: set.Name, SetID: set.ID}})
}

// To is `ip daddr address`.
func To(a netip.Addr) Words {
	f := family(a)
	return Rule(Family(f), is(address(f, true, 1), a.AsSlice()))
}

// From is `ip saddr network`.
func From(p netip.Prefix) Words {
	f, first := family(p.Addr()), p.Masked().Addr().AsSlice()
	mask := net.CIDRMask(p.Bits(), 8*len(first))
	return Rule(Family(f), Words{
		address(f, false, 1),
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: uint32(len(first)), Mask: mask, Xor: make([]byte, len(first))},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: first},
	})
}

// NotFrom is `ip saddr != address`.
func NotFrom(a netip.Addr) Words {
	f := family(a)
	return Rule(Family(f), isNot(address(f, false, 1), a.AsSlice()))
}

func family(a netip.Addr) byte {
	if a.Is4() {
		return unix.NFPROTO_IPV4
	}
	return unix.NFPROTO_IPV6
}

// Towards is `ip daddr . th dport @set`, of TCP and UDP.
func Towards(f byte, set *nftables.Set) Words {
	after := uint32(9) // the 32-bit register behind an IPv4 address in register 1 (NFT_REG32_01)
	if f == unix.NFPROTO_IPV6 {
		after = 12
	}
	return Rule(Family(f), Words{
		&expr.Payload{DestRegister: after, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		address(f, true, 1),
		&expr.Lookup{SourceRegister: 1, SetName: set.Name, SetID: set.ID},
	})
}

func Dport(p uint16) Words {
	return is(&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2}, binary.BigEndian.AppendUint16(nil, p))
}

func Sport(p uint16) Words {
	return is(&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Len: 2}, binary.BigEndian.AppendUint16(nil, p))
}

// Unreachable is an ICMP error of that kind about a packet from a port or to one: it quotes that, without options, behind its own
// header of 8 bytes.
func Unreachable(f byte, to bool, p uint16) Words {
	kind, offset := byte(3), uint32(8+20)
	if f == unix.NFPROTO_IPV6 {
		kind, offset = 1, 8+40
	}
	if to {
		offset += 2
	}
	return Rule(icmp(f, kind), is(&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: offset, Len: 2}, binary.BigEndian.AppendUint16(nil, p)))
}

// NotDports is `th dport != @set`.
func NotDports(set *nftables.Set) Words {
	return Words{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		&expr.Lookup{SourceRegister: 1, SetName: set.Name, SetID: set.ID, Invert: true},
	}
}

// NotDport is `th dport != p`.
func NotDport(p uint16) Words {
	return isNot(&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2}, binary.BigEndian.AppendUint16(nil, p))
}

// NotSport is `th sport != p`.
func NotSport(p uint16) Words {
	return isNot(&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Len: 2}, binary.BigEndian.AppendUint16(nil, p))
}

// icmp is `icmp type kind`, of a family.
func icmp(f, kind byte) Words {
	proto := byte(unix.IPPROTO_ICMP)
	if f == unix.NFPROTO_IPV6 {
		proto = unix.IPPROTO_ICMPV6
	}
	return Rule(Family(f), Proto(proto), is(&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Len: 1}, []byte{kind}))
}

// ICMPv6 is `icmpv6 type t`.
func ICMPv6(t byte) Words { return icmp(unix.NFPROTO_IPV6, t) }

// NotRoot is `meta skuid != 0`: of a socket of any other user.
func NotRoot() Words {
	return isNot(&expr.Meta{Key: expr.MetaKeySKUID, Register: 1}, binaryutil.NativeEndian.PutUint32(0))
}

// Owned is of a socket of any user, and not of the kernel's own: of those `meta skuid` says nothing, and ends the rule.
func Owned() Words { return Words{&expr.Meta{Key: expr.MetaKeySKUID, Register: 1}} }

// LedOn is a packet that names another address than its destination, to be sent on to, or may: IPv4 with options (`ip hdrlength != 5`), IPv6
// with a routing header (`exthdr rt exists`).
func LedOn(f byte) Words {
	if f == unix.NFPROTO_IPV6 {
		return Rule(Family(f), is(&expr.Exthdr{DestRegister: 1, Type: unix.IPPROTO_ROUTING, Len: 1, Flags: unix.NFT_EXTHDR_F_PRESENT}, []byte{1}))
	}
	return Rule(Family(f), header(expr.CmpOpNeq))
}

// NoOptions is `ip hdrlength 5`, of a packet that is known to be IPv4.
func NoOptions() Words { return header(expr.CmpOpEq) }

// header compares the length of an IPv4 header with that of one without options, in words of 32 bits.
func header(op expr.CmpOp) Words {
	return Words{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Len: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 1, Mask: []byte{0x0f}, Xor: []byte{0}},
		&expr.Cmp{Op: op, Register: 1, Data: []byte{5}},
	}
}

// Redirect is `redirect to :port`: to this namespace's own loopback, of what it sends itself.
func Redirect(port uint16) Words {
	return Words{
		&expr.Immediate{Register: 1, Data: binary.BigEndian.AppendUint16(nil, port)},
		&expr.Redir{RegisterProtoMin: 1},
	}
}

// Ping is `icmp type echo-request`.
func Ping() Words { return icmp(unix.NFPROTO_IPV4, 8) }

// Begins is `tcp flags syn / syn,rst`: a segment that opens a connection, or the answer to it.
func Begins() Words {
	const syn, rst = 0x02, 0x04
	return Words{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{unix.IPPROTO_TCP}},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 13, Len: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 1, Mask: []byte{syn | rst}, Xor: []byte{0}},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{syn}},
	}
}

// Clamp is `tcp option maxseg size set rt mtu`: segments of a connection that Begins fit through what this packet takes.
func Clamp() Words {
	const maxseg = 2
	return Words{
		&expr.Rt{Register: 1, Key: expr.RtTCPMSS},
		&expr.Byteorder{SourceRegister: 1, DestRegister: 1, Op: expr.ByteorderHton, Len: 2, Size: 2},
		&expr.Exthdr{SourceRegister: 1, Type: maxseg, Offset: 2, Len: 2, Op: expr.ExthdrOpTcpopt},
	}
}

// LeadTo is `dnat ip to address:port`.
func LeadTo(to netip.AddrPort) Words {
	return Words{
		&expr.Immediate{Register: 1, Data: to.Addr().AsSlice()},
		&expr.Immediate{Register: 2, Data: binary.BigEndian.AppendUint16(nil, to.Port())},
		&expr.NAT{Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: 1, RegProtoMin: 2},
	}
}

func Masquerade() Words { return Words{&expr.Masq{}} }

// MasqueradeAnew is `masquerade fully-random`: by another port than the one that it comes from.
func MasqueradeAnew() Words { return Words{&expr.Masq{FullyRandom: true}} }

// Counted adds to a counter that is named.
func Counted(name string) Words {
	return Words{&expr.Objref{Type: int(nftables.ObjTypeCounter), Name: name}}
}

// Goto ends in another chain.
func Goto(to string) Words { return Words{&expr.Verdict{Kind: expr.VerdictGoto, Chain: to}} }

func Accept() Words { return Words{&expr.Verdict{Kind: expr.VerdictAccept}} }
func Drop() Words   { return Words{&expr.Verdict{Kind: expr.VerdictDrop}} }

// Interval is a network as two elements of a set: its first address, and the first one after it.
func Interval(p netip.Prefix) []nftables.SetElement {
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

// Service is an element of a set of addresses with their ports, as Towards asks it: padded to whole registers.
func Service(a netip.AddrPort) nftables.SetElement {
	return nftables.SetElement{Key: append(a.Addr().AsSlice(), byte(a.Port()>>8), byte(a.Port()), 0, 0)}
}

// EtherType is `meta protocol`, in the chains of an interface.
func EtherType(t uint16) Words {
	return is(&expr.Meta{Key: expr.MetaKeyPROTOCOL, Register: 1}, binary.BigEndian.AppendUint16(nil, t))
}
