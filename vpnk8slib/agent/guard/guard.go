// Package guard drops what would leave a pod, or enter it, beside the overlay. It serves every routing method.
//
// One judge, in postrouting: in the output hook a packet still shows the interface that was chosen for it before marks and
// redirects sent it another way. What the judge lets out by the pod's own interface it marks with a number that nobody else
// knows, and a second chain, where the interface itself takes packets, drops all that does not bear it: a raw socket passes no
// hook of the first kind.
//
//	input, forward, postrouting (table inet) ──► egress of the pod's interface (table netdev)
//
// Every packet is asked every question until one says no: in a rule the cheapest comes first, the name of an interface late, the
// user of a socket last.
package guard

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"

	"github.com/charmarr/charmarr-go/vpnk8slib/agent/nft"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// Table is the name of both tables: what bears it is ours, and nothing else is.
const Table = "charmarr-vpn-guard"

// Entered is the bit of the mark of a connection whose first packet came in by the pod's own interface. Istio uses the
// lower twelve (0x539, 0x111).
const Entered = 1 << 29

// Declared is the bit of the mark of a connection that began at one of the ports on which the pod may be asked.
const Declared = 1 << 28

// asked is the bit of the mark of a question for a name, on its way to the agent's resolver.
const asked = 1 << 27

// zone is conntrack's zone of such questions; others are in 0.
const zone = 0x1094

// Ztunnel is the mark, in the lower twelve bits, of ztunnel's own packets, which a mesh's redirects leave alone (istio/istio
// cni/pkg/iptables). The agent's own questions bear it: else ztunnel would take them all, and have the cluster's resolver asked.
// Of root alone it is heeded here. A workload that is root cannot set it: that takes NET_ADMIN or NET_RAW.
const Ztunnel, istios = 0x539, 0xfff

// Counters of what was dropped.
const (
	Out     = "out"     // would have left by another interface than the overlay's, to where nothing may go
	Forward = "forward" // was to be forwarded, where a pod is no router, or by another interface than a router has
	In      = "in"      // came in by the pod's own interface, to a port that is not declared; or by the overlay's, to one that is
	Raw     = "raw"     // was sent around the judge
	Asked   = "asked"   // was a question for a name, or an answer, that went another way than to or from the agent's resolver
)

// ErrNoEgress: this kernel has no hook where an interface takes packets, so that raw sockets are not held. What the guard can do without is
// done.
var ErrNoEgress = errors.New("this node's kernel has no netfilter egress hook, as 5.16 and newer have with CONFIG_NETFILTER_EGRESS")

// Install lays the guard in the network namespace that this process is in, in the place of what an earlier one laid, in one
// transaction; its counters go on. The error is ErrNoEgress where it stands without its second chain.
func Install(g overlay.Guard) error {
	if err := g.Check(); err != nil {
		return fmt.Errorf("cannot install the guard: %w", err)
	}
	var err error
	for _, k := range []kernel{{true, true}, {true, false}, {false, true}, {false, false}} {
		if err = install(g, k); errors.Is(err, unix.ENOENT) { // or somebody took the last one away meanwhile
			err = install(g, k)
		}
		if k.lacks(g.Device, err) {
			continue
		}
		if err == nil && !k.egress {
			err = ErrNoEgress
		}
		break
	}
	if err != nil && !errors.Is(err, ErrNoEgress) {
		return fmt.Errorf("cannot install the guard: %w", err)
	}
	return err
}

// kernel is what not every kernel has.
type kernel struct {
	egress bool // hooks where an interface takes packets
	zones  bool // zones of conntrack: without them a question that belongs to another's connection is dropped, and asked again
}

// lacks says of an error that the kernel has not all of this. One without tables for interfaces (CONFIG_NF_TABLES_NETDEV) may say that it
// finds no such chain, as others do of an interface that is not there: that one is waited for, so that raw sockets are held on it. (Shown by
// what is made of the errors alone: the kernels of the tests have such tables.)
func (k kernel) lacks(device string, err error) bool {
	if !k.egress || !errors.Is(err, unix.ENOENT) {
		return errors.Is(err, unix.EOPNOTSUPP)
	}
	_, absent := net.InterfaceByName(device)
	return absent == nil
}

