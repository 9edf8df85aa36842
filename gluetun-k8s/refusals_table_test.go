package main

import "strings"

const digest = "3ec5e8a2a3c6c53e8a4d6a7c0b3ee0e1b8f5fca4c1dd0c3a3a3c2c0b8f5fca4c"

// wg0 is a WireGuard file as providers give it.
const wg0 = `# of the provider
[Interface]
PrivateKey = ` + privateKey + `
Address = 10.64.0.2/32, fc00:bbbb::2/128
DNS = 10.64.0.1

[Peer]
PublicKey = ` + publicKey + `
PresharedKey=` + presharedKey + `
AllowedIPs = 0.0.0.0/0, ::/0
Endpoint = 198.51.100.7:51820
`

const wrongKey = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBm="

var refusals = []family{
	{good: []string{"vpn-provider=mullvad", "vpn-type=wireguard", "wireguard-private-key-secret=secret:1", "wireguard-addresses=10.64.0.2/32", "secret:private-key=" + privateKey}, bad: []refusal{
		{"no provider", []string{"vpn-provider="}, `choose a provider: juju config gluetun vpn-provider=<airvpn|custom|cyberghost|expressvpn|fastestvpn|giganews|hidemyass|ipvanish|ivpn|mullvad|nordvpn|perfect privacy|privado|private internet access|privatevpn|protonvpn|purevpn|slickvpn|surfshark|torguard|vpn unlimited|vpnsecure|vyprvpn|windscribe>`},
		{"a provider that is none", []string{"vpn-provider=nrodvpn"}, `cannot use option vpn-provider="nrodvpn": set one of airvpn, custom, cyberghost, expressvpn, fastestvpn, giganews, hidemyass, ipvanish, ivpn, mullvad, nordvpn, perfect privacy, privado, private internet access, privatevpn, protonvpn, purevpn, slickvpn, surfshark, torguard, vpn unlimited, vpnsecure, vyprvpn, windscribe: juju config gluetun vpn-provider=...`},
		{"a provider that gluetun has given up", []string{"vpn-provider=wevpn"}, `cannot use option vpn-provider="wevpn": set one of airvpn, custom, cyberghost, expressvpn, fastestvpn, giganews, hidemyass, ipvanish, ivpn, mullvad, nordvpn, perfect privacy, privado, private internet access, privatevpn, protonvpn, purevpn, slickvpn, surfshark, torguard, vpn unlimited, vpnsecure, vyprvpn, windscribe: juju config gluetun vpn-provider=...`},
		{"a type that is none", []string{"vpn-type=amneziawg"}, `cannot use option vpn-type="amneziawg": set one of wireguard, openvpn: juju config gluetun vpn-type=<wireguard|openvpn>`},
		{"a provider without WireGuard", []string{"vpn-provider=torguard"}, `vpn-type=wireguard cannot be used with vpn-provider=torguard: juju config gluetun vpn-type=openvpn`},
		{"a provider without WireGuard, by its short name", []string{"vpn-provider=PIA"}, `vpn-type=wireguard cannot be used with vpn-provider=private internet access: juju config gluetun vpn-type=openvpn`},
		{"no secret", []string{"wireguard-private-key-secret="}, `give wireguard-private-key-secret for vpn-provider=mullvad: juju add-secret vpn-key private-key=<key> [preshared-key=<key>]; juju grant-secret vpn-key gluetun; juju config gluetun wireguard-private-key-secret=secret:<id>`},
		{"a secret that is not granted", []string{"secret:private-key="}, `cannot read wireguard-private-key-secret for vpn-provider=mullvad: juju grant-secret secret:1 gluetun`},
		{"a secret without the key", []string{"secret:private-key=", "secret:preshared-key=" + presharedKey}, `the secret has no private-key, for vpn-provider=mullvad: juju update-secret secret:1 private-key=<key> [preshared-key=<key>]`},
		{"a key without its last letters", []string{"secret:private-key=" + wrongKey}, `the secret's private-key is no WireGuard key (44 characters that end with =), for vpn-provider=mullvad: juju update-secret secret:1 private-key=<key> [preshared-key=<key>]`},
		{"a preshared key that is none", []string{"secret:preshared-key=hunter2hunter2"}, `the secret's preshared-key is no WireGuard key (44 characters that end with =), for vpn-provider=mullvad: juju update-secret secret:1 private-key=<key> [preshared-key=<key>]`},
		{"a key under a name that is mistyped", []string{"secret:pre-shared-key=" + presharedKey}, `the secret has words that nobody reads, for vpn-provider=mullvad: juju update-secret secret:1 private-key=<key> [preshared-key=<key>]`},
		{"a user, which is OpenVPN's", []string{"secret:user=p1234567"}, `the secret's user cannot be used with vpn-type=wireguard, for vpn-provider=mullvad: juju update-secret secret:1 private-key=<key> [preshared-key=<key>]`},
		{"addresses that are none", []string{"wireguard-addresses=", "secret:addresses=my house"}, `the secret's addresses is no line Address of a WireGuard file, such as 10.64.0.2/32, for vpn-provider=mullvad: juju update-secret secret:1 private-key=<key> [preshared-key=<key>]`},
		{"no addresses", []string{"wireguard-addresses="}, `set wireguard-addresses for vpn-provider=mullvad, such as 10.64.0.2/32: juju config gluetun wireguard-addresses=<Address of your provider's file>`},
		{"a word for an address", []string{"wireguard-addresses=mullvad"}, `cannot use option wireguard-addresses="(not shown)": copy the line Address of your provider's WireGuard file, such as 10.64.0.2/32: juju config gluetun wireguard-addresses=...`},
		{"a key for an address", []string{"wireguard-addresses=" + privateKey}, `cannot use option wireguard-addresses="(not shown)": copy the line Address of your provider's WireGuard file, such as 10.64.0.2/32: juju config gluetun wireguard-addresses=...`},
		{"an address with a zone", []string{"wireguard-addresses=fe80::1%eth0"}, `cannot use option wireguard-addresses="(not shown)": copy the line Address of your provider's WireGuard file, such as 10.64.0.2/32: juju config gluetun wireguard-addresses=...`},
		{"the secret of OpenVPN as well", []string{"openvpn-secret=secret:2"}, `openvpn-secret cannot be used with vpn-provider=mullvad vpn-type=wireguard: juju config gluetun --reset openvpn-secret`},
		{"TCP", []string{"openvpn-protocol=tcp"}, `openvpn-protocol cannot be used with vpn-provider=mullvad vpn-type=wireguard: juju config gluetun --reset openvpn-protocol`},
		{"a protocol that is none", []string{"openvpn-protocol=sctp"}, `cannot use option openvpn-protocol="sctp": set one of udp, tcp: juju config gluetun openvpn-protocol=<udp|tcp>`},
		{"a server by name", []string{"vpn-endpoint-ip=se1.example.org"}, `cannot use option vpn-endpoint-ip="se1.example.org": set the server's address, such as 198.51.100.7, not its name: juju config gluetun vpn-endpoint-ip=...`},
		{"a port that is none", []string{"vpn-endpoint-port=70000"}, `cannot use option vpn-endpoint-port="70000": the largest allowed is 65535: juju config gluetun vpn-endpoint-port=65535`},
		{"a port below none", []string{"vpn-endpoint-port=-1"}, `cannot use option vpn-endpoint-port="-1": the smallest allowed is 0: juju config gluetun vpn-endpoint-port=0`},
		{"a word for a port", []string{"vpn-endpoint-port=https"}, `cannot use option vpn-endpoint-port="https": set a int, not a string: juju config gluetun vpn-endpoint-port=...`},
		{"regions, of which it has none", []string{"server-regions=Europe"}, `server-regions cannot be used with vpn-provider=mullvad, whose servers are chosen by server-countries, server-cities, server-hostnames, custom-overrides with ISP, OWNED_ONLY: juju config gluetun --reset server-regions`},
		{"a country with a command in it", []string{"server-countries=$(reboot)"}, `cannot use option server-countries="$(reboot)": set names separated by commas, such as Switzerland,Sweden: juju config gluetun server-countries=...`},
		{"a city with a line's end", []string{"server-cities=Malmö\nOslo"}, `cannot use option server-cities="Malmö\nOslo": set names separated by commas, such as Switzerland,Sweden: juju config gluetun server-cities=...`},
		{"names over TLS", []string{"dns-over-tls=true"}, `dns-over-tls=true cannot be used with the routing method pod-gateway: some of its clients ask the cluster's resolver; juju config gluetun dns-over-tls=false`},
		{"names over TLS by the overlay", []string{"dns-over-tls=true", "routing-method=overlay"}, `dns-over-tls=true is not supported yet: juju config gluetun dns-over-tls=false`},
		{"a routing method that is none", []string{"routing-method=bgp"}, `cannot use option routing-method="bgp": set one of pod-gateway, overlay: juju config gluetun routing-method=<pod-gateway|overlay>`},
		{"no target", []string{"probe-targets="}, `cannot use option probe-targets="": set at least 1: juju config gluetun probe-targets=...`},
		{"a target without a port", []string{"probe-targets=1.1.1.1"}, `cannot use option probe-targets="1.1.1.1": set addresses with their ports outside the cluster, such as 1.1.1.1:443,9.9.9.9:443: juju config gluetun probe-targets=...`},
		{"a target by name", []string{"probe-targets=example.org:443"}, `cannot use option probe-targets="example.org:443": set addresses with their ports outside the cluster, such as 1.1.1.1:443,9.9.9.9:443: juju config gluetun probe-targets=...`},
		{"a target of the cluster's", []string{"probe-targets=10.43.0.1:443"}, `probe-targets has 10.43.0.1:443, which is reached beside the tunnel: juju config gluetun probe-targets=1.1.1.1:443,9.9.9.9:443`},
		{"a first target over IPv6", []string{"probe-targets=[2620:fe::fe]:443"}, `probe-targets begins with [2620:fe::fe]:443, and gluetun tries its first target over IPv4 only: juju config gluetun probe-targets=1.1.1.1:443,[2620:fe::fe]:443`},
		{"no resolver", []string{"dns-resolvers="}, `cannot use option dns-resolvers="": set at least 1: juju config gluetun dns-resolvers=...`},
		{"a resolver by name", []string{"dns-resolvers=dns.example.org"}, `cannot use option dns-resolvers="dns.example.org": set addresses of resolvers outside the cluster, such as 1.1.1.1,9.9.9.9: juju config gluetun dns-resolvers=...`},
		{"a resolver of the cluster's", []string{"dns-resolvers=10.43.0.10"}, `dns-resolvers has 10.43.0.10, which is reached beside the tunnel: juju config gluetun dns-resolvers=1.1.1.1,9.9.9.9`},
		{"who grants ports, by name", []string{"nat-pmp-server=gateway"}, `cannot use option nat-pmp-server="gateway": set the server's address, such as 198.51.100.7, not its name: juju config gluetun nat-pmp-server=...`},
		{"who grants ports, in the cluster", []string{"nat-pmp-server=10.43.0.1"}, `nat-pmp-server is 10.43.0.1, and must be an IPv4 address that is reached through the tunnel: juju config gluetun nat-pmp-server=10.2.0.1`},
		{"half of the world for the cluster", []string{"cluster-cidrs=10.0.0.0/8"}, `cluster-cidrs has 10.0.0.0/8, in which the tunnel's 10.64.0.0/10 would be lost: juju config gluetun cluster-cidrs=<the cluster's pod and service networks only>`},
		{"a cluster that is none", []string{"cluster-cidrs=10.0.0.1"}, `cannot use option cluster-cidrs="10.0.0.1": cannot read network "10.0.0.1": write it as 10.1.0.0/16: juju config gluetun cluster-cidrs=...`},
		{"an overlay in the cluster", []string{"vxlan-ip-network=10.43.0"}, `vxlan-ip-network 10.43.0 overlaps 10.43.0.0/16, which the cluster or the tunnel has: juju config gluetun vxlan-ip-network=172.16.0`},
		{"an overlay of somebody else's", []string{"vxlan-ip-network=8.8.8"}, `cannot use option vxlan-ip-network="8.8.8": cannot use overlay network "8.8.8": write the first three octets of a private network, such as 172.16.0: juju config gluetun vxlan-ip-network=...`},
		{"an overlay's number that is none", []string{"vxlan-id=16777216"}, `cannot use option vxlan-id="16777216": the largest allowed is 16777215: juju config gluetun vxlan-id=16777215`},
		{"an overlay's port that is none", []string{"vxlan-port=0"}, `cannot use option vxlan-port="0": the smallest allowed is 1: juju config gluetun vxlan-port=1`},
		{"an image that is none", []string{"vpn-agent-image=agent:v1:v2"}, `cannot use option vpn-agent-image="agent:v1:v2": set an image reference such as ghcr.io/owner/name:tag: juju config gluetun vpn-agent-image=...`},
		{"IPv6 only, in a cluster without", []string{"wireguard-addresses=fc00:bbbb::2/128"}, `wireguard-addresses has IPv6 addresses only, and this cluster has no IPv6: juju config gluetun wireguard-addresses=<with the IPv4 address of your provider's file>`},
	}},
	{good: []string{"vpn-provider=mullvad", "custom-overrides=OWNED_ONLY=on\nWIREGUARD_MTU=1400", "wireguard-private-key-secret=secret:1", "wireguard-addresses=10.64.0.2/32", "secret:private-key=" + privateKey}, bad: []refusal{
		{"no name", []string{"custom-overrides=on"}, `cannot use option custom-overrides="(not shown)": each line is NAME=VALUE, with a NAME among FREE_ONLY, ISP, LOG_LEVEL, MULTIHOP_ONLY, OPENVPN_AUTH, OPENVPN_CIPHERS, OPENVPN_MSSFIX, OPENVPN_VERBOSITY, OPENVPN_VERSION, OWNED_ONLY, PORT_FORWARD_ONLY, PREMIUM_ONLY, PUBLICIP_API, PUBLICIP_ENABLED, SECURE_CORE_ONLY, SERVER_CATEGORIES, SERVER_NAMES, SERVER_NUMBER, STREAM_ONLY, TOR_ONLY, TZ, UPDATER_PERIOD, WIREGUARD_IMPLEMENTATION, WIREGUARD_MTU, WIREGUARD_PERSISTENT_KEEPALIVE_INTERVAL: juju config gluetun custom-overrides=...`},
		{"a name that is none", []string{"custom-overrides=OWNED=on"}, `cannot use option custom-overrides="(not shown)": each line is NAME=VALUE, with a NAME among FREE_ONLY, ISP, LOG_LEVEL, MULTIHOP_ONLY, OPENVPN_AUTH, OPENVPN_CIPHERS, OPENVPN_MSSFIX, OPENVPN_VERBOSITY, OPENVPN_VERSION, OWNED_ONLY, PORT_FORWARD_ONLY, PREMIUM_ONLY, PUBLICIP_API, PUBLICIP_ENABLED, SECURE_CORE_ONLY, SERVER_CATEGORIES, SERVER_NAMES, SERVER_NUMBER, STREAM_ONLY, TOR_ONLY, TZ, UPDATER_PERIOD, WIREGUARD_IMPLEMENTATION, WIREGUARD_MTU, WIREGUARD_PERSISTENT_KEEPALIVE_INTERVAL: juju config gluetun custom-overrides=...`},
		{"the firewall", []string{"custom-overrides=FIREWALL_ENABLED_DISABLING_IT_SHOOTS_YOU_IN_YOUR_FOOT=off"}, `cannot use option custom-overrides="(not shown)": each line is NAME=VALUE, with a NAME among FREE_ONLY, ISP, LOG_LEVEL, MULTIHOP_ONLY, OPENVPN_AUTH, OPENVPN_CIPHERS, OPENVPN_MSSFIX, OPENVPN_VERBOSITY, OPENVPN_VERSION, OWNED_ONLY, PORT_FORWARD_ONLY, PREMIUM_ONLY, PUBLICIP_API, PUBLICIP_ENABLED, SECURE_CORE_ONLY, SERVER_CATEGORIES, SERVER_NAMES, SERVER_NUMBER, STREAM_ONLY, TOR_ONLY, TZ, UPDATER_PERIOD, WIREGUARD_IMPLEMENTATION, WIREGUARD_MTU, WIREGUARD_PERSISTENT_KEEPALIVE_INTERVAL: juju config gluetun custom-overrides=...`},
		{"OpenVPN's mark", []string{"custom-overrides=OPENVPN_FLAGS=--mark 1"}, `cannot use option custom-overrides="(not shown)": each line is NAME=VALUE, with a NAME among FREE_ONLY, ISP, LOG_LEVEL, MULTIHOP_ONLY, OPENVPN_AUTH, OPENVPN_CIPHERS, OPENVPN_MSSFIX, OPENVPN_VERBOSITY, OPENVPN_VERSION, OWNED_ONLY, PORT_FORWARD_ONLY, PREMIUM_ONLY, PUBLICIP_API, PUBLICIP_ENABLED, SECURE_CORE_ONLY, SERVER_CATEGORIES, SERVER_NAMES, SERVER_NUMBER, STREAM_ONLY, TOR_ONLY, TZ, UPDATER_PERIOD, WIREGUARD_IMPLEMENTATION, WIREGUARD_MTU, WIREGUARD_PERSISTENT_KEEPALIVE_INTERVAL: juju config gluetun custom-overrides=...`},
		{"the key", []string{"custom-overrides=WIREGUARD_PRIVATE_KEY=" + privateKey}, `cannot use option custom-overrides="(not shown)": for WIREGUARD_PRIVATE_KEY, put it into the secret of wireguard-private-key-secret (juju add-secret vpn-key private-key=<key>): juju config gluetun custom-overrides=...`},
		{"the password", []string{"custom-overrides=OPENVPN_PASSWORD=hunter2hunter2"}, `cannot use option custom-overrides="(not shown)": for OPENVPN_PASSWORD, put it into the secret of openvpn-secret (juju add-secret vpn-key password=<password>): juju config gluetun custom-overrides=...`},
		{"the key by itself", []string{"custom-overrides=" + privateKey}, `cannot use option custom-overrides="(not shown)": each line is NAME=VALUE, with a NAME among FREE_ONLY, ISP, LOG_LEVEL, MULTIHOP_ONLY, OPENVPN_AUTH, OPENVPN_CIPHERS, OPENVPN_MSSFIX, OPENVPN_VERBOSITY, OPENVPN_VERSION, OWNED_ONLY, PORT_FORWARD_ONLY, PREMIUM_ONLY, PUBLICIP_API, PUBLICIP_ENABLED, SECURE_CORE_ONLY, SERVER_CATEGORIES, SERVER_NAMES, SERVER_NUMBER, STREAM_ONLY, TOR_ONLY, TZ, UPDATER_PERIOD, WIREGUARD_IMPLEMENTATION, WIREGUARD_MTU, WIREGUARD_PERSISTENT_KEEPALIVE_INTERVAL: juju config gluetun custom-overrides=...`},
		{"the key as another's value", []string{"custom-overrides=SERVER_NAMES=se1," + privateKey}, `cannot use option custom-overrides="(not shown)": the value of SERVER_NAMES looks like a key: put it into the secret of wireguard-private-key-secret (juju add-secret vpn-key private-key=<key>): juju config gluetun custom-overrides=...`},
		{"a certificate as another's value", []string{"custom-overrides=SERVER_NAMES=-----BEGIN CERTIFICATE-----"}, `cannot use option custom-overrides="(not shown)": the value of SERVER_NAMES looks like a key: put it into the secret of wireguard-private-key-secret (juju add-secret vpn-key private-key=<key>): juju config gluetun custom-overrides=...`},
		{"what is an option", []string{"custom-overrides=SERVER_REGIONS=Europe"}, `cannot use option custom-overrides="(not shown)": for SERVER_REGIONS, set the option server-regions: juju config gluetun custom-overrides=...`},
		{"what has become an option", []string{"custom-overrides=SERVER_HOSTNAMES=se1"}, `cannot use option custom-overrides="(not shown)": for SERVER_HOSTNAMES, set the option server-hostnames: juju config gluetun custom-overrides=...`},
		{"neither on nor off", []string{"custom-overrides=OWNED_ONLY=maybe"}, `cannot use option custom-overrides="(not shown)": the value of OWNED_ONLY must be on or off: juju config gluetun custom-overrides=...`},
		{"a number in words", []string{"custom-overrides=WIREGUARD_MTU=big"}, `cannot use option custom-overrides="(not shown)": the value of WIREGUARD_MTU must be a number such as 1400: juju config gluetun custom-overrides=...`},
		{"what OpenVPN reads", []string{"custom-overrides=OPENVPN_VERSION=2.6"}, `custom-overrides has OPENVPN_VERSION, which cannot be used with vpn-type=wireguard: juju config gluetun custom-overrides=<without OPENVPN_VERSION>`},
		{"what another provider has", []string{"custom-overrides=SECURE_CORE_ONLY=on"}, `custom-overrides has SECURE_CORE_ONLY, which cannot be used with vpn-provider=mullvad, whose servers are chosen by server-countries, server-cities, server-hostnames, custom-overrides with ISP, OWNED_ONLY: juju config gluetun custom-overrides=<without SECURE_CORE_ONLY>`},
	}},
	{good: []string{"vpn-provider=protonvpn", "custom-overrides=FREE_ONLY=on", "wireguard-private-key-secret=secret:1", "secret:private-key=" + privateKey}, bad: []refusal{
		{"free servers that lead ports", []string{"custom-overrides=FREE_ONLY=on\nPORT_FORWARD_ONLY=on"}, `custom-overrides has FREE_ONLY, which cannot be used with vpn-provider=protonvpn and PORT_FORWARD_ONLY: juju config gluetun custom-overrides=<without FREE_ONLY>`},
		{"a port", []string{"vpn-endpoint-port=51820"}, `vpn-endpoint-port cannot be used with vpn-provider=protonvpn: juju config gluetun --reset vpn-endpoint-port`},
		{"addresses in the cluster", []string{"wireguard-addresses=10.2.0.2/32", "cluster-cidrs=10.2.0.0/15,10.43.0.0/16"}, `cluster-cidrs has 10.2.0.0/15, in which the tunnel's 10.2.0.0/16 would be lost: juju config gluetun cluster-cidrs=<the cluster's pod and service networks only>`},
	}},
	{good: []string{"vpn-provider=airvpn", "vpn-type=wireguard", "wireguard-private-key-secret=secret:1", "secret:private-key=" + privateKey, "secret:preshared-key=" + presharedKey, "secret:addresses=10.128.0.2/32"}, bad: []refusal{
		{"no preshared key", []string{"secret:preshared-key="}, `the secret has no preshared-key, for vpn-provider=airvpn: juju update-secret secret:1 private-key=<key> preshared-key=<key>`},
		{"addresses in both places", []string{"wireguard-addresses=10.128.0.3/32"}, `the secret has addresses, and wireguard-addresses others, for vpn-provider=airvpn: juju update-secret secret:1 private-key=<key> preshared-key=<key>`},
		{"addresses in the cluster", []string{"cluster-cidrs=10.128.0.0/16,10.43.0.0/16"}, `cluster-cidrs has 10.128.0.0/16, in which the tunnel's address in the secret would be lost: juju config gluetun cluster-cidrs=<the cluster's pod and service networks only>`},
		{"an overlay with this end in it", []string{"vxlan-ip-network=10.128.0"}, `vxlan-ip-network 10.128.0 overlaps address in the secret, which the cluster or the tunnel has: juju config gluetun vxlan-ip-network=172.16.0`},
		{"a port of another's", []string{"vpn-endpoint-port=51820"}, `vpn-endpoint-port 51820 is none of airvpn's: juju config gluetun vpn-endpoint-port=<1637|47107>`},
	}},
	{good: []string{"vpn-provider=custom", "vpn-type=wireguard", "wireguard-private-key-secret=secret:1", "secret:private-key=" + privateKey, "wireguard-addresses=10.8.0.2/32",
		"vpn-endpoint-ip=198.51.100.7", "vpn-endpoint-port=51820", "wireguard-public-key=" + publicKey}, bad: []refusal{
		{"no server", []string{"vpn-endpoint-ip="}, `set vpn-endpoint-ip for vpn-provider=custom, such as 198.51.100.7: juju config gluetun vpn-endpoint-ip=<address of the server>`},
		{"no port", []string{"vpn-endpoint-port="}, `set vpn-endpoint-port for vpn-provider=custom, such as 51820: juju config gluetun vpn-endpoint-port=<port of the server>`},
		{"no public key", []string{"wireguard-public-key="}, `set wireguard-public-key for vpn-provider=custom, such as xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=: juju config gluetun wireguard-public-key=<PublicKey of the server>`},
		{"half a public key", []string{"wireguard-public-key=" + publicKey[:20]}, `cannot use option wireguard-public-key="(not shown)": set the server's public key: 44 characters that end with =: juju config gluetun wireguard-public-key=...`},
		{"a country", []string{"server-countries=Norway"}, `server-countries cannot be used with vpn-provider=custom, whose servers are chosen by vpn-endpoint-ip, or the secret's config: juju config gluetun --reset server-countries`},
	}},
	{good: []string{"vpn-provider=custom", "wireguard-private-key-secret=secret:1", "secret:config=" + wg0}, bad: []refusal{
		{"a word beside the file", []string{"secret:preshared-key=" + presharedKey}, `the secret has config, which is all of it, and more, for vpn-provider=custom: juju update-secret secret:1 config#file=wg0.conf`},
		{"the file's name", []string{"secret:config=my.conf"}, `the secret's config cannot be used: it has no PrivateKey after a line [Interface], for vpn-provider=custom: juju update-secret secret:1 config#file=wg0.conf`},
		{"a file without a key", []string{"secret:config=" + strings.ReplaceAll(wg0, "PrivateKey", "Key")}, `the secret's config cannot be used: it has no PrivateKey after a line [Interface], for vpn-provider=custom: juju update-secret secret:1 config#file=wg0.conf`},
		{"a file with half a key", []string{"secret:config=" + strings.ReplaceAll(wg0, privateKey, wrongKey)}, `the secret's private-key is no WireGuard key (44 characters that end with =), for vpn-provider=custom: juju update-secret secret:1 config#file=wg0.conf`},
		{"a file without a server", []string{"secret:config=" + strings.ReplaceAll(wg0, "[Peer]", "[Pear]")}, `the secret's config cannot be used: it needs one [Peer], for vpn-provider=custom: juju update-secret secret:1 config#file=wg0.conf`},
		{"a file with a server by name", []string{"secret:config=" + strings.ReplaceAll(wg0, "198.51.100.7", "vpn.example.org")}, `the secret's config cannot be used: its Endpoint must be an address with a port, such as 198.51.100.7:51820; a name could be looked up only beside the tunnel, for vpn-provider=custom: juju update-secret secret:1 config#file=wg0.conf`},
		{"a file without an address", []string{"secret:config=" + strings.ReplaceAll(wg0, "Address", "Adress")}, `set wireguard-addresses for vpn-provider=custom, such as 10.64.0.2/32: juju config gluetun wireguard-addresses=<Address of your provider's file>`},
		{"a file without a public key", []string{"secret:config=" + strings.ReplaceAll(wg0, "PublicKey", "Key")}, `set wireguard-public-key for vpn-provider=custom, such as xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=: juju config gluetun wireguard-public-key=<PublicKey of the server>`},
		{"a file of OpenVPN's", []string{"secret:config=client\nremote 198.51.100.9 1194\n"}, `the secret's config cannot be used: it has no PrivateKey after a line [Interface], for vpn-provider=custom: juju update-secret secret:1 config#file=wg0.conf`},
		{"a server beside the file's", []string{"vpn-endpoint-ip=198.51.100.8"}, `the secret's config names the server, and so does vpn-endpoint-ip, for vpn-provider=custom: juju update-secret secret:1 config#file=wg0.conf`},
		{"addresses beside the file's", []string{"wireguard-addresses=10.64.0.3/32"}, `the secret has addresses, and wireguard-addresses others, for vpn-provider=custom: juju update-secret secret:1 config#file=wg0.conf`},
	}},
	{good: []string{"vpn-provider=private-internet-access", "vpn-type=openvpn", "openvpn-secret=secret:2", "secret:user=p1234567", "secret:password=hunter2hunter2", "server-regions=Switzerland"}, bad: []refusal{
		{"no secret", []string{"openvpn-secret="}, `give openvpn-secret for vpn-provider=private internet access: juju add-secret vpn-key user=<user> password=<password>; juju grant-secret vpn-key gluetun; juju config gluetun openvpn-secret=secret:<id>`},
		{"a secret that is not granted", []string{"secret:user=", "secret:password="}, `cannot read openvpn-secret for vpn-provider=private internet access: juju grant-secret secret:2 gluetun`},
		{"no user", []string{"secret:user="}, `the secret has no user, for vpn-provider=private internet access: juju update-secret secret:2 user=<user> password=<password>`},
		{"no password", []string{"secret:password="}, `the secret has no password, for vpn-provider=private internet access: juju update-secret secret:2 user=<user> password=<password>`},
		{"a password of two lines", []string{"secret:password=hunter2hunter2\nhunter3hunter3"}, `the secret's password is more than one line, for vpn-provider=private internet access: juju update-secret secret:2 user=<user> password=<password>`},
		{"a key, which is WireGuard's", []string{"secret:private-key=" + privateKey}, `the secret's private-key cannot be used with vpn-type=openvpn, for vpn-provider=private internet access: juju update-secret secret:2 user=<user> password=<password>`},
		{"a certificate, of which it knows nothing", []string{"secret:certificate=" + given["certificate"]}, `the secret's certificate cannot be used with vpn-type=openvpn, for vpn-provider=private internet access: juju update-secret secret:2 user=<user> password=<password>`},
		{"the secret of WireGuard as well", []string{"wireguard-private-key-secret=secret:1"}, `wireguard-private-key-secret cannot be used with vpn-provider=private internet access vpn-type=openvpn: juju config gluetun --reset wireguard-private-key-secret`},
		{"WireGuard's addresses", []string{"wireguard-addresses=10.64.0.2/32"}, `wireguard-addresses cannot be used with vpn-provider=private internet access vpn-type=openvpn: juju config gluetun --reset wireguard-addresses`},
		{"WireGuard's public key", []string{"wireguard-public-key=" + publicKey}, `wireguard-public-key cannot be used with vpn-provider=private internet access vpn-type=openvpn: juju config gluetun --reset wireguard-public-key`},
		{"WireGuard's MTU", []string{"custom-overrides=WIREGUARD_MTU=1400"}, `custom-overrides has WIREGUARD_MTU, which cannot be used with vpn-type=openvpn: juju config gluetun custom-overrides=<without WIREGUARD_MTU>`},
		{"a country, of which it has none", []string{"server-countries=Switzerland"}, `server-countries cannot be used with vpn-provider=private internet access, whose servers are chosen by server-regions, server-hostnames, custom-overrides with SERVER_NAMES, PORT_FORWARD_ONLY: juju config gluetun --reset server-countries`},
		{"a port of another's", []string{"vpn-endpoint-port=1195"}, `vpn-endpoint-port 1195 is none of private internet access's: juju config gluetun vpn-endpoint-port=<53|1194|1197|1198|8080|9201>`},
		{"a port of the other protocol", []string{"vpn-endpoint-port=1197", "openvpn-protocol=tcp"}, `vpn-endpoint-port 1197 is none of private internet access's: juju config gluetun vpn-endpoint-port=<80|110|443>`},
		{"ports of its own, without saying so", []string{"custom-overrides=PRIVATE_INTERNET_ACCESS_OPENVPN_ENCRYPTION_PRESET=normal"}, `cannot use option custom-overrides="(not shown)": each line is NAME=VALUE, with a NAME among FREE_ONLY, ISP, LOG_LEVEL, MULTIHOP_ONLY, OPENVPN_AUTH, OPENVPN_CIPHERS, OPENVPN_MSSFIX, OPENVPN_VERBOSITY, OPENVPN_VERSION, OWNED_ONLY, PORT_FORWARD_ONLY, PREMIUM_ONLY, PUBLICIP_API, PUBLICIP_ENABLED, SECURE_CORE_ONLY, SERVER_CATEGORIES, SERVER_NAMES, SERVER_NUMBER, STREAM_ONLY, TOR_ONLY, TZ, UPDATER_PERIOD, WIREGUARD_IMPLEMENTATION, WIREGUARD_MTU, WIREGUARD_PERSISTENT_KEEPALIVE_INTERVAL: juju config gluetun custom-overrides=...`},
	}},
	{good: []string{"vpn-provider=vyprvpn", "vpn-type=openvpn", "openvpn-secret=secret:2", "secret:user=p1234567", "secret:password=hunter2hunter2"}, bad: []refusal{
		{"TCP", []string{"openvpn-protocol=tcp"}, `openvpn-protocol=tcp cannot be used with vpn-provider=vyprvpn: juju config gluetun openvpn-protocol=udp`},
		{"a port", []string{"vpn-endpoint-port=443"}, `vpn-endpoint-port cannot be used with vpn-provider=vyprvpn: juju config gluetun --reset vpn-endpoint-port`},
	}},
	{good: []string{"vpn-provider=mullvad", "vpn-type=openvpn", "openvpn-secret=secret:2", "secret:user=1234567890123456", "image=ghcr.io/qdm12/gluetun:v3.41.1"}, bad: []refusal{
		{"a gluetun that has given it up", []string{"image=ghcr.io/qdm12/gluetun:latest"}, `gluetun latest has no vpn-type=openvpn for vpn-provider=mullvad: juju refresh gluetun --resource gluetun-image=ghcr.io/qdm12/gluetun:v3.41.1`},
		{"another one that has", []string{"image=mirror.example.org:5000/gluetun:v3.42.0@sha256:" + digest}, `gluetun latest has no vpn-type=openvpn for vpn-provider=mullvad: juju refresh gluetun --resource gluetun-image=ghcr.io/qdm12/gluetun:v3.41.1`},
	}},
	{good: []string{"vpn-provider=protonvpn", "vpn-type=openvpn", "openvpn-secret=secret:2", "secret:user=somebody+pmp", "secret:password=hunter2hunter2", "vpn-endpoint-port=51820"}, bad: []refusal{
		{"a gluetun that has not learned of that port", []string{"image=docker.io/qmcgaw/gluetun:v3.40.4"}, `vpn-endpoint-port 51820 is none of protonvpn's: juju config gluetun vpn-endpoint-port=<80|443|1194|4569|5060>`},
	}},
	{good: []string{"vpn-provider=privado", "openvpn-protocol=tcp", "vpn-type=openvpn", "openvpn-secret=secret:2", "secret:user=somebody", "secret:password=hunter2hunter2", "image=gluetun:latest"}, bad: []refusal{
		{"a gluetun that knows no TCP there", []string{"image=gluetun:v3"}, `openvpn-protocol=tcp cannot be used with vpn-provider=privado: juju config gluetun openvpn-protocol=udp`},
		{"one whose version nobody knows", []string{"image=registry.example.org/gluetun@sha256:" + digest}, `openvpn-protocol=tcp cannot be used with vpn-provider=privado: juju config gluetun openvpn-protocol=udp`},
	}},
	{good: []string{"vpn-provider=ivpn", "vpn-type=openvpn", "openvpn-secret=secret:2", "secret:user=i-AAAA-bbbb-1234"}, bad: []refusal{
		{"a user that is no account's number, without a password", []string{"secret:user=somebody"}, `the secret has no password, for vpn-provider=ivpn: juju update-secret secret:2 user=<user> password=<password>`},
	}},
	{good: []string{"vpn-provider=cyberghost", "vpn-type=openvpn", "openvpn-secret=secret:2", "secret:user=p1234567", "secret:password=hunter2hunter2",
		"secret:certificate=" + given["certificate"], "secret:key=" + given["key"]}, bad: []refusal{
		{"no certificate", []string{"secret:certificate="}, `the secret has no certificate, for vpn-provider=cyberghost: juju update-secret secret:2 user=<user> password=<password> certificate#file=client.crt key#file=client.key`},
		{"a certificate that is none", []string{"secret:certificate=MIIBszCCARwCAQAwDQYJ"}, `the secret's certificate is no PEM file: -----BEGIN CERTIFICATE----- and so on, for vpn-provider=cyberghost: juju update-secret secret:2 user=<user> password=<password> certificate#file=client.crt key#file=client.key`},
		{"a key in the place of the certificate", []string{"secret:certificate=" + given["key"]}, `the secret's certificate is no PEM file: -----BEGIN CERTIFICATE----- and so on, for vpn-provider=cyberghost: juju update-secret secret:2 user=<user> password=<password> certificate#file=client.crt key#file=client.key`},
		{"a certificate in the place of the key", []string{"secret:key=" + given["certificate"]}, `the secret's key is no PEM file: -----BEGIN PRIVATE KEY----- and so on, for vpn-provider=cyberghost: juju update-secret secret:2 user=<user> password=<password> certificate#file=client.crt key#file=client.key`},
	}},
	{good: []string{"vpn-provider=vpnsecure", "vpn-type=openvpn", "openvpn-secret=secret:2",
		"secret:certificate=" + given["certificate"], "secret:encrypted-key=" + given["encrypted-key"], "secret:passphrase=a phrase"}, bad: []refusal{
		{"no phrase", []string{"secret:passphrase="}, `the secret has no passphrase, for vpn-provider=vpnsecure: juju update-secret secret:2 certificate#file=client.crt encrypted-key#file=encrypted.key passphrase=<passphrase>`},
		{"a key that is not encrypted", []string{"secret:encrypted-key=", "secret:key=" + given["key"]}, `the secret's key cannot be used with vpn-type=openvpn, for vpn-provider=vpnsecure: juju update-secret secret:2 certificate#file=client.crt encrypted-key#file=encrypted.key passphrase=<passphrase>`},
		{"a user, of which it has none", []string{"secret:user=p1234567"}, `the secret's user cannot be used with vpn-type=openvpn, for vpn-provider=vpnsecure: juju update-secret secret:2 certificate#file=client.crt encrypted-key#file=encrypted.key passphrase=<passphrase>`},
	}},
	{good: []string{"vpn-provider=custom", "vpn-type=openvpn", "openvpn-secret=secret:2", "secret:config=client\nproto udp\nremote 198.51.100.9 1194\n"}, bad: []refusal{
		{"no file", []string{"secret:config=", "secret:user=p1234567"}, `the secret has no config, for vpn-provider=custom: juju update-secret secret:2 config#file=client.ovpn [user=<user>] [password=<password>]`},
		{"the file's name", []string{"secret:config=my.ovpn"}, `the secret's config is the name of a file, not what is in it, for vpn-provider=custom: juju update-secret secret:2 config#file=client.ovpn [user=<user>] [password=<password>]`},
		{"a server by name", []string{"secret:config=client\nremote vpn.example.org 1194\n"}, "the secret's config cannot be used: it needs a line `remote <address> <port>`; a name could be looked up only beside the tunnel, for vpn-provider=custom: juju update-secret secret:2 config#file=client.ovpn [user=<user>] [password=<password>]"},
		{"no server", []string{"secret:config=client\nproto udp\n"}, "the secret's config cannot be used: it needs a line `remote <address> <port>`; a name could be looked up only beside the tunnel, for vpn-provider=custom: juju update-secret secret:2 config#file=client.ovpn [user=<user>] [password=<password>]"},
		{"a port that is none", []string{"secret:config=client\nremote 198.51.100.9 openvpn\n"}, `the secret's config cannot be used: a line remote names no port, for vpn-provider=custom: juju update-secret secret:2 config#file=client.ovpn [user=<user>] [password=<password>]`},
		{"a protocol that iptables does not know", []string{"secret:config=client\nproto udp4\nremote 198.51.100.9\n"}, `the secret's config cannot be used: a line proto names no protocol with which gluetun starts: udp or tcp, for vpn-provider=custom: juju update-secret secret:2 config#file=client.ovpn [user=<user>] [password=<password>]`},
		{"a file that asks for a user", []string{"secret:config=client\nremote 198.51.100.9 1194 tcp\nauth-user-pass\n"}, `the secret's config asks for a user and a password, for vpn-provider=custom: juju update-secret secret:2 config#file=client.ovpn [user=<user>] [password=<password>]`},
		{"a server beside the file's", []string{"vpn-endpoint-ip=198.51.100.7"}, `vpn-endpoint-ip cannot be used with vpn-provider=custom vpn-type=openvpn, whose file names the server: juju config gluetun --reset vpn-endpoint-ip`},
	}},
	{good: []string{"tun-device=squat.ai/tun", "vpn-provider=mullvad", "wireguard-private-key-secret=secret:1", "wireguard-addresses=10.64.0.2/32", "secret:private-key=" + privateKey}, bad: []refusal{
		{"no device", []string{"tun-device="}, `gluetun v3.41 needs /dev/net/tun for vpn-type=wireguard: juju config gluetun tun-device=<resource of your cluster's device plugin, such as squat.ai/tun>, or tun-device=privileged for a privileged container`},
		{"no device, for an older gluetun", []string{"tun-device=", "image=qmcgaw/gluetun:v3.40.4"}, `gluetun v3.40 needs /dev/net/tun for vpn-type=wireguard: juju config gluetun tun-device=<resource of your cluster's device plugin, such as squat.ai/tun>, or tun-device=privileged for a privileged container`},
		{"a device that no node has", []string{"tun-device=squat.ai/tunn"}, `tun-device=squat.ai/tunn is on no node of this cluster: juju config gluetun tun-device=<resource of your cluster's device plugin>, or tun-device=privileged; see: kubectl get nodes -o jsonpath={.items[*].status.allocatable}`},
		{"a device of which no node has any", []string{"tun-device=squat.ai/fuse"}, `tun-device=squat.ai/fuse is on no node of this cluster: juju config gluetun tun-device=<resource of your cluster's device plugin>, or tun-device=privileged; see: kubectl get nodes -o jsonpath={.items[*].status.allocatable}`},
		{"a file", []string{"tun-device=/dev/net/tun"}, `cannot use option tun-device="/dev/net/tun": set the resource of a device plugin, such as squat.ai/tun, or privileged: juju config gluetun tun-device=...`},
		{"a yes", []string{"tun-device=true"}, `cannot use option tun-device="true": set the resource of a device plugin, such as squat.ai/tun, or privileged: juju config gluetun tun-device=...`},
		{"what is Kubernetes' own", []string{"tun-device=requests.kubernetes.io/tun"}, `cannot use option tun-device="requests.kubernetes.io/tun": set the resource of a device plugin, such as squat.ai/tun, or privileged: juju config gluetun tun-device=...`},
	}},
	{good: []string{"tun-device=", "image=qmcgaw/gluetun:latest", "vpn-provider=mullvad", "wireguard-private-key-secret=secret:1", "wireguard-addresses=10.64.0.2/32", "secret:private-key=" + privateKey}, bad: []refusal{
		{"no device, and WireGuard that is not the kernel's", []string{"custom-overrides=WIREGUARD_IMPLEMENTATION=userspace"}, `gluetun latest needs /dev/net/tun for vpn-type=wireguard: juju config gluetun tun-device=<resource of your cluster's device plugin, such as squat.ai/tun>, or tun-device=privileged for a privileged container`},
	}},
	{good: []string{"tun-device=squat.ai/tun", "image=qmcgaw/gluetun:latest", "vpn-provider=privado", "vpn-type=openvpn", "openvpn-secret=secret:2", "secret:user=somebody", "secret:password=hunter2hunter2"}, bad: []refusal{
		{"no device, and OpenVPN", []string{"tun-device="}, `gluetun latest needs /dev/net/tun for vpn-type=openvpn: juju config gluetun tun-device=<resource of your cluster's device plugin, such as squat.ai/tun>, or tun-device=privileged for a privileged container`},
	}},
}
