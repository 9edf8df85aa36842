package guard

import (
	"fmt"
	"strings"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"

	"github.com/charmarr/charmarr-go/vpnk8slib/agent/nft"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// What would have left is counted by family and protocol as well as by the reason. It is told apart where it is dropped, in a chain of its
// own: of what is let out nothing more is asked.

const (
	dropping = "dropping" // the chain
	other    = "other"    // of no family, or no protocol, that is told apart
)

// families are those that are told apart: by their number where the kernel routes, by their EtherType where an interface takes packets.
var families = []struct {
	name      string
	number    byte
	etherType uint16
	icmp      byte
}{
	{"ipv4", unix.NFPROTO_IPV4, unix.ETH_P_IP, unix.IPPROTO_ICMP},
	{"ipv6", unix.NFPROTO_IPV6, unix.ETH_P_IPV6, unix.IPPROTO_ICMPV6},
}

// The counters' names begin with the table's: both tables have them.
const (
	judged = "judged" // what was routed
	sent   = "sent"   // what was sent around the judge
)

func kind(table, family, protocol string) string { return table + "_" + family + "_" + protocol }

// kinds are the counters of a table.
func kinds(table string) (all []string) {
	for _, f := range families {
		for _, protocol := range []string{"tcp", "udp", "icmp", other} {
			all = append(all, kind(table, f.name, protocol))
		}
	}
	return append(all, kind(table, other, other))
}

// apartByKind lays the chain that counts, and drops.
func (t *transaction) apartByKind(table *nftables.Table, name string) {
	var rules []nft.Words
	for _, f := range families {
		family := nft.Family(f.number)
		if table.Family == nftables.TableFamilyNetdev {
			family = nft.EtherType(f.etherType)
		}
		count := func(protocol string, parts ...nft.Words) {
			rules = append(rules, nft.Rule(family, nft.Rule(parts...), nft.Counted(kind(name, f.name, protocol)), nft.Drop()))
		}
		count("tcp", nft.Proto(unix.IPPROTO_TCP))
		count("udp", nft.Proto(unix.IPPROTO_UDP))
		count("icmp", nft.Proto(f.icmp))
		count(other)
	}
	t.Chain(&nftables.Chain{Table: table, Name: dropping}, append(rules, nft.Rule(nft.Counted(kind(name, other, other)), nft.Drop()))...)
}

// drop counts by a reason, and drops.
func drop(reason string) nft.Words { return nft.Rule(nft.Counted(reason), nft.Goto(dropping)) }

// Kinds counts the packets that would have left, and were dropped, by what they were; none where there is no guard.
func Kinds() ([]overlay.Kind, error) {
	_, byKind, err := counts()
	return byKind, err
}

// counts are the packets that were dropped: by reason, and those that would have left by what they were.
func counts() (byReason map[string]uint64, byKind []overlay.Kind, err error) {
	all, err := nft.Counters(Table)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read the guard's counters: %w", err)
	}
	byReason = map[string]uint64{}
	for name, n := range all {
		if !strings.Contains(name, "_") {
			byReason[name] = n
		}
	}
	for _, name := range kinds(judged) {
		if n, ok := all[name]; ok {
			parts := strings.Split(name, "_")
			byKind = append(byKind, overlay.Kind{Family: parts[1], Protocol: parts[2], Packets: n + all[kind(sent, parts[1], parts[2])]})
		}
	}
	return byReason, byKind, nil
}