func install(g overlay.Guard, k kernel) error {
	begun, err := nft.Begin(Table)
	if err != nil {
		return err
	}
	var secret [4]byte
	_, _ = rand.Read(secret[:]) // never fails (crypto/rand)
	t := transaction{Transaction: begun, Guard: g, kernel: k, pass: binary.NativeEndian.Uint32(secret[:]) | 1}
	t.judge()
	if k.egress {
		t.hold()
	}
	return t.Commit()
}

// Remove takes the guard away, and nothing of anybody else's.
func Remove() error {
	if err := nft.Remove(Table); err != nil {
		return fmt.Errorf("cannot remove the guard: %w", err)
	}
	return nil
}

// Dropped counts the packets that were dropped, by counter; none where there is no guard.
func Dropped() (map[string]uint64, error) {
	counted, _, err := counts()
	return counted, err
}

// transaction is the guard on its way into the kernel.
type transaction struct {
	*nft.Transaction
	overlay.Guard
	kernel
	pass     uint32
	gateways map[string]*nftables.Set // by the name of the family
	cluster  map[string]*nftables.Set
}

const gateways = "gateways" // the name of their sets, before the family's

// judge lays the table that decides.
func (t *transaction) judge() {
	table := t.Table(nftables.TableFamilyINet, append(kinds(judged), Out, Forward, In, Asked)...)
	t.apartByKind(table, judged)
	hook := func(name string, hook *nftables.ChainHook, priority nftables.ChainPriority) *nftables.Chain {
		accept := nftables.ChainPolicyAccept
		return &nftables.Chain{Table: table, Name: name, Type: nftables.ChainTypeFilter, Hooknum: hook, Priority: &priority, Policy: &accept}
	}
	// The last rule drops, and counts. So does the chain by itself: while the table is laid anew the kernel asks the new one, which is still
	// empty, before the old one, and a packet may pass the one before the turn and the other after it.
	closed := func(name string, at *nftables.ChainHook, priority nftables.ChainPriority) *nftables.Chain {
		chain, none := hook(name, at, priority), nftables.ChainPolicyDrop
		chain.Policy = &none
		return chain
	}
	t.gateways, t.cluster = map[string]*nftables.Set{}, map[string]*nftables.Set{}
	for _, f := range nft.Families {
		t.gateways[f.Name] = t.addresses(table, gateways+f.Name, f.Kind, f.Has)
		var networks []nftables.SetElement
		for _, p := range t.Cluster {
			if f.Has(p.Addr()) {
				networks = append(networks, nft.Interval(p)...)
			}
		}
		t.cluster[f.Name] = t.Set(table, "cluster"+f.Name, f.Kind, nftables.Set{Interval: true}, networks)
	}
	t.begin(hook)
	t.apart(table, hook)
	if t.Router == "" { // a gateway is outside of the mesh, and leads its own by other rules
		t.lead(hook)
	}
	t.Chain(closed("input", nftables.ChainHookInput, 0), t.inward()...)
	t.Chain(closed("forward", nftables.ChainHookForward, 0), t.through()...)
	// After everybody's translation (100): what is judged is what leaves.
	t.Chain(closed("out", nftables.ChainHookPostrouting, 300), t.outward(table)...)
}

// hooked makes a chain of the judge's.
type hooked = func(name string, hook *nftables.ChainHook, priority nftables.ChainPriority) *nftables.Chain

// through is what may be forwarded.
func (t *transaction) through() []nft.Words {
	last := drop(Forward)
	if t.Router == "" {
		return []nft.Words{last}
	}
	return []nft.Words{
		nft.Rule(nft.Iif(t.Router), nft.Oif(t.Overlay), nft.Accept()),
		nft.Rule(nft.Iif(t.Overlay), nft.Oif(t.Router), nft.Accept()),
		last,
	}
}

// open are the interfaces that are nobody's business here.
func (t *transaction) open() []string {
	names := []string{t.Overlay}
	if t.Router != "" {
		names = append(names, t.Router)
	}
	return append(names, "lo")
}

