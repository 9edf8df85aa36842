package guard

import (
	"github.com/google/nftables"
	"golang.org/x/sys/unix"

	"github.com/charmarr/charmarr-go/vpnk8slib/agent/nft"
)

// begin says what may begin at the ports of this pod.
func (t *transaction) begin(hook hooked) {
	// Of a connection's first packet alone, which costs the others nothing. Before anybody's redirect (-100): behind a mesh's, its own
	// port is all that is to be seen.
	begins := hook("begins", nftables.ChainHookPrerouting, -101)
	begins.Type = nftables.ChainTypeNAT
	t.Chain(begins)
	through := func(asked nft.Words) { // the tunnel, or a neighbour in the overlay
		t.Chain(begins, nft.Rule(asked, nft.Iif(t.Overlay), nft.Counted(In), nft.Drop()))
	}
	// What the cluster asks this pod for, nobody comes to through the tunnel, whatever port a provider has lead here; nor does anybody
	// of the cluster come out of it.
	for _, p := range t.Inbound {
		asked := nft.Rule(nft.Proto(unix.IPPROTO_TCP), nft.Dport(p))
		t.Chain(begins, nft.Rule(asked, nft.Iif(t.Device), nft.MarkConnection(Declared)))
		through(asked)
	}
	for _, p := range t.ports() {
		through(nft.Rule(nft.Proto(unix.IPPROTO_UDP), nft.Dport(p)))
	}
	for _, f := range nft.Families {
		through(nft.Within(f.Number, false, t.cluster[f.Name]))
	}
}
