// Package guard drops what would leave a pod, or enter it, beside the overlay. It serves every routing method.
//
// One judge, in postrouting: in the output hook a packet still shows the interface that was chosen for it before marks and
// redirects sent it another way. What the judge lets out by the pod's own interface it marks with a number that nobody else
// knows, and a second chain, where the interface itself takes packets, drops all that does not bear it: a raw socket passes no
// hook of the first kind.
//
//	input, forward, postrouting (table inet) ──► egress of the pod's interface (table netdev)
package guard

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"

	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// Table is the name of both tables: what bears it is ours, and nothing else is.
const Table = "charmarr-vpn-guard"

// bothFamilies are those of our two tables.
var bothFamilies = []nftables.TableFamily{nftables.TableFamilyINet, nftables.TableFamilyNetdev}

// Entered is the bit of the mark of a connection whose first packet came in by the pod's own interface. Istio uses the
// lower twelve (0x539, 0x111).
const Entered = 1 << 29

// Counters of what was dropped.
const (
	Out     = "out"     // would have left by another interface than the overlay's, to where nothing may go
	Forward = "forward" // was to be forwarded: a pod is no router
	In      = "in"      // came in by the pod's own interface, to a port that is not declared
	Raw     = "raw"     // was sent around the judge
)

// ErrNoEgress: this kernel has no hook where an interface takes packets (it needs 5.16, with CONFIG_NETFILTER_EGRESS), so that
// raw sockets are not held. What the guard can do without is done.
var ErrNoEgress = errors.New("this kernel cannot hold raw sockets: it has no netfilter egress hook")

// Install lays the guard in the network namespace that this process is in, in the place of what an earlier one laid, in one
// transaction; its counters go on. The error is ErrNoEgress where it stands without its second chain.
func Install(g overlay.Guard) error {
	if err := g.Check(); err != nil {
		return fmt.Errorf("cannot install the guard: %w", err)
	}
	err := install(g, true)
	if errors.Is(err, unix.EOPNOTSUPP) {
		if err = install(g, false); err == nil {
			return ErrNoEgress
		}
	}
	if err != nil {
		return fmt.Errorf("cannot install the guard: %w", err)
	}
	return nil
}

func install(g overlay.Guard, egress bool) error {
	conn, err := nftables.New()
	if err != nil {
		return err
	}
	var secret [4]byte
	_, _ = rand.Read(secret[:]) // never fails (crypto/rand)
	pass := binary.NativeEndian.Uint32(secret[:]) | 1
	before, _ := Dropped() // none where there was no guard
	t := transaction{Conn: conn, Guard: g, pass: pass, before: before}
	t.judge()
	if egress {
		t.hold()
	}
	return errors.Join(t.err, conn.Flush())
}

// Remove takes the guard away, and nothing of anybody else's.
func Remove() error {
	conn, err := nftables.New()
	if err != nil {
		return fmt.Errorf("cannot remove the guard: %w", err)
	}
	for _, f := range bothFamilies {
		t := conn.AddTable(&nftables.Table{Name: Table, Family: f}) // a table that is not there cannot be deleted
		conn.DelTable(t)
	}
	if err := conn.Flush(); err != nil {
		return fmt.Errorf("cannot remove the guard: %w", err)
	}
	return nil
}

// Dropped counts the packets that were dropped, by counter. The error is fs.ErrNotExist's kind (ENOENT) where there is no guard.
func Dropped() (map[string]uint64, error) {
	conn, err := nftables.New()
	if err != nil {
		return nil, fmt.Errorf("cannot read the guard's counters: %w", err)
	}
	out := map[string]uint64{}
	for _, f := range bothFamilies {
		objects, err := conn.GetObjects(&nftables.Table{Name: Table, Family: f})
		if err != nil {
			return nil, fmt.Errorf("cannot read the guard's counters: %w", err)
		}
		for _, o := range objects {
			if c, ok := o.(*nftables.CounterObj); ok {
				out[c.Name] = c.Packets
			}
		}
	}
	return out, nil
}

// transaction collects what Flush then sends as one.
type transaction struct {
	*nftables.Conn
	overlay.Guard
	pass   uint32
	before map[string]uint64 // what has been counted so far
	err    error
}

// table begins anew, whatever was there.
func (t *transaction) table(f nftables.TableFamily, counters ...string) *nftables.Table {
	table := &nftables.Table{Name: Table, Family: f}
	t.AddTable(table)
	t.DelTable(table)
	t.AddTable(table)
	for _, c := range counters {
		t.AddObj(&nftables.CounterObj{Table: table, Name: c, Packets: t.before[c]})
	}
	return table
}

func (t *transaction) chain(c *nftables.Chain, rules ...words) {
	t.AddChain(c)
	for _, r := range rules {
		t.AddRule(&nftables.Rule{Table: c.Table, Chain: c, Exprs: r})
	}
}

// set holds the elements of one family.
func (t *transaction) set(table *nftables.Table, name string, of nftables.SetDatatype, s nftables.Set, elements []nftables.SetElement) *nftables.Set {
	s.Table, s.Name, s.KeyType = table, name, of
	t.err = errors.Join(t.err, t.AddSet(&s, elements))
	return &s
}

// families are both, with their sets.
var families = []struct {
	number byte
	name   string
	kind   nftables.SetDatatype
	has    func(netip.Addr) bool
}{
	{unix.NFPROTO_IPV4, "4", nftables.TypeIPAddr, netip.Addr.Is4},
	{unix.NFPROTO_IPV6, "6", nftables.TypeIP6Addr, netip.Addr.Is6},
}