// inward is what may come in. Nothing may by an interface that is neither the overlay's nor the pod's own.
func (t *transaction) inward() []nft.Words {
	var rules []nft.Words
	device := func(parts ...nft.Words) {
		rules = append(rules, nft.Rule(append(parts, nft.Iif(t.Device), nft.Accept())...))
	}
	encapsulation := t.encapsulation()
	if t.Router != "" { // from whom, the other table knows
		device(encapsulation)
	} else {
		for _, f := range nft.Families {
			device(encapsulation, nft.Within(f.Number, false, t.gateways[f.Name]))
		}
	}
	known := nft.State(nft.Established | nft.Related)
	if t.Router != "" { // most are the tunnel's
		device(known)
	}
	for _, name := range t.open() {
		if name != t.Overlay || !t.Own.IsValid() {
			rules = append(rules, nft.Rule(nft.Iif(name), nft.Accept()))
			continue
		}
		for _, own := range []netip.Addr{t.Own, t.Own6} { // who sends to another of this pod's addresses has been let in nowhere
			if own.IsValid() {
				rules = append(rules, nft.Rule(nft.Iif(name), nft.To(own), nft.Accept()))
			}
		}
	}
	if t.Router == "" {
		device(known)
	}
	rules = append(rules, nft.Rule(nft.State(nft.New), nft.Iif(t.Device), nft.MarkConnection(Entered)))
	if t.Beats != 0 {
		for _, f := range nft.Families {
			device(nft.Proto(unix.IPPROTO_UDP), nft.Dport(t.Beats), nft.Within(f.Number, false, t.cluster[f.Name]))
		}
	}
	device(nft.Connection(Declared))
	// Neighbours ask for addresses; routers that advertise themselves (134) and redirect (137) are not heard.
	for _, kind := range []byte{neighbourSolicitation, neighbourAdvertisement} {
		device(nft.ICMPv6(kind))
	}
	return append(rules, nft.Rule(nft.Counted(In), nft.Drop()))
}

// ICMPv6's types for what ARP is for in IPv4 (RFC 4861).
const (
	neighbourSolicitation  = 135
	neighbourAdvertisement = 136
)

// outward is what may leave. A mark accepts nothing: marked traffic is judged like any other.
func (t *transaction) outward(table *nftables.Table) []nft.Words {
	var rules []nft.Words
	device := func(parts ...nft.Words) {
		rules = append(rules, nft.Rule(append(parts, nft.Oif(t.Device), nft.Mark(t.pass), nft.Accept())...))
	}
	held := func(parts ...nft.Words) {
		rules = append(rules, nft.Rule(append(parts, drop(Asked))...))
	}
	if t.Names != 0 { // on a connection from before the guard, or led elsewhere by somebody's redirect
		held(nft.MarkedBit(asked), nft.NotDport(t.Names))
	}
	// Nearly all that leaves, before what is asked of the rest: the rules that follow would let it go too.
	device(t.encapsulation(), nft.Within(unix.NFPROTO_IPV4, true, t.cluster["4"]), nft.NoOptions())
	if t.Names != 0 {
		for _, p := range transports {
			rules = append(rules, nft.Rule(t.most(p), nft.Oif(t.Overlay), nft.Accept()))
		}
		for _, f := range nft.Families { // an answer that nobody waited for: the kernel sends it back to the resolver it seems to be from
			held(nft.Unreachable(f.Number, false, 53))
		}
		for _, p := range transports { // of whoever was not led to the agent at all
			held(nft.Proto(p), nft.Dport(53), nft.NotOif("lo"), nft.NotRoot())
		}
		for _, p := range transports { // who has taken the agent's port while it was away
			held(nft.Proto(p), nft.Sport(t.Names), nft.Oif("lo"), nft.NotRoot())
		}
	}
	for _, name := range t.open() {
		rules = append(rules, nft.Rule(nft.Oif(name), nft.Accept()))
	}
	out := t.out(table)
	if t.Router != "" { // what clients send goes into the tunnel, and is the tunnel's then
		for _, o := range out[unix.NFPROTO_IPV4] {
			device(o, nft.NoOptions())
		}
	}
	for _, f := range nft.Families { // by way of the cluster to anywhere: of IPv6 any user may write it, and some nodes heed it
		rules = append(rules, nft.Rule(nft.LedOn(f.Number), nft.Oif(t.Device), drop(Out)))
	}
	for _, f := range nft.Families {
		for _, o := range out[f.Number] {
			device(o)
		}
	}
	for _, f := range nft.Families { // the encapsulation is among it
		device(nft.Within(f.Number, true, t.cluster[f.Name]))
	}
	// Answers, to whom has asked over this interface first. One that was asked through the tunnel never goes on here.
	device(nft.Reply(), nft.Connection(Entered))
	for _, kind := range []byte{neighbourSolicitation, neighbourAdvertisement} { // the kernel's own: a raw socket sends them to anybody
		rules = append(rules, nft.Rule(nft.ICMPv6(kind), nft.Oif(t.Device), nft.Owned(), drop(Out)))
		device(nft.ICMPv6(kind))
	}
	return append(rules, drop(Out))
}

