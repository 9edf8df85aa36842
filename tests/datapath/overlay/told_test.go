//go:build datapath

package overlay

import (
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// vpnClient answers on the loopback of a gateway's pod as gluetun's control API does, for as long as it runs.
type vpnClient struct {
	m      *member
	answer atomic.Pointer[string]
	server *http.Server
}

func (c *vpnClient) say(answer string) { c.answer.Store(&answer) }

func (c *vpnClient) start(t *testing.T) {
	t.Helper()
	c.server = &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.URL.Path != "/v1/portforward" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, *c.answer.Load())
	})}
	require.NoError(t, c.m.Do(t, func() error {
		l, err := net.Listen("tcp", "127.0.0.1:8000")
		if err == nil {
			go func() { _ = c.server.Serve(l) }()
		}
		return err
	}))
	t.Cleanup(func() { _ = c.server.Close() })
}

// The VPN client has its provider grant a port, and tells of it: peers reach the application that wanted one first, and it sees who they
// are. Another number follows, then none; then the VPN client goes with its tunnel, and comes again without a port.
func TestAPortOfTheVPNClient(t *testing.T) {
	const first, next, other = 51413, 51414, 40002
	s := newWorld(t)
	client := s.clientAgent("10.42.0.5", way, qbittorrentKey)
	for _, p := range []uint16{first, next, other} {
		s.mirror(client, p)
	}
	gateway := s.gatewayAgent("10.42.0.7", nil)
	vpn := &vpnClient{m: gateway}
	vpn.say(`{"port":0}`)
	vpn.start(t)
	s.through(client.NS)
	gateway.Kill()
	gateway.config.Gateway.Told = "http://127.0.0.1:8000/v1/portforward"
	i := slices.IndexFunc(gateway.config.Gateway.Blocks, func(b overlay.Block) bool { return b.Name == "sabnzbd" })
	require.Positive(t, i, "it comes after the first")
	gateway.config.Gateway.Blocks[0].Port, gateway.config.Gateway.Blocks[i].Port = true, true
	gateway.Configure(gateway.config)
	gateway.Start()
	gateway.later("it has asked", func(r overlay.Report) bool { return strings.Contains(leased(r).Error, "granted no port") })
	s.refused(gateway, first)

	vpn.say(`{"port":51413}`)
	s.led(gateway, first, 60)
	s.refused(gateway, other)
	assert.Contains(t, gateway.Report().Gateway.Ports["sabnzbd"].Error, "leads to another application already")
	assert.Zero(t, gateway.Report().Gateway.Ports["sabnzbd"].Port)

	vpn.say(`{"port":51414}`)
	s.led(gateway, next, 60)
	s.refused(gateway, first)

	vpn.say(`{"port":0}`)
	s.led(gateway, 0, 0)
	s.refused(gateway, next)
	vpn.say(`{"port":51414}`)
	s.led(gateway, next, 60)

	require.NoError(t, vpn.server.Close())
	gateway.later("it is missed", func(r overlay.Report) bool { return strings.Contains(leased(r).Error, "cannot ask the VPN client") })
	gateway.Delete(t, "tun0")
	gateway.later("the tunnel is missed", func(r overlay.Report) bool { return !r.Gateway.Tunnel })
	s.tunnel(gateway.NS, "t0.7again")
	s.led(gateway, 0, 0)
	s.refused(gateway, next)
	vpn.start(t)
	s.led(gateway, next, 60)
	assert.Equal(t, netip.MustParseAddr("10.42.0.5"), gateway.Report().Gateway.Clients[way.Address.Addr()].Pod)
}
