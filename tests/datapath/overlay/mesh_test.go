//go:build datapath

package overlay

import (
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/charmarr/charmarr-go/vpnk8slib/agent/guard"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/nft"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/route"
)

// A mesh redirects what a workload sends, as Istio's ambient mode does in the pod: what is for the cluster goes there, what leaves by the
// overlay does not. A torrent client that binds its sockets to the overlay's interface would hear nothing of the redirect.
func TestAMeshLeavesTheOverlayAlone(t *testing.T) {
	const ztunnel = 15001
	s := newStage(t)
	s.guarded(s.pod, way)
	s.pod.Listen(t, ztunnel, func(c net.Conn) { fmt.Fprint(c, "ztunnel"); _ = c.Close() })
	redirect := func(rule nft.Words) {
		require.NoError(t, s.pod.Do(t, func() error {
			conn, err := nftables.New()
			if err != nil {
				return err
			}
			table := conn.AddTable(&nftables.Table{Name: "istio", Family: nftables.TableFamilyINet})
			conn.DelTable(table)
			conn.AddTable(table)
			chain := conn.AddChain(&nftables.Chain{Table: table, Name: "out", Type: nftables.ChainTypeNAT, Hooknum: nftables.ChainHookOutput, Priority: nftables.ChainPriorityNATDest})
			conn.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: rule})
			return conn.Flush()
		}))
	}
	ask := func(device, to string) string {
		t.Helper()
		var said string
		require.NoError(t, s.pod.Do(t, func() error {
			d := net.Dialer{Timeout: time.Second} // one SYN may be lost on a busy machine
			if device != "" {
				d.Control = route.Bound(device)
			}
			c, err := d.Dial("tcp4", to)
			if err != nil {
				said = err.Error()
				return nil
			}
			defer c.Close()
			buf := make([]byte, 64)
			n, _ := c.Read(buf)
			said = string(buf[:n])
			return nil
		}))
		return said
	}
	const world, cluster = "198.18.0.1:443", "10.43.0.10:443"
	redirect(nft.Rule(nft.Proto(unix.IPPROTO_TCP), nft.Redirect(ztunnel)))
	require.Equal(t, "ztunnel", ask("", world), "a mesh that heeds no mark")
	require.Contains(t, ask("vxlan0", world), "timeout", "and what it does to a socket that is bound")

	redirect(nft.Rule(nft.Proto(unix.IPPROTO_TCP), nft.MarkedOther(0xfff, guard.Ztunnel), nft.Redirect(ztunnel)))
	assert.Equal(t, "world sees 10.2.0.2", ask("", world))
	assert.Equal(t, "world sees 10.2.0.2", ask("vxlan0", world))
	assert.Equal(t, "ztunnel", ask("", cluster))
}
