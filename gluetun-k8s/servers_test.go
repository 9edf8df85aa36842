package main

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// serversJSON is a list as gluetun writes it, of a few servers that there are nowhere.
const serversJSON = `{
  "version": 1,
  "ivpn": {"version": 1, "timestamp": 1, "servers": [{"vpn": "wireguard", "country": "Nowhere", "city": "Nothing", "hostname": "no.example"}]},
  "mullvad": {"version": 2, "timestamp": 1, "servers": [
    {"vpn": "wireguard", "country": "Switzerland", "city": "Zurich", "isp": "31173", "owned": true, "hostname": "ch-zrh-wg-001", "wgpubkey": "x", "ips": ["192.0.2.10"]},
    {"vpn": "wireguard", "country": "Sweden", "city": "Malmö", "hostname": "se-mma-wg-001", "ips": ["192.0.2.11"]},
    {"vpn": "wireguard", "country": "Sweden", "city": "Stockholm", "hostname": "se-sto-wg-001", "ips": ["192.0.2.12"]},
    {"vpn": "openvpn", "country": "Norway", "city": "Oslo", "hostname": "no-osl-ovpn-001", "tcp": true, "udp": true, "ips": ["192.0.2.13"]}
  ]},
  "nordvpn": {"version": 5, "timestamp": 1, "servers": [{"vpn": "wireguard", "country": "Sweden", "region": "Europe", "city": "Stockholm", "hostname": "se1.example"}]},
  "surfshark": {"version": 4, "timestamp": 1, "servers": [
    {"vpn": "wireguard", "country": "Sweden", "region": "Europe", "city": "Stockholm", "hostname": "se-sto.example"},
    {"vpn": "wireguard", "country": "Canada", "region": "The Americas", "city": "Toronto", "hostname": "ca-tor.example"}
  ]}
}`

// readServers reads a provider's out of the list of all.
func readServers(text string, of providerName) ([]vpnServer, error) {
	var own struct{ Servers []vpnServer }
	err := readList(strings.NewReader(text), of, &own)
	return own.Servers, err
}

func mullvads(t *testing.T) []vpnServer {
	t.Helper()
	all, err := readServers(serversJSON, "mullvad")
	require.NoError(t, err)
	require.Len(t, all, 4)
	return all
}

