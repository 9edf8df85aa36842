//go:build datapath

package guard

import (
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/vpnk8slib/agent/guard"
)

// The port of the heartbeats is open to the cluster alone, whoever listens there: nobody outside is heard, and nobody answered.
func TestTheHeartbeatsPortIsTheClusters(t *testing.T) {
	s := newStage(t)
	const beats = 4791
	require.NoError(t, s.pod.Do(t, func() error {
		c, err := net.ListenUDP("udp", &net.UDPAddr{Port: beats})
		if err != nil {
			return err
		}
		t.Cleanup(func() { _ = c.Close() })
		go func() {
			for text := make([]byte, 100); ; {
				n, from, err := c.ReadFromUDPAddrPort(text)
				if err != nil {
					return
				}
				_, _ = c.WriteToUDPAddrPort(text[:n], from)
			}
		}()
		return nil
	}))
	require.NoError(t, s.asked("198.18.7.5", 5000, beats), "without the guard")
	assert.Positive(t, s.counted.Until("198.18.7.5"))

	g := rules
	g.Beats = beats
	s.guard(g)
	for _, port := range []int{5000, beats} {
		before := s.dropped()[guard.In]
		assert.Error(t, s.asked("198.18.7.7", port, beats))
		assert.Positive(t, s.dropped()[guard.In]-before)
	}
	assert.Zero(t, s.counted.Of("198.18.7.7"), "LEAK")
	assert.NoError(t, s.asked(node, 5000, beats), "from the cluster")
	assert.NoError(t, s.asked(node, beats, beats))
}

// asked asks the pod by a datagram from an address of the world's; the error is that nothing is answered.
func (s *stage) asked(from string, port, to int) error {
	return s.world.Do(s.T, func() error {
		c, err := net.DialUDP("udp", &net.UDPAddr{IP: net.ParseIP(from), Port: port}, &net.UDPAddr{IP: net.IPv4(10, 42, 0, 5), Port: to})
		if err != nil {
			return err
		}
		defer c.Close()
		if _, err := c.Write([]byte("x")); err != nil {
			return err
		}
		_ = c.SetReadDeadline(time.Now().Add(time.Second)) // a busy machine may answer late
		_, err = c.Read(make([]byte, 1))
		return err
	})
}
