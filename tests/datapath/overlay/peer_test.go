//go:build datapath

package overlay

import (
	"fmt"
	"net"
	"testing"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/charmarr/charmarr-go/vpnk8slib/agent/gateway"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/nft"
)

// What somebody else leads to a client, as a VPN client may, is not forwarded. Were it, the application would see its peer's own address:
// addresses are changed towards the tunnel alone.
func TestAPeerIsSeenAsItIs(t *testing.T) {
	s := newStage(t)
	s.set(s.pod, way)
	s.pod.Listen(t, 6881, func(c net.Conn) {
		host, _, _ := net.SplitHostPort(c.RemoteAddr().String())
		fmt.Fprint(c, "pod sees ", host)
		_ = c.Close()
	})
	forward := &nftables.Table{Name: "by-hand", Family: nftables.TableFamilyINet}
	lay := func(hook *nftables.ChainHook, priority *nftables.ChainPriority, name string, rule nft.Words) {
		require.NoError(t, s.gateway.Do(t, func() error {
			conn, err := nftables.New()
			if err != nil {
				return err
			}
			conn.AddTable(forward)
			chain := conn.AddChain(&nftables.Chain{Table: forward, Name: name, Type: nftables.ChainTypeNAT, Hooknum: hook, Priority: priority})
			conn.AddRule(&nftables.Rule{Table: forward, Chain: chain, Exprs: rule})
			return conn.Flush()
		}))
	}
	lay(nftables.ChainHookPrerouting, nftables.ChainPriorityNATDest, "in", nft.Rule(nft.Iif("tun0"), nft.Proto(unix.IPPROTO_TCP), nft.Dport(6881), nft.Words{
		&expr.Immediate{Register: 1, Data: way.Address.Addr().AsSlice()},
		&expr.NAT{Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: 1},
	}))
	before := s.gateway.dropped(t, gateway.Unasked)
	_, err := s.ask(s.world, "10.2.0.2:6881", moment)
	require.Error(t, err)
	require.Greater(t, s.gateway.dropped(t, gateway.Unasked), before, "what nobody has asked for is not forwarded")

	s.gateway.empty(t, "forward")
	said, err := s.ask(s.world, "10.2.0.2:6881", patience)
	require.NoError(t, err)
	assert.Equal(t, "pod sees 198.18.0.1", said)
	lay(nftables.ChainHookPostrouting, nftables.ChainPriorityNATSource, "out", nft.Masquerade())
	said, err = s.ask(s.world, "10.2.0.2:6881", patience)
	require.NoError(t, err)
	assert.Equal(t, "pod sees "+way.Gateway.String(), said, "masquerading everywhere, as pod-gateway does")
}

// empty takes the rules out of a chain of the gateway's.
func (e *end) empty(t *testing.T, chain string) {
	t.Helper()
	require.NoError(t, e.Do(t, func() error {
		conn, err := nftables.New()
		if err != nil {
			return err
		}
		conn.FlushChain(&nftables.Chain{Table: &nftables.Table{Name: gateway.Table, Family: nftables.TableFamilyINet}, Name: chain})
		return conn.Flush()
	}))
}
