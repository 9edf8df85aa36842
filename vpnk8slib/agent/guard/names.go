package guard

import (
	"github.com/google/nftables"
	"golang.org/x/sys/unix"

	"github.com/charmarr/charmarr-go/vpnk8slib/agent/nft"
)

// transports are those by which names are asked for.
var transports = []byte{unix.IPPROTO_UDP, unix.IPPROTO_TCP}

// questions are for names, of whoever is led to the agent.
func (t *transaction) questions() (all []nft.Words) {
	asking := []nft.Words{nft.NotRoot()} // whatever it is marked with
	if !t.RootAsks {
		asking = append(asking, nft.MarkedOther(istios, Ztunnel))
	}
	for _, p := range transports {
		for _, who := range asking {
			all = append(all, nft.Rule(nft.Proto(p), nft.Dport(53), who))
		}
	}
	return all
}

// lead leads questions for names to the agent's resolver.
func (t *transaction) lead(marked, first *nftables.Chain) {
	t.Chain(marked, nft.Rule(nft.NotDport(53), nft.Accept()))
	for _, q := range t.questions() {
		t.Chain(marked, nft.Rule(q, nft.AddMark(asked)))
	}
	for _, p := range transports {
		t.Chain(first, nft.Rule(nft.MarkedBit(asked), nft.Proto(p), nft.Redirect(t.Names)))
	}
}
