package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// An echo and a fetch of it: the source address comes back, whatever the family.
func TestFetchFromTheEcho(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(echo))
	defer server.Close()
	f := fetch(server.URL, "any", 5*time.Second)
	assert.Equal(t, "ok", f.Outcome)
	assert.Equal(t, "127.0.0.1", f.Source)
	assert.Equal(t, 200, f.Status)
	assert.Empty(t, f.Error)
	assert.Equal(t, server.Listener.Addr().String(), f.Remote)
}

func TestFetchSaysHowItFailed(t *testing.T) {
	closed := httptest.NewServer(nil)
	closed.Close()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer silent.Close()
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusTeapot)
		_, _ = w.Write([]byte("no address"))
	}))
	defer other.Close()
	tests := []struct {
		summary, url, family, outcome string
	}{
		{"nobody listens", closed.URL, "any", "refused"},
		{"nobody answers", "http://" + silent.Addr().String(), "any", "timeout"},
		{"a name that does not exist", "http://nowhere.invalid/", "any", "dns"},
		{"an address of the other family", other.URL, "6", "other"},
		{"TLS to who does not speak it", "https" + other.URL[len("http"):], "any", "tls"},
		{"not an address, but an answer", other.URL, "4", "ok"},
	}
	for _, test := range tests {
		t.Run(test.summary, func(t *testing.T) {
			start := time.Now()
			f := fetch(test.url, test.family, time.Second)
			assert.Equal(t, test.outcome, f.Outcome, f.Error)
			assert.Empty(t, f.Source)
			assert.Less(t, time.Since(start), 5*time.Second)
			if test.outcome == "ok" {
				assert.Equal(t, "no address", f.Body)
				assert.Equal(t, http.StatusTeapot, f.Status)
			}
		})
	}
}

func TestListenTellsWhoCame(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(free.Addr().String())
	require.NoError(t, err)
	require.NoError(t, free.Close())
	done := make(chan Listened, 1)
	go func() {
		l, err := listenOn(port, time.Second)
		assert.NoError(t, err)
		done <- l
	}()
	var conn net.Conn
	require.Eventually(t, func() bool { conn, err = net.Dial("tcp", "127.0.0.1:"+port); return err == nil }, time.Second, 10*time.Millisecond)
	seen := make([]byte, 100)
	n, err := conn.Read(seen)
	require.NoError(t, err)
	assert.Equal(t, conn.LocalAddr().String()+"\n", string(seen[:n]))
	udp, err := net.Dial("udp", "127.0.0.1:"+port)
	require.NoError(t, err)
	for range 2 {
		_, err = udp.Write([]byte("x"))
		require.NoError(t, err)
	}
	l := <-done
	assert.Equal(t, []string{conn.LocalAddr().String()}, l.TCP)
	assert.Equal(t, []string{udp.LocalAddr().String()}, l.UDP)
}

// The tables as a routed pod has them.
func TestRoutes(t *testing.T) {
	proc := t.TempDir()
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(proc, name), []byte(text), 0o600))
	}
	write("route", `Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
vxlan0	00000000	010010AC	0003	0	0	0	00000000	0	0	0
eth0	00002A0A	012A2A0A	0003	0	0	0	0000FFFF	0	0	0
`)
	write("ipv6_route", `fd420000000000000000000000000000 30 00000000000000000000000000000000 00 fd42000000000000000000000000000a 00000400 00000001 00000000 00000001     eth0
`)
	r, err := routes(proc)
	require.NoError(t, err)
	assert.ElementsMatch(t, []Route{
		{To: "0.0.0.0/0", Via: "172.16.0.1", Over: "vxlan0"},
		{To: "10.42.0.0/16", Via: "10.42.42.1", Over: "eth0"},
		{To: "fd42::/48", Via: "fd42::a", Over: "eth0"},
	}, r.Routes)
	assert.NotEmpty(t, r.Interfaces)
	assert.NoError(t, leavesBy("vxlan0", proc))
	assert.ErrorContains(t, leavesBy("tun0", proc), "cannot find a route over tun0")

	write("route", "eth0 zz 0 0 0 0 0 0\n")
	_, err = routes(proc)
	assert.ErrorContains(t, err, "cannot understand")
}

func TestCommandLine(t *testing.T) {
	for _, args := range [][]string{{}, {"fetch"}, {"fetch", "a", "b"}, {"serve", "x"}, {"fetch", "-family", "5", "http://a"}, {"dance"}, {"resolve", "-timeout", "soon", "a"}} {
		assert.Error(t, run(args), "%q", args)
	}
	assert.NoError(t, run([]string{"help"}))
	assert.NoError(t, run([]string{"routes"}))
}

func TestResolve(t *testing.T) {
	assert.Equal(t, []string{"127.0.0.1"}, resolve("localhost", "4", "", time.Second).Addresses)
	r := resolve("nowhere.invalid", "any", "127.0.0.1:1", time.Second)
	assert.NotEqual(t, "ok", r.Outcome)
	assert.NotEmpty(t, r.Error)
	assert.Equal(t, "127.0.0.1:1", r.Server)
}
