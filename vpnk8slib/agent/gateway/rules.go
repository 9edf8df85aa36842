package gateway

import (
	"net/netip"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"

	"github.com/charmarr/charmarr-go/vpnk8slib/agent/natpmp"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/nft"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// Table is the name of the table: what bears it is ours, and nothing else is.
const Table = "charmarr-vpn-gateway"

// Counters of what was dropped.
const (
	Spoofed = "spoofed" // came in the encapsulation from another pod than the address in it is pinned to
	Between = "between" // from one client to another
	Beyond  = "beyond"  // from a client to anywhere but the tunnel: the cluster
	Local   = "local"   // from a client to the gateway itself
	Unasked = "unasked" // out of the tunnel, and nobody's answer; a refusal would end connections that a client still has
	Forward = "forward" // was to be forwarded for nobody
	Bare    = "bare"    // would have gone into the tunnel with a client's own address, or this pod's
)

const (
	pinned  = "pinned"  // the set of who may send: a pod, and an address in the overlay
	forward = "forward" // the chain of what goes from one interface to another
)

// lay lays the table, whatever was there; its counters go on, and so do the pins.
func (g *Gateway) lay() error {
	begun, err := nft.Begin(Table)
	if err != nil {
		return err
	}
	table := begun.Table(nftables.TableFamilyINet, Spoofed, Between, Beyond, Local, Unasked, Forward, Bare)
	accept := nftables.ChainPolicyAccept // the last rules drop, and count
	chain := func(name string, kind nftables.ChainType, hook *nftables.ChainHook, priority nftables.ChainPriority, rules ...nft.Words) {
		begun.Chain(&nftables.Chain{Table: table, Name: name, Type: kind, Hooknum: hook, Priority: &priority, Policy: &accept}, rules...)
	}
	filter := func(name string, hook *nftables.ChainHook, priority nftables.ChainPriority, rules ...nft.Words) {
		chain(name, nftables.ChainTypeFilter, hook, priority, rules...)
	}
	drop := func(counter string, parts ...nft.Words) nft.Words {
		return nft.Rule(append(parts, nft.Counted(counter), nft.Drop())...)
	}
	from, out := nft.Iif(g.config.Overlay), nft.Oif(g.config.Tunnel)
	var pins []nftables.SetElement
	for client, pod := range g.pins {
		pins = append(pins, pin(client, pod))
	}
	g.pinned = begun.Set(table, pinned, nftables.MustConcatSetType(nftables.TypeIPAddr, nftables.TypeIPAddr), nftables.Set{Concatenation: true}, pins)

	cluster := map[byte]*nftables.Set{}
	for _, f := range nft.Families {
		var networks []nftables.SetElement
		for _, p := range g.config.Cluster {
			if f.Has(p.Addr()) {
				networks = append(networks, nft.Interval(p)...)
			}
		}
		cluster[f.Number] = begun.Set(table, "cluster"+f.Name, f.Kind, nftables.Set{Interval: true}, networks)
	}

	sixes := overlay.Sixes(g.config.VNI)
	// Behind the assembly of fragments (-400), before anything is made of what is in the encapsulation.
	inside := nft.Rule(nft.Proto(unix.IPPROTO_UDP), nft.Dport(g.config.Port), nft.Iif(g.config.Device))
	elsewhere := nft.NotDports(begun.Ports(table, "apart", g.config.Port, g.config.Beats))
	// A datagram may be several to the kernel still, and be cut behind this: so what comes out is judged again, by the pod that
	// it came from, which the mark remembers.
	admitted := nft.Rule(nft.MarkSource(), nft.Untracked(), nft.Accept())
	filter("pins", nftables.ChainHookPrerouting, -300,
		nft.Rule(elsewhere, nft.Accept()),
		nft.Rule(inside, nft.Carries(unix.ETH_P_IP), nft.CarriesFrom(g.pinned), admitted),
		nft.Rule(inside, nft.Carries(unix.ETH_P_IPV6), nft.CarriesFrom6(sixes, g.pinned), admitted),
		drop(Spoofed, inside),
		// Both ends have the same port, and whose they are is said in them.
		nft.Rule(nft.Proto(unix.IPPROTO_UDP), nft.Dport(g.config.Beats), nft.Sport(g.config.Beats), nft.Iif(g.config.Device), nft.Untracked(), nft.Accept()))
	filter("came", nftables.ChainHookPrerouting, -450, // before pieces are put together: the whole has the mark of the first
		nft.Rule(nft.NotIif(g.config.Overlay), nft.Accept()),
		nft.Rule(nft.MarkedFrom(g.pinned), nft.Mark(0), nft.Accept()),
		nft.Rule(nft.MarkedFrom6(sixes, g.pinned), nft.Mark(0), nft.Accept()),
		drop(Spoofed))
	tunnel, known := nft.Iif(g.config.Tunnel), nft.State(nft.Established|nft.Related)
	// Who says that he is in the cluster, or a client, is led to nobody: what is answered to him would go there, beside the tunnel. It is
	// asked here and not where packets are forwarded: there one that has come too far has been answered already.
	led := []nft.Words{
		nft.Rule(tunnel, nft.Within(unix.NFPROTO_IPV4, false, cluster[unix.NFPROTO_IPV4]), nft.Accept()),
		nft.Rule(tunnel, nft.From(g.config.Address.Masked()), nft.Accept()),
	}
	var masqueraded []nft.Words
	var ends []nftables.SetElement
	for _, f := range g.forwarded {
		ends = append(ends, nft.Service(f.To))
		for _, p := range []byte{unix.IPPROTO_TCP, unix.IPPROTO_UDP} {
			// Else what a peer says to this port would be an answer to whoever has spoken to him from the same one.
			masqueraded = append(masqueraded, nft.Rule(nft.Proto(p), nft.Sport(f.To.Port()), out, nft.NotFrom(f.To.Addr()), nft.MasqueradeAnew()))
			for _, port := range f.Ports {
				led = append(led, nft.Rule(nft.Family(unix.NFPROTO_IPV4), nft.Proto(p), nft.Dport(port), tunnel, nft.LeadTo(f.To)))
				if port != f.To.Port() { // nor does the client itself listen there: whoever speaks from it speaks from another
					masqueraded = append(masqueraded, nft.Rule(nft.Family(unix.NFPROTO_IPV4), nft.Proto(p), nft.Sport(port), out, nft.MasqueradeAnew()))
				}
			}
		}
	}
	forwarded := begun.Set(table, "forwarded", nftables.MustConcatSetType(nftables.TypeIPAddr, nftables.TypeInetService), nftables.Set{Concatenation: true}, ends)
	toward := nft.Oif(g.config.Overlay)
	// Most packets are of connections that have long begun. They are asked first, and nothing about what first segments need.
	filter(forward, nftables.ChainHookForward, 0,
		nft.Rule(from, out, nft.Assured(), nft.Accept()),
		nft.Rule(nft.AssuredTranslated(), nft.Towards(unix.NFPROTO_IPV4, forwarded), tunnel, toward, nft.Accept()),
		nft.Rule(nft.Reply(), tunnel, toward, nft.Assured(), nft.Accept()),
		// Either end is told in the other's what fits through both, the overlay and the tunnel.
		nft.Rule(nft.Begins(), nft.Clamp()),
		nft.Rule(from, out, known, nft.Accept()),
		nft.Rule(nft.Translated(), nft.Towards(unix.NFPROTO_IPV4, forwarded), tunnel, toward, nft.Accept()),
		// What was granted is not any more: whoever has its address now has asked for nothing.
		drop(Unasked, nft.Translated(), nft.State(nft.New|nft.Established), nft.Original(), tunnel),
		nft.Rule(tunnel, toward, known, nft.Accept()),
		drop(Beyond, from, nft.Within(unix.NFPROTO_IPV4, true, cluster[unix.NFPROTO_IPV4])),
		drop(Beyond, from, nft.Within(unix.NFPROTO_IPV6, true, cluster[unix.NFPROTO_IPV6])),
		drop(Beyond, nft.Proto(unix.IPPROTO_UDP), nft.Dport(natpmp.Port), from), // to have the provider take another's port away
		nft.Rule(from, out, nft.Accept()),
		drop(Between, from, toward),
		drop(Beyond, from),
		drop(Unasked, tunnel),
		drop(Forward))
	own := []nft.Words{
		nft.Rule(nft.Iif(g.config.Device), nft.Accept()), // by the pod's own interface: the guard judges it
		nft.Rule(nft.Ping(), from, nft.Accept()),
	}
	if g.config.Names != 0 {
		for _, p := range []byte{unix.IPPROTO_UDP, unix.IPPROTO_TCP} {
			own = append(own, nft.Rule(nft.Proto(p), nft.Dport(g.config.Names), from, nft.Accept()))
		}
	}
	filter("input", nftables.ChainHookInput, 0, append(own,
		drop(Local, from),
		nft.Rule(tunnel, known, nft.Accept()),
		drop(Unasked, tunnel))...)
	chain("in", nftables.ChainTypeNAT, nftables.ChainHookPrerouting, -100, led...)
	bare := []nft.Words{nft.Rule(nft.NotOif(g.config.Tunnel), nft.Accept())}
	for _, clients := range []netip.Prefix{g.config.Address.Masked(), sixes} {
		masqueraded, bare = append(masqueraded, nft.Rule(out, nft.From(clients), nft.Masquerade())), append(bare, drop(Bare, nft.From(clients)))
	}
	// A tunnel that has just lost its address: the kernel takes another of this pod's. Of IPv4 that is its own, and not all of the cluster's are
	// dropped: providers give tunnels such addresses too.
	bare = append(bare, drop(Bare, nft.From(netip.PrefixFrom(g.own, g.own.BitLen()))), drop(Bare, nft.Within(unix.NFPROTO_IPV6, false, cluster[unix.NFPROTO_IPV6])))
	chain("out", nftables.ChainTypeNAT, nftables.ChainHookPostrouting, 100, masqueraded...)
	// Conntrack translates no packet that it makes nothing of, nor one of a connection that began without these rules.
	filter("bare", nftables.ChainHookPostrouting, 300, bare...)
	if err := begun.Commit(); err != nil {
		return err
	}
	g.laid, err = nft.Look(Table, pinned)
	return err
}

// standing says whether the rules are as they were laid, and who may send is who is pinned.
func (g *Gateway) standing() bool {
	generation, look := nft.Generation()
	if look == nil && g.at == generation && g.at != 0 {
		return true
	}
	g.at = 0
	now, err := nft.Look(Table, pinned)
	if err != nil || now == "" || now != g.laid {
		return false
	}
	held, err := nft.Elements(Table, pinned)
	if err != nil || len(held) != len(g.pins) {
		return false
	}
	for client, pod := range g.pins {
		if !held[string(pin(client, pod).Key)] {
			return false
		}
	}
	if look == nil {
		g.at = generation
	}
	return true
}

// admit lets a client's packets in from a pod, and from no other; from none when it is zero.
func (g *Gateway) admit(client, pod netip.Addr) error {
	if g.pinned == nil { // laid with whoever is pinned then
		return nil
	}
	conn, err := nftables.New()
	if err != nil {
		return err
	}
	if before, ok := g.pins[client]; ok {
		if err := conn.SetDeleteElements(g.pinned, []nftables.SetElement{pin(client, before)}); err != nil {
			return err
		}
	}
	if pod.IsValid() {
		if err := conn.SetAddElements(g.pinned, []nftables.SetElement{pin(client, pod)}); err != nil {
			return err
		}
	}
	return conn.Flush()
}

func pin(client, pod netip.Addr) nftables.SetElement {
	return nftables.SetElement{Key: append(pod.AsSlice(), client.AsSlice()...)}
}
