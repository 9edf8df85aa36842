//go:build leaks

package leaks

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/tests/internal/packet"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/guard"
)

// TestMain is this program in a pod's network as well: it sends around everything that a socket usually passes.
func TestMain(m *testing.M) {
	if len(os.Args) != 4 || os.Args[1] != "raw" {
		os.Exit(m.Run())
	}
	if err := send(os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// node is the pods' router.
const node = "10.42.0.1"

// around sends by raw sockets and as whole frames, as root, by the pod's own interface: from a pod that is led astray, and then from the one
// that nothing protects. The guard drops each.
func (s *stage) around() {
	s.Helper()
	self, err := os.Executable()
	require.NoError(s, err)
	back, err := s.Astray(s.Context(), s.client())
	require.NoError(s, err)
	before, err := s.Counter(s.Context(), s.client(), "netdev", guard.Raw)
	require.NoError(s, err)
	dsts := []string{"198.18.251.1", "198.18.251.2", "2001:db8:113::fb:1", "2001:db8:113::fb:2"} // which nothing else sends to
	for i, of := range []string{s.client(), control} {
		namespace, name, _ := strings.Cut(of, "/")
		own, err := s.Kubectl(s.Context(), "-n", namespace, "get", "pod", name, "-o", "jsonpath={.status.podIPs[*].ip}")
		require.NoError(s, err)
		from := strings.Fields(own)
		require.Len(s, from, 2, "an address of each family")
		s.must(s.Lab(s.Context(), "exec", "--pod", of, "--", "sh", "-c", "ping -c 1 -W 1 $0 || :", node)) // whose hardware address is then known
		for family, own := range from {
			s.must(s.Lab(s.Context(), "exec", "--pod", of, "--", self, "raw", own, dsts[2*family+i]))
		}
	}
	after, err := s.Counter(s.Context(), s.client(), "netdev", guard.Raw)
	require.NoError(s, err)
	require.NoError(s, back())
	seen, err := s.OnUplink(s.Context(), dsts...)
	require.NoError(s, err)
	assert.GreaterOrEqual(s, after-before, 2*each, "the guard is not asked about frames")
	require.Zero(s, seen[dsts[0]]+seen[dsts[2]], "LEAK: packets around every hook left the node")
	require.GreaterOrEqual(s, seen[dsts[1]], 2*each, "the control is blind: of raw sockets and frames")
	require.GreaterOrEqual(s, seen[dsts[3]], each, "the control is blind: of frames of IPv6")
}

// each is how often each is sent.
const each = 10

// send sends the same packet as a frame and, of IPv4, by a raw socket, by the pod's own interface.
func send(from, to string) error {
	src, err := netip.ParseAddr(from)
	if err != nil {
		return err
	}
	dst, err := netip.ParseAddr(to)
	if err != nil {
		return err
	}
	neighbours, err := os.ReadFile("/proc/self/net/arp")
	if err != nil {
		return err
	}
	var router net.HardwareAddr
	for line := range strings.Lines(string(neighbours)) {
		if f := strings.Fields(line); f[0] == node {
			if router, err = net.ParseMAC(f[3]); err != nil {
				return err
			}
		}
	}
	p := packet.Datagram(src, dst, 7)
	for range each {
		if err = errors.Join(err, packet.Frame(p, "eth0", router, 0)); dst.Is4() {
			err = errors.Join(err, packet.Raw(p, "eth0"))
		}
		time.Sleep(50 * time.Millisecond)
	}
	return err
}
