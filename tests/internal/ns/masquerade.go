package ns

import (
	"testing"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/vpnk8slib/agent/nft"
)

// Masquerade makes a router, by hand: what comes from one interface leaves by another with its address, answers come back, and
// nothing else is forwarded.
func (n *NS) Masquerade(t *testing.T, from, to string) {
	t.Helper()
	require.NoError(t, n.Do(t, func() error {
		conn, err := nftables.New()
		if err != nil {
			return err
		}
		table := conn.AddTable(&nftables.Table{Name: "masquerade", Family: nftables.TableFamilyINet})
		out := conn.AddChain(&nftables.Chain{Table: table, Name: "out", Type: nftables.ChainTypeNAT, Hooknum: nftables.ChainHookPostrouting, Priority: nftables.ChainPriorityNATSource})
		forward := conn.AddChain(&nftables.Chain{Table: table, Name: "forward", Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookForward, Priority: nftables.ChainPriorityFilter})
		for _, r := range []struct {
			*nftables.Chain
			words []expr.Any
		}{
			{out, nft.Rule(nft.Oif(to), nft.Masquerade())},
			{forward, nft.Rule(nft.Iif(from), nft.Oif(to), nft.Accept())},
			{forward, nft.Rule(nft.Iif(to), nft.Oif(from), nft.State(nft.Established|nft.Related), nft.Accept())},
			{forward, nft.Drop()},
		} {
			conn.AddRule(&nftables.Rule{Table: table, Chain: r.Chain, Exprs: r.words})
		}
		return conn.Flush()
	}))
}
