package status

import (
	"net"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// door is where connections come from addresses of the test's choice.
type door struct {
	net.Listener
	coming chan string
}

type guest struct {
	net.Conn
	from   string
	closed bool
}

func (g *guest) RemoteAddr() net.Addr {
	at, _ := net.ResolveTCPAddr("tcp", g.from)
	return at
}

func (g *guest) Close() error { g.closed = true; return nil }

func (d door) Accept() (net.Conn, error) {
	from, open := <-d.coming
	if !open {
		return nil, net.ErrClosed
	}
	return &guest{from: from}, nil
}

// Somebody in the cluster opens connections without end and says nothing. Pebble, on the loopback, is heard all the same, and so is whoever
// comes when there is room again.
func TestACrowd(t *testing.T) {
	d := door{coming: make(chan string, 100)}
	c := newCrowd(d)
	var inside []net.Conn
	for range askers {
		d.coming <- "10.42.0.66:1000"
		conn, err := c.Accept()
		require.NoError(t, err)
		inside = append(inside, conn)
	}
	for range 3 * askers {
		d.coming <- "10.42.0.66:1000"
	}
	for _, own := range []string{"127.0.0.1:1000", "[::1]:1000", "[::ffff:127.0.0.1]:1000"} {
		d.coming <- own
		conn, err := c.Accept()
		require.NoError(t, err)
		assert.Contains(t, own, conn.RemoteAddr().(*net.TCPAddr).IP.String(), "those in between were sent away")
	}
	require.NoError(t, inside[0].Close())
	require.NoError(t, inside[0].Close(), "a place is given back once")
	d.coming <- "10.42.0.67:1000"
	conn, err := c.Accept()
	require.NoError(t, err)
	assert.Equal(t, "10.42.0.67:1000", conn.RemoteAddr().String())
	d.coming <- "10.42.0.68:1000"
	close(d.coming)
	_, err = c.Accept()
	require.ErrorIs(t, err, net.ErrClosed, "there is one place, and not two")
}
