package main

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A target that answers counts only through the interface that was asked for: beside the tunnel is no tunnel.
func TestReach(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	answering, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	target := netip.MustParseAddrPort(answering.Addr().String())
	assert.True(t, reach(ctx, "lo", target))
	assert.False(t, reach(ctx, "no-such-device", target))

	require.NoError(t, answering.Close())
	assert.True(t, reach(ctx, "lo", target), "a refusal has come back as well")
}

func TestPublicIP(t *testing.T) {
	tests := []struct {
		summary, answer, key string
		want                 string
	}{
		{"known", `{"public_ip":"192.0.2.2"}`, "key", "192.0.2.2"},
		{"not asked yet", `{"public_ip":""}`, "key", "invalid IP"},
		{"nonsense", `<html>`, "key", "invalid IP"},
		{"another's key", `{"public_ip":"192.0.2.2"}`, "other", "invalid IP"},
	}
	for _, test := range tests {
		t.Run(test.summary, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/v1/publicip/ip" || r.Header.Get("X-API-Key") != "key" {
					w.WriteHeader(http.StatusUnauthorized)
					return
				}
				_, _ = w.Write([]byte(test.answer))
			}))
			defer server.Close()
			assert.Equal(t, test.want, seenBy(t.Context(), server.Listener.Addr().String(), test.key).Address.String())
		})
	}
}

// What leads elsewhere is no tunnel, however it answers what is bound to it.
func TestLeads(t *testing.T) {
	own := netip.MustParseAddrPort("127.0.0.1:9")
	assert.True(t, leads("lo", own))
	assert.False(t, leads("tun-none", own), "there is no such interface")
	assert.False(t, leads("lo", netip.MustParseAddrPort("255.255.255.255:9")), "the kernel does not let it go anywhere")
}
