package main

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// ovpn is what has to be known of an OpenVPN file before gluetun starts: the firewall names the server.
type ovpn struct {
	server   netip.AddrPort
	protocol string
	asks     bool // for a user and a password
}

// readOpenVPN reads as gluetun does (internal/openvpn/extract): the first line of each kind counts, and a server is an address.
func readOpenVPN(text string) (f ovpn, err error) {
	if err := refusedLines(text); err != nil {
		return f, err
	}
	var host netip.Addr
	var port uint16
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(strings.TrimRight(line, "\r\n"), "#")
		words := strings.Fields(line)
		if len(words) == 0 || !strings.HasPrefix(line, words[0]) { // gluetun knows no line that is indented
			continue
		}
		f.asks = f.asks || words[0] == "auth-user-pass"
		if f.protocol != "" && host.IsValid() {
			continue
		}
		var named, protocol string
		switch {
		case len(words) == 1:
		case words[0] == "proto" && len(words) == 2:
			protocol = words[1]
		case words[0] == "port" && len(words) == 2:
			named = words[1]
		case words[0] == "remote" && len(words) <= 4:
			addr, err := netip.ParseAddr(words[1])
			if err != nil {
				return f, errNoServer
			}
			if !host.IsValid() {
				host = addr
			}
			if len(words) > 2 {
				named = words[2]
			}
			if len(words) > 3 {
				protocol = words[3]
			}
		}
		if n, err := strconv.ParseUint(named, 10, 16); named != "" && (err != nil || n == 0) {
			return f, fmt.Errorf("a line %s names no port", words[0])
		} else if port == 0 {
			port = uint16(n)
		}
		if kind, known := protocols[protocol]; !known {
			return f, fmt.Errorf("a line %s names no protocol with which gluetun starts: udp or tcp", words[0])
		} else if f.protocol == "" {
			f.protocol = kind
		}
	}
	switch {
	case !host.IsValid():
		return f, errNoServer
	case f.protocol == "":
		f.protocol = "udp"
	}
	if port == 0 {
		port = map[string]uint16{"udp": 1194, "tcp": 443}[f.protocol]
	}
	f.server = netip.AddrPortFrom(host, port)
	return f, nil
}

// protocols are those of OpenVPN's with which gluetun starts. Those that end with 4 or 6 it reads as well, and then hands them to
// iptables, which does not (internal/firewall/iptables.go).
var protocols = map[string]string{"": "", "udp": "udp", "tcp": "tcp", "tcp-client": "tcp"}
