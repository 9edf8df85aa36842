package vpnk8slib

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Whoever tries where there is no overlay sends nothing: each socket is bound to an interface that is not there.
func TestNothingIsTriedBesideTheOverlay(t *testing.T) {
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		_, _ = w.Write([]byte("192.0.2.2\n"))
	}))
	defer server.Close()
	answer, err := http.Get(server.URL)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.EqualValues(t, 1, asked.Load(), "it would answer")

	for _, way := range []Way{ByOverlay, ByTunnel(netip.MustParseAddrPort("127.0.0.1:53"))} {
		e := TryEgress(t.Context(), way, EgressTargets{
			Address: server.URL, Address6: strings.Replace(server.URL, "127.0.0.1", "[::1]", 1), Name: "example.test",
			STUN: "127.0.0.1:3478", Ports: []string{server.URL + "/port/40001", server.URL + "/port/40002"},
		}, time.Second)
		require.Len(t, e.Ports, 2)
		for name, a := range map[string]Answer{"address": e.Address, "address6": e.Address6, "full": e.Full, "udp": e.UDP, "port": e.Ports[0], "other port": e.Ports[1]} {
			assert.ErrorContains(t, a.Err, "no such device", name)
		}
		if way == ByOverlay { // this machine's resolver may be on its loopback, and answer: nothing of that leaves
			continue
		}
		assert.Error(t, e.Resolver.Err, "there is no tunnel")
		assert.Equal(t, "127.0.0.1:53", e.Asked)
	}
	assert.EqualValues(t, 1, asked.Load())
}

// A server outside says whether a port is reached, or nothing that could be understood.
func TestPort(t *testing.T) {
	for answer, want := range map[string]string{
		`{"ip":"192.0.2.2","port":40000,"reachable":true}`:  reached,
		`{"ip":"192.0.2.2","port":40000,"reachable":false}`: notReached,
		`{"error":"too many requests"}`:                     "",
		`<html>`:                                            "",
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			assert.Equal(t, "/port/40000", r.URL.Path)
			_, _ = w.Write([]byte(answer))
		}))
		said, err := Way{device: "lo"}.port(t.Context(), nil, server.URL+"/port/40000")
		server.Close()
		assert.Equal(t, want, said, answer)
		if want == "" {
			assert.ErrorContains(t, err, "does not say whether a port is reachable (200 OK)", answer)
		}
	}
}
