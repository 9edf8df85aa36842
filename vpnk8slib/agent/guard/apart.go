package guard

import (
	"github.com/google/nftables"
	"golang.org/x/sys/unix"

	"github.com/charmarr/charmarr-go/vpnk8slib/agent/nft"
)

// apart says what is no connection like others, before conntrack looks.
func (t *transaction) apart(table *nftables.Table, hook hooked) {
	comes, goes := hook("comes", nftables.ChainHookPrerouting, -301), hook("goes", nftables.ChainHookOutput, -301)
	elsewhere := nft.NotDports(t.Ports(table, "apart", t.ports()...))
	// To a gateway comes what its own table lets in: it says of that what this says of what goes.
	router := t.Router != ""
	ends := t.cluster
	if !router {
		ends = t.gateways
		t.Chain(comes, nft.Rule(elsewhere, nft.Accept()))
	}
	if t.Names == 0 {
		t.Chain(goes, nft.Rule(elsewhere, nft.Accept()))
	} else {
		for _, p := range transports {
			t.Chain(goes, nft.Rule(t.most(p), elsewhere, nft.Accept()))
		}
	}
	// Who may send these is said by address, and what is in the encapsulation is tracked by itself: a connection of its own would say
	// nothing, cost time for each packet, and be one more for whoever sends anything here.
	untracked := func(in, out nft.Words) {
		if !router {
			t.Chain(comes, nft.Rule(in, nft.Iif(t.Device), nft.Untracked(), nft.Accept()))
		}
		t.Chain(goes, nft.Rule(out, nft.Oif(t.Device), nft.Untracked(), nft.Accept()))
	}
	encapsulation := t.encapsulation()
	for _, f := range nft.Families { // to anybody else a port is as good as another
		untracked(nft.Rule(encapsulation, nft.Within(f.Number, false, ends[f.Name])), nft.Rule(encapsulation, nft.Within(f.Number, true, ends[f.Name])))
	}
	if t.Beats != 0 { // both ends have the same port
		beats := nft.Rule(nft.Proto(unix.IPPROTO_UDP), nft.Dport(t.Beats), nft.Sport(t.Beats))
		untracked(beats, beats)
	}
	if t.Names == 0 || !t.zones {
		return
	}
	// A redirect is for the first packet of a connection alone, and to conntrack a question from a port that the agent has just asked
	// the same resolver from belongs to the agent's. So questions, and the answers to them, have a zone of their own.
	// Istio gives its own questions a zone at -300, and the first that is given stays.
	own := t.questions()
	for _, p := range transports {
		own = append(own, nft.Rule(nft.Proto(p), nft.Sport(t.Names), nft.Oif("lo")))
	}
	for _, f := range nft.Families { // without its agent a pod is told so at once
		own = append(own, nft.Rule(nft.Unreachable(f.Number, true, t.Names), nft.Oif("lo")))
	}
	for _, o := range own {
		t.Chain(goes, nft.Rule(o, nft.Zone(zone)))
	}
}

// most is of a protocol, and neither a question for a name nor an answer to one.
func (t *transaction) most(proto byte) nft.Words {
	return nft.Rule(nft.Proto(proto), nft.NotDport(53), nft.NotSport(t.Names))
}

// encapsulation is what has its port.
func (t *transaction) encapsulation() nft.Words {
	return nft.Rule(nft.Proto(unix.IPPROTO_UDP), nft.Dport(t.Port))
}

// ports are the overlay's, by UDP: what it carries, and its heartbeats where it has any.
func (t *transaction) ports() []uint16 {
	if t.Beats == 0 {
		return []uint16{t.Port}
	}
	return []uint16{t.Port, t.Beats}
}