func TestReadServers(t *testing.T) {
	assert.Equal(t, vpnServer{VPN: "wireguard", Country: "Switzerland", City: "Zurich", Hostname: "ch-zrh-wg-001", ISP: "31173", Owned: true, Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.10")}}, mullvads(t)[0])
	none, err := readServers(serversJSON, "windscribe")
	require.NoError(t, err)
	assert.Empty(t, none)
	for _, text := range []string{"", "[]", `{"ivpn": {"servers": [`, `{"mullvad": {"servers": [{"vpn": 1}]}}`} {
		_, err := readServers(text, "mullvad")
		assert.Error(t, err, "it is being written, or is none: %q", text)
	}
}

// What the provider has no server for is told with what was meant, in a command that can be copied; what it has is not.
func TestOffered(t *testing.T) {
	for _, c := range []struct {
		summary string
		options []string
		says    string // empty: gluetun may start with it
	}{
		{"nothing chosen", nil, ""},
		{"a country", []string{"countries=Sweden"}, ""},
		{"in whatever letters", []string{"countries=sWEDEN", "cities=malmö"}, ""},
		{"a server", []string{"hostnames=se-sto-wg-001"}, ""},
		{"a city that is misspelt", []string{"cities=Zurick"}, "server-cities has Zurick, and mullvad has no such server over wireguard, but Zurich: juju config gluetun server-cities='Zurich'"},
		{"beside one that is right", []string{"cities=Stockholm,Malmo"}, "server-cities has Malmo, and mullvad has no such server over wireguard, but Malmö: juju config gluetun server-cities='Stockholm,Malmö'"},
		{"half of a server's name", []string{"hostnames=se"}, "server-hostnames has se, and mullvad has no such server over wireguard: juju config gluetun server-hostnames='<such as ch-zrh-wg-001>'; see: juju run gluetun/1 list-servers"},
		{"a server without its number", []string{"hostnames=se-sto-wg"}, "server-hostnames has se-sto-wg, and mullvad has no such server over wireguard, but se-sto-wg-001: juju config gluetun server-hostnames='se-sto-wg-001'"},
		{"a country where there is none", []string{"countries=Atlantis"}, "server-countries has Atlantis, and mullvad has no such server over wireguard: juju config gluetun server-countries='<such as Sweden>'; see: juju run gluetun/1 list-servers"},
		{"a country that it has over the other protocol only", []string{"countries=Norway"}, "server-countries has Norway, and mullvad has no such server over wireguard: juju config gluetun server-countries='<such as Sweden>'; see: juju run gluetun/1 list-servers"},
		{"a server's address", []string{"ip=192.0.2.11"}, ""},
		{"an address that no server of theirs has", []string{"ip=198.51.100.7"}, "vpn-endpoint-ip=198.51.100.7 is none of the servers of mullvad over wireguard: juju config gluetun vpn-endpoint-ip=<one of theirs, such as 192.0.2.10>; see: juju run gluetun/1 list-servers"},
		{"that of a server over the other protocol", []string{"ip=192.0.2.13"}, "vpn-endpoint-ip=192.0.2.13 is none of the servers of mullvad over wireguard: juju config gluetun vpn-endpoint-ip=<one of theirs, such as 192.0.2.10>; see: juju run gluetun/1 list-servers"},
		{"that of one which the overrides leave out", []string{"ip=192.0.2.11", "overrides=OWNED_ONLY=on"}, "vpn-endpoint-ip=192.0.2.11 is none of the servers of mullvad that OWNED_ONLY leave over wireguard: juju config gluetun vpn-endpoint-ip=<one of theirs, such as 192.0.2.10>; see: juju run gluetun/1 list-servers"},
		{"an address over OpenVPN, which needs no more", []string{"type=openvpn", "ip=198.51.100.7"}, ""},
		{"a country's city in another country", []string{"countries=Switzerland", "cities=Malmö"}, "no server of mullvad over wireguard has all of server-countries, server-cities: juju config gluetun server-cities='<such as Zurich>'; see: juju run gluetun/1 list-servers"},
	} {
		t.Run(c.summary, func(t *testing.T) {
			config, errs := options(t, append([]string{"provider=mullvad"}, c.options...)...)
			require.Empty(t, errs)
			err := offered(config, mullvads(t), "gluetun/1")
			if c.says == "" {
				assert.NoError(t, err)
				return
			}
			assert.EqualError(t, err, c.says)
		})
	}
	unknown, _ := options(t, "provider=mullvad", "countries=Atlantis")
	assert.NoError(t, offered(unknown, nil, "gluetun/1"), "where there is no list gluetun judges by itself")
	shark, err := readServers(serversJSON, "surfshark")
	require.NoError(t, err)
	for chosen, says := range map[string]string{
		"regions=Europe":                           "",
		"regions=Sweden":                           "", // gluetun takes names that regions had once
		"regions=Sweden cities=Toronto":            "", // it adds the old one's own city
		"regions=Europe cities=Stokholm":           "server-cities has Stokholm, and surfshark has no such server over wireguard, but Stockholm: juju config gluetun server-cities='Stockholm'",
		"regions=Sweden cities=Stokholm":           "server-cities has Stokholm, and surfshark has no such server over wireguard, but Stockholm: juju config gluetun server-cities='Stockholm'",
		"regions=Sweden hostnames=se-sto":          "server-hostnames has se-sto, and surfshark has no such server over wireguard, but se-sto.example: juju config gluetun server-hostnames='se-sto.example'",
		"regions=Europe,Sweden countries=Atlantis": "server-countries has Atlantis, and surfshark has no such server over wireguard: juju config gluetun server-countries='<such as Canada>'; see: juju run gluetun/1 list-servers",
		"regions=Europe cities=Toronto":            "no server of surfshark over wireguard has all of server-regions, server-cities: juju config gluetun server-cities='<such as Stockholm>'; see: juju run gluetun/1 list-servers",
	} {
		config, errs := options(t, append([]string{"provider=surfshark"}, strings.Fields(chosen)...)...)
		require.Empty(t, errs)
		err := offered(config, shark, "gluetun/1")
		if says == "" {
			assert.NoError(t, err, chosen)
			continue
		}
		assert.EqualError(t, err, says, chosen)
	}
}

// What gluetun would try for ever, because no server passes all of its filters, is told.
func TestFilteredOut(t *testing.T) {
	number := func(n int) vpnServer {
		return vpnServer{VPN: "openvpn", Country: "Sweden", Number: n, Name: "SE#1", Categories: []string{"P2P", "Standard"}, UDP: true}
	}
	swedish := []vpnServer{number(1), number(2), {VPN: "openvpn", Country: "Norway", Number: 3, UDP: true, TCP: true, Owned: true}}
	for _, c := range []struct {
		options, overrides string
		says               string // empty: gluetun may start with it
	}{
		{"", "", ""},
		{"", "SERVER_NUMBER=2,9", ""},
		{"", "SERVER_NUMBER=9", "no server of nordvpn over openvpn has all of SERVER_NUMBER, openvpn-protocol=udp: juju config gluetun custom-overrides=<without them>, or choose another; see: juju run gluetun/1 list-servers"},
		{"countries=Sweden", "SERVER_CATEGORIES=p2p", ""},
		{"countries=Norway", "SERVER_CATEGORIES=p2p", "no server of nordvpn that server-countries leave over openvpn has all of SERVER_CATEGORIES, openvpn-protocol=udp: "},
		{"countries=Sweden", "SERVER_NAMES=se#1", ""},
		{"countries=Sweden", "OWNED_ONLY=on", "has all of OWNED_ONLY, openvpn-protocol=udp"},
		{"countries=Sweden", "OWNED_ONLY=off", ""},
		{"countries=Norway protocol=tcp", "", ""},
		{"countries=Sweden protocol=tcp", "", "no server of nordvpn that server-countries leave over openvpn has all of openvpn-protocol=tcp: juju config gluetun openvpn-protocol=udp, or choose another"},
	} {
		config, errs := options(t, append([]string{"provider=nordvpn", "type=openvpn"}, strings.Fields(c.options)...)...)
		require.Empty(t, errs)
		config.Overrides = overrides{}
		if name, value, set := strings.Cut(c.overrides, "="); set {
			config.Overrides[name] = value
		}
		err := offered(config, swedish, "gluetun/1")
		if c.says == "" {
			assert.NoError(t, err, "%+v", c)
			continue
		}
		assert.ErrorContains(t, err, c.says, "%+v", c)
	}
}

func TestAlike(t *testing.T) {
	names := map[string]bool{"Zurich": true, "Munich": true, "Oslo": true, "New York NY": true, "LA": true}
	assert.Equal(t, []string{"Zurich"}, alike("zürich", names))
	assert.Equal(t, []string{"New York NY"}, alike("New York", names))
	assert.Empty(t, alike("xx", names), "two letters are like any other two")
	assert.Empty(t, alike("Berlin", names))
	assert.Equal(t, 3, distance("kitten", "sitting"))
	assert.Equal(t, 4, distance("", "Oslo"))
}
