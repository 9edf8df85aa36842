package main

import "net/netip"

// provider is what gluetun v3.40 and v3.41 want to know of one before they start WireGuard (settings/provider.go,
// wireguard.go and wireguardselection.go there).
type provider struct {
	addresses bool     // has no default for this end's addresses
	preshared bool     // refuses to start without a preshared key
	server    bool     // knows no servers: endpoint and public key are the user's
	port      uint16   // of its servers
	ports     []uint16 // others that its servers listen on; nil: any, empty: none
	places    bool     // its servers can be chosen by country
	cities    bool     // and by city
	// The network behind the tunnel in which its gateway and resolver have the first addresses, where it is the same for all.
	inside netip.Prefix
	grants netip.Addr // who grants ports, by NAT-PMP through the tunnel
}

var providers = map[string]provider{
	"airvpn":     {addresses: true, preshared: true, port: 1637, ports: []uint16{1637, 47107}, places: true, cities: true},
	"custom":     {addresses: true, server: true},
	"ivpn":       {addresses: true, port: 58237, ports: []uint16{53, 2049, 2050, 30587, 41893, 48574, 58237}, places: true, cities: true},
	"mullvad":    {addresses: true, port: 51820, places: true, cities: true, inside: netip.MustParsePrefix("10.64.0.0/10")},
	"nordvpn":    {port: 51820, ports: []uint16{}, places: true, cities: true, inside: netip.MustParsePrefix("10.5.0.0/16")},
	"protonvpn":  {port: 51820, ports: []uint16{}, places: true, cities: true, inside: netip.MustParsePrefix("10.2.0.0/16"), grants: netip.MustParseAddr("10.2.0.1")},
	"surfshark":  {addresses: true, port: 51820, ports: []uint16{}, places: true, cities: true},
	"windscribe": {addresses: true, port: 1194, ports: []uint16{53, 80, 123, 443, 1194, 65142}, cities: true},
}
