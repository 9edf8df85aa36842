package main

import (
	"errors"
	"net/netip"
	"strings"
)

// fileWords are the secret's words for what a WireGuard file has under names of its own.
var fileWords = map[string]string{
	"[interface]privatekey": "private-key", "[interface]address": "addresses",
	"[peer]presharedkey": "preshared-key", "[peer]publickey": "public-key", "[peer]endpoint": "endpoint",
}

// readWireGuard takes out of a provider's WireGuard file what gluetun takes (sources/files/wireguard.go). gluetun is not given
// the file: with the server in it most of its providers refuse to start, and with an address of IPv6 where the pod has none.
func readWireGuard(text string) (map[string]string, error) {
	out := map[string]string{}
	section, peers := "", 0
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		name, value, _ := strings.Cut(line, "=")
		name, value = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)
		word := fileWords[section+name]
		switch {
		case name == "[peer]":
			section = name
			peers++
		case strings.HasPrefix(name, "["):
			section = name
		case word == "" || value == "":
		case word == "addresses" && out[word] != "": // a line for each family
			out[word] += "," + value
		default:
			out[word] = value
		}
	}
	switch {
	case out["private-key"] == "":
		return nil, errors.New("it has no PrivateKey after a line [Interface]")
	case peers != 1:
		return nil, errors.New("it needs one [Peer]")
	}
	return out, nil
}

// endpointOf reads where a file's server is. A name is none: it could be looked up only beside the tunnel.
func endpointOf(text string) (netip.AddrPort, error) {
	a, err := netip.ParseAddrPort(text)
	if err != nil || a.Port() == 0 {
		return a, errors.New("its Endpoint must be an address with a port, such as 198.51.100.7:51820; a name could be looked up only beside the tunnel")
	}
	return a, nil
}
