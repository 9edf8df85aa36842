package ns

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// Counter counts the packets that come out of an interface's other end, by destination.
type Counter struct {
	mu   sync.Mutex
	seen map[netip.Addr]int
}

// Count counts what comes in by an interface, until the test ends.
func (n *NS) Count(t *testing.T, device string) *Counter {
	t.Helper()
	c := &Counter{seen: map[netip.Addr]int{}}
	require.NoError(t, n.Do(t, func() error {
		link, err := net.InterfaceByName(device)
		if err != nil {
			return err
		}
		all := Network(unix.ETH_P_ALL)
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, int(all))
		if err != nil {
			return err
		}
		if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: link.Index}); err != nil {
			return errors.Join(err, unix.Close(fd))
		}
		if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 50_000}); err != nil {
			return errors.Join(err, unix.Close(fd))
		}
		done := make(chan struct{})
		t.Cleanup(func() { close(done) })
		go c.read(fd, done)
		return nil
	}))
	return c
}

// Network is a number in the order of the network's bytes.
func Network(n uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, n))
}

func (c *Counter) read(fd int, done chan struct{}) {
	defer unix.Close(fd)
	packet := make([]byte, 2048)
	for {
		select {
		case <-done:
			return
		default:
		}
		n, from, err := unix.Recvfrom(fd, packet, 0)
		if err != nil || n < 40 && packet[0]>>4 == 6 || n < 20 {
			continue
		}
		if l, ok := from.(*unix.SockaddrLinklayer); !ok || l.Pkttype == unix.PACKET_OUTGOING {
			continue
		}
		var dst netip.Addr
		switch packet[0] >> 4 {
		case 4:
			dst, _ = netip.AddrFromSlice(packet[16:20])
		case 6:
			dst, _ = netip.AddrFromSlice(packet[24:40])
		}
		c.mu.Lock()
		c.seen[dst]++
		c.mu.Unlock()
	}
}

// Of counts those to one destination, after a moment for the last of them to be read.
func (c *Counter) Of(dst string) int {
	time.Sleep(60 * time.Millisecond)
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen[netip.MustParseAddr(dst)]
}

// Until waits for packets to a destination, and counts them.
func (c *Counter) Until(dst string) int {
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end); {
		if n := c.Of(dst); n > 0 {
			return n
		}
	}
	return 0
}
