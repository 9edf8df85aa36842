package tunnel

import (
	"bufio"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// As wireguard-go answers (device/uapi.go): a device with two peers, of which the first has never shaken hands.
const answer = `private_key=6a00000000000000000000000000000000000000000000000000000000000000
listen_port=41184
fwmark=51820
public_key=1100000000000000000000000000000000000000000000000000000000000000
preshared_key=0000000000000000000000000000000000000000000000000000000000000000
protocol_version=1
endpoint=192.0.2.1:51820
last_handshake_time_sec=0
last_handshake_time_nsec=0
tx_bytes=148
rx_bytes=0
persistent_keepalive_interval=0
allowed_ip=0.0.0.0/0
public_key=2200000000000000000000000000000000000000000000000000000000000000
protocol_version=1
endpoint=[2001:db8::7]:51820
last_handshake_time_sec=1795808000
last_handshake_time_nsec=5
tx_bytes=148
rx_bytes=92
errno=0

`

func TestAWireGuardOfTheVPNClientsOwn(t *testing.T) {
	last, whole := said(strings.NewReader(answer))
	require.True(t, whole)
	assert.True(t, time.Unix(1795808000, 5).Equal(last.shaken), last.shaken)
	assert.Equal(t, "2001:db8::7", last.at.String())

	first, _, _ := strings.Cut(answer, "public_key=22")
	last, whole = said(strings.NewReader(first + "errno=0\n\n"))
	require.True(t, whole)
	assert.Zero(t, last.shaken, "it was never heard")
	assert.Equal(t, "192.0.2.1", last.at.String(), "but it is known who it is")

	last, whole = said(strings.NewReader("errno=0\n\n"))
	assert.True(t, whole, "a device without peers")
	assert.Zero(t, last)
	for n := range strings.Index(answer, "errno=0") { // cut anywhere: nothing of it
		last, whole = said(strings.NewReader(answer[:n]))
		assert.False(t, whole, n)
		assert.Zero(t, last, n)
	}
	_, whole = said(strings.NewReader("errno=-5\n\n"))
	assert.False(t, whole, "it refuses")
}

// It is asked on its socket. One that does not answer holds nobody up.
func TestAWireGuardIsAsked(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "tun0.sock")
	_, is := own(socket)
	assert.False(t, is, "there is none")
	l, err := net.Listen("unix", socket)
	require.NoError(t, err)
	go func() {
		for n := 0; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			lines := bufio.NewScanner(c)
			asked := lines.Scan() && lines.Text() == "get=1" && lines.Scan() && lines.Text() == ""
			if n == 0 && asked {
				_, _ = io.WriteString(c, answer)
			} // and stays open, as wireguard-go's does; the second one hears nothing
		}
	}()
	p, is := own(socket)
	assert.True(t, is)
	assert.Equal(t, "2001:db8::7", p.at.String())
	_, is = own(socket)
	assert.False(t, is, "it does not answer")

	l.(*net.UnixListener).SetUnlinkOnClose(false)
	require.NoError(t, l.Close())
	_, is = own(socket)
	assert.False(t, is, "a killed process has left it behind")
}
