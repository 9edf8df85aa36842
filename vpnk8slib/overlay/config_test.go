package overlay

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const whole = `{"guard": {"device": "eth0", "overlay": "vxlan0", "cluster": ["10.42.0.0/16", "10.43.0.0/16", "fd42::/48"],
	"outside": ["10.44.0.9:6443", "[fd44::9]:17070"], "gateways": ["10.42.0.7", "fd42::7"], "port": 4790, "beats": 4791, "inbound": [8080]},
	"client": {"device": "eth0", "overlay": "vxlan0", "address": "172.16.0.18/20", "gateway": "172.16.0.1", "peer": "10.42.0.7",
	"name": "gluetun-0.gluetun-endpoints.downloads.svc.cluster.local", "vni": 42, "port": 4790, "beats": 4791, "mtu": 1320, "direct": ["10.42.0.0/16", "fd42::/48"]},
	"gateway": {"device": "eth0", "overlay": "vxlan0", "tunnel": "tun0", "address": "172.16.0.1/20", "vni": 42, "port": 4790, "beats": 4791, "mtu": 1320,
	"probes": ["198.51.100.7:443"], "cluster": ["10.42.0.0/16"], "blocks": [{"name": "qbittorrent", "addresses": "172.16.0.16/28"},
	{"name": "sabnzbd", "addresses": "172.16.0.32/28"}], "seen": {"172.16.0.18": "10.42.0.5"}}, "newer": 1}`

