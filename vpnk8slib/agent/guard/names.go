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

// lead leads what leaves the pod by another way than the first that is found for it: answers back, and questions for names to the
// agent's resolver.
func (t *transaction) lead(hook hooked) {
	// An answer to what came in by the pod's own interface takes the way back, where the routing method has a rule for the mark.
	marked := hook("marked", nftables.ChainHookOutput, -150)
	marked.Type = nftables.ChainTypeRoute
	t.Chain(marked, nft.Rule(nft.Reply(), nft.Connection(Entered), nft.AddMark(Entered)))
	// Before Istio's own redirects (-100), and for the first packet of a connection alone.
	first := hook("first", nftables.ChainHookOutput, -101)
	first.Type = nftables.ChainTypeNAT
	if t.Names != 0 {
		t.Chain(marked, nft.Rule(nft.NotDport(53), nft.Accept()))
		for _, q := range t.questions() {
			t.Chain(marked, nft.Rule(q, nft.AddMark(asked)))
		}
		for _, p := range transports {
			t.Chain(first, nft.Rule(nft.MarkedBit(asked), nft.Proto(p), nft.Redirect(t.Names)))
		}
	}
	// What leaves by the overlay is nothing of a mesh's: behind its redirect a socket that is bound to the interface, as torrent clients
	// bind theirs, hears no answer. The mark lets nothing pass here.
	t.Chain(first, nft.Rule(nft.Oif(t.Overlay), nft.MarkAs(istios, Ztunnel)))
}
