//go:build leaks

package leaks

import (
	"crypto/sha1"
	"fmt"
	"strings"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/tests/e2e/world"
)

const (
	peerAddress = "198.19.202.1"
	peerLike    = "198.19.202.2" // what an unprotected pod asks
)

// peered has somebody outside connect to qBittorrent by the VPN's address, and hear nothing of what it answers: so it says it again and
// again. Meanwhile the client's end of the overlay goes, and a default route is put back by hand.
func (s *stage) peered() {
	s.Helper()
	const port = "40001"
	require.NoError(s, s.WaitStatus(s.Context(), 3*time.Minute, s.model, app+"/0", "active", "port "+port))
	s.inet("nft", "add table inet peer; add counter inet peer heard; add chain inet peer in { type filter hook input priority 0; }; "+
		"add rule inet peer in ip daddr "+peerAddress+" tcp flags & syn == 0 counter name heard drop")
	defer s.inet("nft", "delete", "table", "inet", "peer")
	ended := make(chan error, 1)
	defer func() { // to cancel the command would leave it; it may have ended
		_, _ = s.Lab(s.Context(), "exec", "--", "pkill", "-KILL", "-f", "^[^ ]*/lab holding")
		<-ended
	}()
	go func() {
		_, err := s.Lab(s.Context(), "exec", "--", "ip", "netns", "exec", "inet", s.Root+"/build/bin/lab", "holding",
			world.VPNAddress+":"+port, peerAddress, fmt.Sprintf("%x", sha1.Sum([]byte("announce-http"))), "180s")
		ended <- err
	}()
	heard := func() (n int) {
		out := s.inet("nft", "list", "counter", "inet", "peer", "heard")
		_, after, _ := strings.Cut(out, "packets ")
		_, _ = fmt.Sscan(after, &n)
		return n
	}
	require.NoError(s, world.Until(s.Context(), 20*time.Second, func() string {
		select {
		case err := <-ended:
			ended <- err
			return fmt.Sprint("the peer has gone: ", err)
		default:
		}
		if heard() < 2 {
			return "qBittorrent has not repeated itself to its peer"
		}
		return ""
	}))
	// What goes to him by the pod's own interface, before the guard (300) looks at it.
	s.inside("nft", "add table ip peer; add counter ip peer tried; add chain ip peer out { type filter hook postrouting priority 299; }; "+
		"add rule ip peer out ip daddr "+peerAddress+" oifname eth0 counter name tried")
	defer s.inside("nft", "delete", "table", "ip", "peer")
	s.open()
	require.NoError(s, world.Until(s.Context(), 90*time.Second, func() string { // each time it waits twice as long as before
		s.led()
		if strings.Contains(s.out(s.client(), "nft", "list", "counter", "ip", "peer", "tried"), "packets 0 ") {
			return "qBittorrent has not tried to answer its peer beside the tunnel"
		}
		return ""
	}))
	_, err := s.Probe(s.Context(), control, "plain", "tcp", peerLike)
	require.NoError(s, err)
	seen, err := s.OnUplink(s.Context(), peerAddress, peerLike)
	require.NoError(s, err)
	assert.Zero(s, seen[peerAddress], "LEAK: to a peer")
	assert.Positive(s, seen[peerLike], "so it would be counted")
	before := heard()
	// Each time it waits twice as long as before.
	require.NoError(s, world.Until(s.Context(), 90*time.Second, func() string {
		if heard() == before {
			return "qBittorrent's peer hears nothing more through the tunnel"
		}
		return ""
	}))
}

// inet runs a command in the pretend internet.
func (s *stage) inet(command ...string) string {
	s.Helper()
	out, err := s.Lab(s.Context(), append([]string{"exec", "--", "ip", "netns", "exec", "inet"}, command...)...)
	require.NoError(s, err)
	return out
}
