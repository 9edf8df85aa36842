package door

import (
	"net"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// house is where connections come from addresses of the test's choice.
type house struct {
	net.Listener
	coming chan string
}

type caller struct {
	net.Conn
	from   string
	closed bool
}

func (c *caller) RemoteAddr() net.Addr {
	at, _ := net.ResolveTCPAddr("tcp", c.from)
	return at
}

func (c *caller) Close() error { c.closed = true; return nil }

func (h house) Accept() (net.Conn, error) {
	from, open := <-h.coming
	if !open {
		return nil, net.ErrClosed
	}
	return &caller{from: from}, nil
}

// Somebody in the cluster opens connections without end and says nothing. Who is free is heard all the same, and so is whoever comes when
// there is room again.
func TestACrowd(t *testing.T) {
	const most = 4
	h := house{coming: make(chan string, 100)}
	d := &Door{Each: most, All: most, Free: netip.Addr.IsLoopback}
	l := d.Listen(h)
	var inside []net.Conn
	for range most {
		h.coming <- "10.42.0.66:1000"
		conn, err := l.Accept()
		require.NoError(t, err)
		inside = append(inside, conn)
	}
	for range 3 * most {
		h.coming <- "10.42.0.66:1000"
	}
	for _, own := range []string{"127.0.0.1:1000", "[::1]:1000", "[::ffff:127.0.0.1]:1000"} {
		h.coming <- own
		conn, err := l.Accept()
		require.NoError(t, err)
		assert.Contains(t, own, conn.RemoteAddr().(*net.TCPAddr).IP.String(), "those in between were sent away")
		require.NoError(t, conn.Close())
	}
	require.NoError(t, inside[0].Close())
	require.NoError(t, inside[0].Close(), "a place is given back once")
	assert.Equal(t, most-1, d.Inside())
	h.coming <- "10.42.0.67:1000"
	conn, err := l.Accept()
	require.NoError(t, err)
	assert.Equal(t, "10.42.0.67:1000", conn.RemoteAddr().String())
	h.coming <- "10.42.0.68:1000"
	close(h.coming)
	_, err = l.Accept()
	require.ErrorIs(t, err, net.ErrClosed, "there is one place, and not two")
}

// Of many who may come, none takes the others' places.
func TestEachHasAShare(t *testing.T) {
	d := &Door{Each: 2, All: 5}
	greedy, modest := netip.MustParseAddr("172.16.0.18"), netip.MustParseAddr("172.16.0.34")
	for n := range 4 {
		assert.Equal(t, n < 2, d.Enter(greedy), n)
	}
	assert.True(t, d.Enter(modest))
	d.Leave(greedy)
	assert.True(t, d.Enter(greedy))
	assert.Equal(t, 3, d.Inside())
	for _, a := range []string{"172.16.0.50", "172.16.0.51"} {
		assert.True(t, d.Enter(netip.MustParseAddr(a)))
	}
	assert.False(t, d.Enter(modest), "there is no room for anybody")
	for _, a := range []netip.Addr{greedy, greedy, modest} {
		d.Leave(a)
	}
	assert.Equal(t, 2, d.Inside())
	assert.Len(t, d.inside, 2, "who has gone is not remembered")
}