// What a charm of another version may have written, or somebody by hand, is told by its field.
func TestParseConfig(t *testing.T) {
	c, err := ParseConfig([]byte(whole))
	require.NoError(t, err)
	again, err := json.Marshal(c)
	require.NoError(t, err)
	same, err := ParseConfig(again)
	require.NoError(t, err)
	assert.Equal(t, c, same)

	tests := []struct{ from, to, err string }{
		{`"device": "eth0"`, `"device": ""`, `guard: device must be the name of an interface, not ""`},
		{`"device": "eth0"`, `"device": "eth0/../x"`, "guard: device must be"},
		{`"overlay": "vxlan0"`, `"overlay": "eth0"`, "guard: overlay must be the name of an interface other than device"},
		{`"overlay": "vxlan0"`, `"overlay": "a-name-that-is-too-long"`, "guard: overlay must be"},
		{`"port": 4790, "beats": 4791, "inbound"`, `"port": 0, "inbound"`, "guard: port must be"},
		{`"port": 4790, "beats": 4791, "inbound"`, `"port": 65536, "inbound"`, "not as this agent reads it"},
		{`"inbound": [8080]`, `"router": "vxlan0"`, "guard: router must be the name of a third interface"},
		{`"address": "172.16.0.18/20"`, `"address": "172.16.0.18"`, "not as this agent reads it"},
		{`"address": "172.16.0.18/20"`, `"address": "172.16.0.18/32"`, "client: address must be an IPv4 address with its network"},
		{`"address": "172.16.0.18/20"`, `"address": "fd00::18/64"`, "client: address must be"},
		{`"gateway": "172.16.0.1", "peer"`, `"gateway": "172.17.0.1", "peer"`, "client: gateway must be another address in 172.16.0.0/20"},
		{`"gateway": "172.16.0.1", "peer"`, `"gateway": "172.16.0.18", "peer"`, "client: gateway must be another address"},
		{`"peer": "10.42.0.7"`, `"peer": "172.16.0.7"`, "client: peer must not be in the overlay itself"},
		{`"peer": "10.42.0.7"`, `"peer": ""`, "client: peer must be the address of the gateway's pod"},
		{`"vni": 42, "port": 4790, "beats": 4791, "mtu": 1320, "direct"`, `"vni": 16777216, "port": 4790, "beats": 4791, "mtu": 1320, "direct"`, "client: vni must be from 1 to 16777215"},
		{`"beats": 4791, "mtu": 1320, "direct"`, `"beats": 4790, "mtu": 1320, "direct"`, "client: beats must be another port"},
		{`"mtu": 1320, "direct"`, `"mtu": 100, "direct"`, "client: mtu must be from 576 to 65535"},
		{`"direct": ["10.42.0.0/16"`, `"direct": ["172.16.0.0/12"`, "client: direct must not hold the overlay's network"},
		{`"direct": ["10.42.0.0/16"`, `"direct": ["10.41.0.0/16"`, "client: direct must hold the network of peer 10.42.0.7"},
		{`"inbound": [8080]`, `"own": "0.0.0.0"`, "guard: own must be an address"},
		{`"direct": ["10.42.0.0/16"`, `"direct": ["0.0.0.0/0"`, "client: direct must hold networks"},
		{`"tunnel": "tun0"`, `"tunnel": "eth0"`, "gateway: tunnel must be the name of a third interface"},
		{`"198.51.100.7:443"`, `"198.51.100.7:0"`, "gateway: probes must hold addresses with a port"},
		{`"probes"`, `"ports_told": "http://10.42.0.9:8000/v1/portforward", "probes"`, "gateway: ports_told must be a URL on the loopback"},
		{`"probes"`, `"ports_told": "https://127.0.0.1:8000/", "probes"`, "gateway: ports_told must be a URL on the loopback"},
		{`"probes"`, `"ports_told": "http://localhost:8000/", "probes"`, "gateway: ports_told must be a URL on the loopback"},
		{`"probes"`, `"ports_told": "http://127.0.0.1/", "probes"`, "gateway: ports_told must be a URL on the loopback"},
		{`"probes"`, `"ports_told": "http://user:secret@127.0.0.1:8000/", "probes"`, "gateway: ports_told must be a URL on the loopback"},
		{`"probes"`, `"ports_told": "http://127.0.0.1:8000/?key=secret", "probes"`, "gateway: ports_told must be a URL on the loopback"},
		{`"probes"`, `"ports_told": "127.0.0.1:8000", "probes"`, "gateway: ports_told must be a URL on the loopback"},
		{`"probes"`, `"ports_told": "http://127.0.0.1:8000/v1/portforward", "ports": "10.2.0.1", "probes"`, "gateway: ports, ports_of_router and ports_told must not be there together"},
		{`"probes"`, `"ports_of_router": true, "ports": "10.2.0.1", "probes"`, "gateway: ports, ports_of_router and ports_told must not be there together"},
		{`"probes"`, `"ports_of_router": true, "ports_told": "http://127.0.0.1:8000/v1/portforward", "probes"`, "gateway: ports, ports_of_router and ports_told must not be there together"},
		{`"cluster": ["10.42.0.0/16"], "blocks"`, `"cluster": ["172.16.0.0/16"], "blocks"`, "gateway: cluster must not hold the overlay's network"},
		{`"name": "sabnzbd"`, `"name": "../sabnzbd"`, "gateway: blocks must have names of small letters"},
		{`"name": "sabnzbd"`, `"name": "qbittorrent"`, "gateway: blocks must not share a name"},
		{`"172.16.0.32/28"`, `"172.16.0.16/29"`, "gateway: blocks must not share a name or an address"},
		{`"172.16.0.32/28"`, `"172.16.0.33/28"`, "gateway: blocks must hold networks"},
		{`"172.16.0.32/28"`, `"172.17.0.32/28"`, "gateway: blocks must hold networks in 172.16.0.0/20"},
		{`"172.16.0.32/28"`, `"172.16.0.0/28"`, "gateway: blocks must not hold the gateway's own address"},
		{`"172.16.0.18": "10.42.0.5"`, `"172.16.9.9": "10.42.0.5"`, "gateway: seen must hold clients' addresses"},
		{`"172.16.0.18": "10.42.0.5"`, `"172.16.0.18": "0.0.0.0"`, "gateway: seen must hold"},
		{`"10.42.0.0/16"`, `"0.0.0.0/0"`, "guard: cluster must hold networks, not 0.0.0.0/0"},
		{`"10.42.0.0/16"`, `"::/0"`, "guard: cluster must hold networks, not ::/0"},
		{`"10.42.0.0/16"`, `"10.42.0.1/16"`, "guard: cluster must hold networks, not 10.42.0.1/16"},
		{`"10.42.0.0/16"`, `"::ffff:10.42.0.0/112"`, "guard: cluster must hold networks"},
		{`"10.42.0.0/16"`, `"10.43.7.0/24"`, "guard: cluster must hold networks that do not overlap, as 10.43.7.0/24 and 10.43.0.0/16 do"},
		{`"10.42.0.0/16"`, `"$(reboot)"`, "not as this agent reads it"},
		{`"10.44.0.9:6443"`, `"10.44.0.9:0"`, "guard: outside must hold addresses with a port"},
		{`"10.44.0.9:6443"`, `"0.0.0.0:53"`, "guard: outside must hold addresses"},
		{`"10.42.0.7"`, `"0.0.0.0"`, "guard: gateways must hold addresses"},
		{`"10.42.0.7"`, `"fe80::1%eth0"`, "guard: gateways must hold addresses"},
		{`"newer": 1}`, `"newer": 1} {}`, "there is more behind its end"},
		{`{"guard"`, `["guard"`, "not as this agent reads it"},
		{whole, "", "not as this agent reads it"},
		{whole, strings.Repeat(" ", configLimit) + "{}", "longer than"},
	}
	for _, test := range tests {
		require.Contains(t, whole, test.from)
		_, err := ParseConfig([]byte(strings.Replace(whole, test.from, test.to, 1)))
		assert.ErrorContains(t, err, test.err, test.to)
	}
}

// Whatever the file holds, what is taken from it can be laid and written again.
func FuzzConfig(f *testing.F) {
	f.Add([]byte(whole))
	f.Add([]byte(`{"guard": {"device": "eth0", "overlay": "vxlan0", "port": 1}}`))
	f.Add([]byte(`{`))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := ParseConfig(text)
		if err != nil {
			return
		}
		again, err := json.Marshal(c)
		require.NoError(t, err)
		same, err := ParseConfig(again)
		require.NoError(t, err)
		written, err := json.Marshal(same)
		require.NoError(t, err)
		assert.Equal(t, string(again), string(written))
		for i, p := range c.Guard.Cluster {
			assert.Positive(t, p.Bits(), "the world is no cluster")
			for _, q := range c.Guard.Cluster[:i] {
				assert.False(t, p.Overlaps(q))
			}
		}
	})
}