// out is what goes out of the cluster to where the guard was told, by a family's number.
func (t *transaction) out(table *nftables.Table) map[byte][]nft.Words {
	all := map[byte][]nft.Words{}
	for _, f := range nft.Families {
		if e := t.Endpoint; e != nil {
			protocol := byte(unix.IPPROTO_UDP)
			if e.TCP {
				protocol = unix.IPPROTO_TCP
			}
			for _, port := range e.Ports {
				all[f.Number] = append(all[f.Number], nft.Rule(nft.Proto(protocol), nft.Dport(port), nft.Marked(e.Mark), nft.Family(f.Number)))
			}
		}
		for _, kind := range []struct {
			set      string
			protocol byte
			own, not []netip.AddrPort // who is in both is spoken to by both
		}{{"datagrams", unix.IPPROTO_UDP, t.Datagrams, t.Streams}, {"streams", unix.IPPROTO_TCP, t.Streams, t.Datagrams}} {
			var services []nftables.SetElement
			for _, s := range t.Outside {
				if f.Has(s.Addr()) && (slices.Contains(kind.own, s) || !slices.Contains(kind.not, s)) {
					services = append(services, nft.Service(s))
				}
			}
			set := t.Set(table, kind.set+f.Name, nftables.MustConcatSetType(f.Kind, nftables.TypeInetService), nftables.Set{Concatenation: true}, services)
			all[f.Number] = append(all[f.Number], nft.Rule(nft.Proto(kind.protocol), nft.Towards(f.Number, set)))
		}
	}
	return all
}

// addresses are the gateway's, of one family.
func (t *transaction) addresses(table *nftables.Table, name string, kind nftables.SetDatatype, has func(netip.Addr) bool) *nftables.Set {
	var elements []nftables.SetElement
	for _, a := range t.Gateways {
		if has(a) {
			elements = append(elements, nftables.SetElement{Key: a.AsSlice()})
		}
	}
	return t.Set(table, name, kind, nftables.Set{}, elements)
}

// admit adds an address to the gateway's, of the guard that stands.
func admit(gateway netip.Addr) error {
	conn, err := nftables.New()
	if err != nil {
		return err
	}
	for _, f := range nft.Families {
		if !f.Has(gateway) {
			continue
		}
		set := &nftables.Set{Table: &nftables.Table{Name: Table, Family: nftables.TableFamilyINet}, Name: gateways + f.Name, KeyType: f.Kind}
		if err := conn.SetAddElements(set, []nftables.SetElement{{Key: gateway.AsSlice()}}); err != nil {
			return err
		}
	}
	return conn.Flush()
}

// hold lays the chain where the interface takes packets: what the judge has not let out is dropped.
func (t *transaction) hold() {
	table := t.Table(nftables.TableFamilyNetdev, append(kinds(sent), Raw)...)
	t.apartByKind(table, sent)
	accepted, first := nftables.ChainPolicyAccept, nftables.ChainPriority(0)
	chain := &nftables.Chain{Table: table, Name: "egress", Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookEgress, Priority: &first, Device: t.Device, Policy: &accepted}
	t.Chain(chain,
		nft.Rule(nft.Marked(t.pass), nft.Mark(0), nft.Accept()),
		nft.Rule(nft.EtherType(unix.ETH_P_ARP), nft.Accept()),
		drop(Raw))
}
