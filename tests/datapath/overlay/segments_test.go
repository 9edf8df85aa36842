//go:build datapath

package overlay

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/charmarr/charmarr-go/tests/internal/ns"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// An overlay takes more at once than the tunnel behind it, as where nobody knows what that takes. Whoever connects to whom, either is told in
// the other's first segment what fits: no connection depends on somebody's word that a segment was too long.
func TestSegmentsFitThroughTheTunnel(t *testing.T) {
	const port, narrow = 40001, 1320
	s := newWorld6(t)
	s.provide(&grants{udp: port, tcp: port, lifetime: 60})
	c := way
	c.MTU = 0
	client := s.clientAgent("10.42.0.5", c, qbittorrentKey)
	gateway := s.gatewayPod("10.42.0.7", nil)
	gateway.MTU(t, "tun0", narrow)
	gateway.config.Gateway.MTU = 0
	gateway.config.Gateway.Ports, gateway.config.Gateway.Blocks[0].Port = netip.MustParseAddr("198.18.0.1"), true
	gateway.Configure(gateway.config)
	gateway.Start()
	s.through(client.NS)
	client.Until("it is told of IPv6", func(r overlay.Report) bool { return r.Client.IPv6 })
	gateway.later("the port is led", func(r overlay.Report) bool { return leased(r).Port == port })

	inWorld, inNode, atClient := s.accepts(s.world, 9000), s.accepts(s.node, 9000), s.accepts(client.NS, port)
	for _, one := range []struct {
		what    string
		from    *ns.NS
		own, to string // each end in the world is another's: who has heard once what fits to somebody remembers it
		accepts chan net.Conn
		fits    int // in each segment
	}{
		{"a client to the world", client.NS, "", "198.18.0.1:9000", inWorld, narrow - 20 - 20},
		{"a client to the world by IPv6", client.NS, "", "[" + somewhere6 + "]:9000", inWorld, narrow - 40 - 20},
		{"a peer to a client", s.world, "198.18.5.1", fmt.Sprintf("10.2.0.2:%d", port), atClient, narrow - 20 - 20},
	} {
		near, far := s.pair(one.from, one.own, one.to, one.accepts)
		assert.LessOrEqual(t, s.sends(near), one.fits, "%s: who connects", one.what)
		assert.LessOrEqual(t, s.sends(far), one.fits, "%s: who is connected to", one.what)
		carries(t, near, far, one.what)
		carries(t, far, near, one.what)
	}
	near, far := s.pair(client.NS, "", "10.43.0.10:9000", inNode)
	for _, end := range []net.Conn{near, far} {
		assert.Greater(t, s.sends(end), narrow, "beside the tunnel more fits")
	}
}

// accepts are the connections to a port.
func (s *stage) accepts(n *ns.NS, port int) chan net.Conn {
	s.Helper()
	all := make(chan net.Conn, 1)
	n.Listen(s.T, port, func(c net.Conn) { all <- c })
	return all
}

// pair is a connection's two ends, the first of which may have to have an address.
func (s *stage) pair(from *ns.NS, own, to string, accepts chan net.Conn) (near, far net.Conn) {
	s.Helper()
	require.Eventually(s, func() bool {
		return from.Do(s.T, func() (err error) {
			d := net.Dialer{Timeout: patience}
			if own != "" {
				d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(own)}
			}
			near, err = d.Dial("tcp", to)
			return err
		}) == nil
	}, 3*patience, moment, to)
	far = <-accepts
	s.Cleanup(func() { _, _ = near.Close(), far.Close() })
	return near, far
}

// sends is how much an end sends in one segment, as it has heard from the other.
func (s *stage) sends(c net.Conn) (most int) {
	s.Helper()
	raw, err := c.(*net.TCPConn).SyscallConn()
	require.NoError(s, err)
	out := raw.Control(func(fd uintptr) { most, err = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_MAXSEG) })
	require.NoError(s, errors.Join(out, err))
	return most
}

// carries has one end say more to the other than fits into many segments.
func carries(t *testing.T, from, to net.Conn, what string) {
	t.Helper()
	text := bytes.Repeat([]byte("x"), 64<<10)
	for _, c := range []net.Conn{from, to} {
		require.NoError(t, c.SetDeadline(time.Now().Add(patience)))
	}
	_, err := from.Write(text)
	require.NoError(t, err, what)
	_, err = io.ReadFull(to, make([]byte, len(text)))
	assert.NoError(t, err, what)
}
