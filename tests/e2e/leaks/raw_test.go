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

	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/tests/internal/packet"
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

// around sends by raw sockets and as whole frames, as root, from a pod and then from the one that nothing protects.
func (s *stage) around() {
	s.Helper()
	self, err := os.Executable()
	require.NoError(s, err)
	dsts := []string{"198.18.251.1", "198.18.251.2"} // which nothing else sends to
	for i, of := range []string{s.client(), control} {
		namespace, name, _ := strings.Cut(of, "/")
		own, err := s.Kubectl(s.Context(), "-n", namespace, "get", "pod", name, "-o", "jsonpath={.status.podIP}")
		require.NoError(s, err)
		s.must(s.Lab(s.Context(), "exec", "--pod", of, "--", "sh", "-c", "ping -c 1 -W 1 $0 || :", node)) // whose hardware address is then known
		s.must(s.Lab(s.Context(), "exec", "--pod", of, "--", self, "raw", own, dsts[i]))
	}
	seen, err := s.OnUplink(s.Context(), dsts...)
	require.NoError(s, err)
	require.Zero(s, seen[dsts[0]], "LEAK: packets around every hook left the node")
	require.GreaterOrEqual(s, seen[dsts[1]], 20, "the control is blind: of raw sockets and frames")
}

// send sends the same packet both ways, ten times.
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
	for range 10 {
		err = errors.Join(err, packet.Raw(p), packet.Frame(p, "eth0", router, 0))
		time.Sleep(50 * time.Millisecond)
	}
	return err
}
