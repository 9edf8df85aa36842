package main

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// An OpenVPN file is read as gluetun reads it: the firewall must name the server that gluetun then asks.
func TestReadOpenVPN(t *testing.T) {
	tests := []struct {
		summary, text    string
		server, protocol string
		asks             bool
	}{
		{"as providers give it", "client\r\ndev tun\r\nproto udp\r\nremote 198.51.100.9 1195\r\nauth-user-pass\r\n", "198.51.100.9:1195", "udp", true},
		{"all in one line", "remote 198.51.100.9 443 tcp\n", "198.51.100.9:443", "tcp", false},
		{"nothing but the server", "remote 198.51.100.9\n", "198.51.100.9:1194", "udp", false},
		{"by TCP without a port", "proto tcp-client\nremote 198.51.100.9\n", "198.51.100.9:443", "tcp", false},
		{"the first server counts", "proto udp\nremote 198.51.100.9 53\nremote vpn.example.org 1194\n", "198.51.100.9:53", "udp", false},
		{"a port beside it", "port 2049\nremote 198.51.100.9\n", "198.51.100.9:2049", "udp", false},
		{"what is no line of its own", "# remote 198.51.100.1 1\n remote 198.51.100.2 2\nremote-cert-tls server\nremote 198.51.100.9 1194 # here\n", "198.51.100.9:1194", "udp", false},
		{"over IPv6", "remote 2001:db8::9 1194\n", "[2001:db8::9]:1194", "udp", false},
	}
	for _, test := range tests {
		t.Run(test.summary, func(t *testing.T) {
			f, err := readOpenVPN(test.text)
			require.NoError(t, err)
			assert.Equal(t, ovpn{netip.MustParseAddrPort(test.server), test.protocol, test.asks}, f)
		})
	}
}

// Whatever an operator takes for a file: a server that is found has a port, and an address.
func FuzzReadOpenVPN(f *testing.F) {
	f.Add("client\nproto tcp\nremote 198.51.100.9 443\nauth-user-pass\n")
	f.Add("port 0\nremote 198.51.100.9 65536 udp6 #\n")
	f.Fuzz(func(t *testing.T, text string) {
		if got, err := readOpenVPN(text); err == nil {
			assert.True(t, got.server.IsValid() && got.server.Port() != 0)
			assert.Contains(t, []string{"udp", "tcp"}, got.protocol)
		}
	})
}

func FuzzReadWireGuard(f *testing.F) {
	f.Add(wg0)
	f.Add("[Peer]\n[interface]\nPRIVATEKEY==\n=\n")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := readWireGuard(text)
		assert.Equal(t, err == nil, got["private-key"] != "")
		for word := range got {
			assert.Contains(t, credentials, word)
		}
	})
}
