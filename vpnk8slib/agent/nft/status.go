package nft

import (
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
)

// What conntrack notes of a connection (linux/netfilter/nf_conntrack_common.h).
const (
	assured = 1 << 2 // IPS_ASSURED
	dstNAT  = 1 << 5 // IPS_DST_NAT
)

// Translated is `ct status dnat`: of a connection that was led elsewhere than it was for.
func Translated() Words { return some(status(), dstNAT) }

// Assured is `ct status assured`: both ends have spoken for a while. In TCP that is behind the segments that open a connection, in UDP after
// two seconds (linux/net/netfilter, nf_conntrack_proto_tcp and nf_conntrack_proto_udp).
func Assured() Words { return some(status(), assured) }

// AssuredTranslated is `ct status & (assured | dnat) == assured | dnat`: both at the price of one.
func AssuredTranslated() Words {
	both := binaryutil.NativeEndian.PutUint32(assured | dstNAT)
	return Words{
		status(),
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: both, Xor: binaryutil.NativeEndian.PutUint32(0)},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: both},
	}
}

func status() expr.Any { return &expr.Ct{Key: expr.CtKeySTATUS, Register: 1} }