// judge lays the table that decides.
func (t *transaction) judge() {
	table := t.table(nftables.TableFamilyINet, Out, Forward, In)
	hook := func(name string, hook *nftables.ChainHook, priority nftables.ChainPriority) *nftables.Chain {
		accept := nftables.ChainPolicyAccept // the last rule drops, and counts
		return &nftables.Chain{Table: table, Name: name, Type: nftables.ChainTypeFilter, Hooknum: hook, Priority: &priority, Policy: &accept}
	}
	// After conntrack (-200), before anybody's redirect (-100).
	t.chain(hook("mark", nftables.ChainHookPrerouting, -150), rule(iif(t.Device), state(stateNew), markConnection(Entered)))
	// An answer to what came in by the pod's own interface takes the way back, where the routing method has a rule for the mark.
	answers := hook("answers", nftables.ChainHookOutput, -150)
	answers.Type = nftables.ChainTypeRoute
	t.chain(answers, rule(reply(), connection(Entered), addMark(Entered)))
	t.chain(hook("input", nftables.ChainHookInput, 0), t.inward(table)...)
	t.chain(hook("forward", nftables.ChainHookForward, 0), rule(counted(Forward), drop()))
	// After everybody's translation (100): what is judged is what leaves.
	t.chain(hook("out", nftables.ChainHookPostrouting, 300), t.outward(table)...)
}

// States of a connection, as bits (linux/netfilter/nf_conntrack_common.h).
const (
	stateEstablished = 1 << 1
	stateRelated     = 1 << 2
	stateNew         = 1 << 3
)

// inward is what may come in. Nothing may by an interface that is neither the overlay's nor the pod's own.
func (t *transaction) inward(table *nftables.Table) []words {
	rules := []words{
		rule(iif("lo"), accept()),
		rule(iif(t.Overlay), accept()),
	}
	device := func(parts ...words) {
		rules = append(rules, rule(append([]words{iif(t.Device)}, append(parts, accept())...)...))
	}
	device(state(stateEstablished | stateRelated))
	for _, f := range families {
		gateways := t.addresses(table, "from"+f.name, f.kind, f.has)
		device(within(f.number, false, gateways), proto(unix.IPPROTO_UDP), dport(t.Port))
	}
	for _, p := range t.Inbound {
		device(proto(unix.IPPROTO_TCP), dport(p))
	}
	// Neighbours ask for addresses; routers that advertise themselves (134) and redirect (137) are not heard.
	for _, kind := range []byte{neighbourSolicitation, neighbourAdvertisement} {
		device(icmp6(kind))
	}
	return append(rules, rule(counted(In), drop()))
}

// ICMPv6's types for what ARP is for in IPv4 (RFC 4861).
const (
	neighbourSolicitation  = 135
	neighbourAdvertisement = 136
)

// outward is what may leave. A mark accepts nothing: marked traffic is judged like any other.
func (t *transaction) outward(table *nftables.Table) []words {
	rules := []words{
		rule(oif("lo"), accept()),
		rule(oif(t.Overlay), accept()),
	}
	device := func(parts ...words) {
		rules = append(rules, rule(append([]words{oif(t.Device)}, append(parts, mark(t.pass), accept())...)...))
	}
	// Answers, to whom has asked over this interface first. One that was asked through the tunnel never goes on here.
	device(reply(), connection(Entered))
	for _, f := range families {
		var networks, services []nftables.SetElement
		for _, p := range t.Cluster {
			if f.has(p.Addr()) {
				networks = append(networks, interval(p)...)
			}
		}
		for _, s := range t.Outside {
			if f.has(s.Addr()) {
				services = append(services, nftables.SetElement{Key: append(s.Addr().AsSlice(), byte(s.Port()>>8), byte(s.Port()), 0, 0)})
			}
		}
		cluster := t.set(table, "cluster"+f.name, f.kind, nftables.Set{Interval: true}, networks)
		outside := t.set(table, "outside"+f.name, nftables.MustConcatSetType(f.kind, nftables.TypeInetService), nftables.Set{Concatenation: true}, services)
		gateways := t.addresses(table, "to"+f.name, f.kind, f.has)
		device(within(f.number, true, cluster))
		device(proto(unix.IPPROTO_TCP), towards(f.number, outside))
		device(proto(unix.IPPROTO_UDP), towards(f.number, outside))
		device(within(f.number, true, gateways), proto(unix.IPPROTO_UDP), dport(t.Port))
	}
	for _, kind := range []byte{neighbourSolicitation, neighbourAdvertisement} {
		device(icmp6(kind))
	}
	return append(rules, rule(counted(Out), drop()))
}

// addresses are the gateway's, of one family.
func (t *transaction) addresses(table *nftables.Table, name string, kind nftables.SetDatatype, has func(netip.Addr) bool) *nftables.Set {
	var elements []nftables.SetElement
	for _, a := range t.Gateways {
		if has(a) {
			elements = append(elements, nftables.SetElement{Key: a.AsSlice()})
		}
	}
	return t.set(table, name, kind, nftables.Set{}, elements)
}

// hold lays the chain where the interface takes packets: what the judge has not let out is dropped.
func (t *transaction) hold() {
	table := t.table(nftables.TableFamilyNetdev, Raw)
	accepted, first := nftables.ChainPolicyAccept, nftables.ChainPriority(0)
	chain := &nftables.Chain{Table: table, Name: "egress", Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookEgress, Priority: &first, Device: t.Device, Policy: &accepted}
	t.chain(chain,
		rule(marked(t.pass), mark(0), accept()),
		rule(etherType(unix.ETH_P_ARP), accept()),
		rule(counted(Raw), drop()))
}
