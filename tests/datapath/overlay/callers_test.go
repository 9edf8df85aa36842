//go:build datapath

package overlay

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/charmarr/charmarr-go/vpnk8slib/agent/guard"
)

// callers ask a pod from addresses that no network of the cluster holds: clients of a NodePort or a LoadBalancer, and the kubelet in a mesh,
// whose probes come from these two addresses (istio/istio cni, HostProbeSNATIP).
var callers = []string{"198.18.7.7", "169.254.7.127", "2001:db8:113::7", "fd16:9254:7127:1337:ffff:ffff:ffff:ffff"}

const (
	sixes   = 2    // of the callers have IPv6
	replies = 4791 // the priority of the client's rule that answers go where they were asked for
)

// A program sends by itself from the port on which the pod is asked: what is no answer does not leave beside the overlay, by neither family,
// whether there is an overlay or not.
func TestNobodyLeavesFromThePortThatHeIsAskedOn(t *testing.T) {
	s := newStage(t)
	s.guarded(s.pod, way)
	out := s.node.Count(t, "p0.5")
	send := func(from, to string) error {
		return s.pod.Do(t, func() error {
			d := net.Dialer{LocalAddr: net.UDPAddrFromAddrPort(netip.MustParseAddrPort(from))}
			c, err := d.Dial("udp", to)
			if err != nil {
				return err
			}
			defer c.Close()
			_, err = c.Write([]byte("x"))
			return err
		})
	}
	for _, there := range []bool{true, false} {
		if !there {
			s.pod.Delete(t, "vxlan0")
		}
		for from, to := range map[string]string{"10.42.0.5:8080": "198.18.0.9", "[fd42::5]:8080": "2001:db8:113::9"} {
			before := s.dropped(s.pod, guard.Out)
			assert.ErrorIs(t, send(from, net.JoinHostPort(to, "9000")), unix.EPERM)
			assert.Zero(t, out.Of(to), "LEAK")
			assert.Greater(t, s.dropped(s.pod, guard.Out), before, "the guard holds it") // and what the kernel says of itself, now and then
		}
	}
	require.NoError(t, send("10.42.0.5:8080", "10.43.0.10:9000"))
	assert.Positive(t, out.Until("10.43.0.10"), "to the cluster it leaves")
}

// serves makes the node have the callers' addresses, and the pod answer.
func (s *stage) serves() {
	s.Helper()
	for _, a := range callers {
		s.node.Addr(s.T, "lo", fmt.Sprintf("%s/%d", a, netip.MustParseAddr(a).BitLen()))
	}
	s.pod.Listen(s.T, 8080, func(c net.Conn) {
		fmt.Fprint(c, "pod")
		_ = c.Close()
	})
}

// call asks the pod from one of the node's addresses.
func (s *stage) call(from string, wait time.Duration) error {
	s.Helper()
	to := "10.42.0.5:8080"
	if netip.MustParseAddr(from).Is6() {
		to = "[fd42::5]:8080"
	}
	return s.node.Do(s.T, func() error {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: wait}
		c, err := d.Dial("tcp", to)
		if err != nil {
			return err
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(wait))
		said, err := io.ReadAll(c)
		if err == nil {
			require.Equal(s, "pod", string(said))
		}
		return err
	})
}
