//go:build datapath && bench

package overlay

import (
	"crypto/ecdh"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/stretchr/testify/require"
	"golang.zx2c4.com/wireguard/conn"
	"golang.zx2c4.com/wireguard/device"
	"golang.zx2c4.com/wireguard/tun"

	"github.com/charmarr/charmarr-go/tests/internal/ns"
)

// wireguard joins a gateway to the world by an encrypted tunnel, as VPN clients do where the kernel has none: both ends are
// programs, and take the same processor as all else. So many bytes fit through it.
func (s *stage) wireguard(mtu int) func(gateway *ns.NS, name string) {
	return func(gateway *ns.NS, name string) { s.encrypt(gateway, name, mtu) }
}

func (s *stage) encrypt(gateway *ns.NS, name string, mtu int) {
	s.Helper()
	ns.Veth(s.T, s.node, name, s.world, name)
	s.node.Addr(s.T, name, "192.0.2.1/30")
	s.world.Addr(s.T, name, server.Addr().String()+"/30")
	const seen = "192.0.2.9" // the gateway's pod, in the world
	gateway.Addr(s.T, "eth0", seen+"/32")
	s.node.Route(s.T, "p"+strings.TrimPrefix(name, "t"), seen+"/32")
	s.world.Via(s.T, name, seen+"/32", "192.0.2.1")
	gateway.From(s.T, "eth0", server.Addr().String()+"/32", "169.254.1.1", seen)
	ends := []struct {
		*ns.NS
		device, address, way, peer string
		key                        *ecdh.PrivateKey
	}{{gateway, "tun0", "10.2.0.2/32", "198.18.0.0/15", server.Addr().String(), s.key()}, {s.world, "wg0", "10.2.0.1/32", "10.2.0.2/32", seen, s.key()}}
	for i, e := range ends {
		other := ends[1-i].key.PublicKey().Bytes()
		require.NoError(s, e.Do(s.T, func() error {
			t, err := tun.CreateTUN(e.device, mtu)
			if err != nil {
				return err
			}
			d := device.NewDevice(t, conn.NewDefaultBind(), device.NewLogger(device.LogLevelSilent, ""))
			s.Cleanup(d.Close)
			if err := d.IpcSet(fmt.Sprintf("private_key=%s\nlisten_port=%d\npublic_key=%s\nallowed_ip=0.0.0.0/0\nendpoint=%s:%d\n",
				hex.EncodeToString(e.key.Bytes()), server.Port(), hex.EncodeToString(other), e.peer, server.Port())); err != nil {
				return err
			}
			return d.Up() // here, where its sockets belong
		}))
		e.Addr(s.T, e.device, e.address)
		e.Up(s.T, e.device)
		e.Route(s.T, e.device, e.way)
	}
}

func (s *stage) key() *ecdh.PrivateKey {
	s.Helper()
	k, err := ecdh.X25519().GenerateKey(rand.Reader)
	require.NoError(s, err)
	return k
}
