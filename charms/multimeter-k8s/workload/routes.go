package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Routes is this pod's network as the kernel tells it: no program is needed, and no privilege.
type Routes struct {
	Interfaces []Interface `json:"interfaces"`
	Routes     []Route     `json:"routes"` // of the main table (IPv4), of all tables (IPv6)
}

// Interface is one network interface with its addresses.
type Interface struct {
	Name      string   `json:"name"`
	MTU       int      `json:"mtu"`
	Up        bool     `json:"up"`
	Addresses []string `json:"addresses,omitempty"`
}

// Route is one entry of the routing table.
type Route struct {
	To   string `json:"to"`
	Via  string `json:"via,omitempty"`
	Over string `json:"over"`
}

func routes(proc string) (r Routes, err error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return r, fmt.Errorf("cannot list the interfaces: %w", err)
	}
	for _, i := range interfaces {
		addresses, err := i.Addrs()
		if err != nil {
			return r, fmt.Errorf("cannot list the addresses of %s: %w", i.Name, err)
		}
		one := Interface{Name: i.Name, MTU: i.MTU, Up: i.Flags&net.FlagUp != 0}
		for _, a := range addresses {
			one.Addresses = append(one.Addresses, a.String())
		}
		r.Interfaces = append(r.Interfaces, one)
	}
	for file, parse := range map[string]func([]string) (Route, error){"route": parseRoute4, "ipv6_route": parseRoute6} {
		data, err := os.ReadFile(filepath.Join(proc, file))
		if os.IsNotExist(err) {
			continue // a kernel without that family
		}
		if err != nil {
			return r, fmt.Errorf("cannot read the routes: %w", err)
		}
		some, err := parseRoutes(data, parse)
		if err != nil {
			return r, fmt.Errorf("cannot read %s: %w", file, err)
		}
		r.Routes = append(r.Routes, some...)
	}
	return r, nil
}

// leavesBy is nil when a route leaves by the interface.
func leavesBy(name, proc string) error {
	r, err := routes(proc)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(r.Routes, func(one Route) bool { return one.Over == name }) {
		return fmt.Errorf("cannot find a route over %s", name)
	}
	return nil
}

func parseRoutes(data []byte, parse func([]string) (Route, error)) (out []Route, _ error) {
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) < 8 || words[0] == "Iface" {
			continue
		}
		route, err := parse(words)
		if err != nil {
			return nil, fmt.Errorf("cannot understand %q: %w", lines.Text(), err)
		}
		out = append(out, route)
	}
	return out, lines.Err()
}

// parseRoute4 reads a line of /proc/net/route: name, destination, gateway, flags, ..., mask as the eighth; addresses are
// hex in the byte order of the machine (proc(5)); every machine this is built for is little endian.
func parseRoute4(w []string) (Route, error) {
	to, err := hex4(w[1])
	if err != nil {
		return Route{}, err
	}
	mask, err := hex4(w[7])
	if err != nil {
		return Route{}, err
	}
	via, err := hex4(w[2])
	if err != nil {
		return Route{}, err
	}
	ones, _ := net.IPMask(mask.AsSlice()).Size()
	r := Route{To: netip.PrefixFrom(to, ones).String(), Over: w[0]}
	if !via.IsUnspecified() {
		r.Via = via.String()
	}
	return r, nil
}

func hex4(s string) (netip.Addr, error) {
	n, err := strconv.ParseUint(s, 16, 32)
	if err != nil {
		return netip.Addr{}, err
	}
	var b [4]byte
	binary.LittleEndian.PutUint32(b[:], uint32(n))
	return netip.AddrFrom4(b), nil
}

// parseRoute6 reads a line of /proc/net/ipv6_route: destination, prefix length, source, its length, next hop, ..., name.
func parseRoute6(w []string) (Route, error) {
	to, err := hex6(w[0])
	if err != nil {
		return Route{}, err
	}
	bits, err := strconv.ParseUint(w[1], 16, 8)
	if err != nil {
		return Route{}, err
	}
	via, err := hex6(w[4])
	if err != nil {
		return Route{}, err
	}
	r := Route{To: netip.PrefixFrom(to, int(bits)).String(), Over: w[len(w)-1]}
	if !via.IsUnspecified() {
		r.Via = via.String()
	}
	return r, nil
}

func hex6(s string) (netip.Addr, error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != 16 {
		return netip.Addr{}, fmt.Errorf("%q is no IPv6 address", s)
	}
	return netip.AddrFrom16([16]byte(b)), nil
}
