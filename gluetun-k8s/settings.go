package main

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/charmarr/charmarr-go/charms/hook"
	"github.com/charmarr/charmarr-go/vpnk8slib"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// Files in gluetun's container.
const (
	authFile  = "/gluetun/auth/config.toml"
	rulesFile = "/iptables/post-rules.txt"
	startFile = "/charm-start.sh"
	probeFile = "/charm-probe.sh"
)

// control is where gluetun's own API listens: not where clients of the overlay could reach it.
const control = "127.0.0.1:8000"

// tunnelMark is on every packet of gluetun's WireGuard itself (gluetun, internal/wireguard/run.go). OpenVPN is told to set it.
const tunnelMark = 0xca6c

// provider is what the table has of the one that is chosen.
func (c Config) provider() provider { return providers[c.Provider] }

// protocol is what it takes to use it as is chosen.
func (c Config) protocol() protocol {
	w := c.provider().over(c.Type).of(c.gluetun().name)
	if c.asksThere() {
		w.needs, w.takes = w.needs+" "+account, strings.TrimSpace(strings.ReplaceAll(w.takes, account, ""))
	}
	return w
}

// in is the configuration for the gluetun of an image.
func (c Config) in(image string) Config {
	c.image = image
	return c
}

// listening are the ports of the servers that are chosen from; nil: there are none for this protocol.
func (c Config) listening() *listening {
	p, l, by := c.protocol(), c.protocol().udp, 0
	if c.Type == "openvpn" && c.Protocol == "tcp" {
		l, by = p.tcp, 1
	}
	if l != nil && p.normal[by] != 0 && c.Overrides[encryption] == "normal" {
		return &listening{p.normal[by], l.choices}
	}
	return l
}

// fits says what does not go with this cluster's network. What it proposes is not other gateways' either.
func fits(c Config, n vpnk8slib.Network, others vpnk8slib.Claims, app string) error {
	if len(c.own) > 0 && len(usable(c.own, n)) == 0 {
		return fmt.Errorf("the secret has IPv6 addresses only, for vpn-provider=%s, and this cluster has no IPv6: juju update-secret %s addresses=<with the IPv4 address of your provider's file, such as 10.64.0.2/32>, with the rest of it", c.Provider, c.KeySecret)
	}
	if m := mtu(c); c.Type == "wireguard" && m < overlay.MinSix && slices.ContainsFunc(usable(c.own, n), six) { // the kernel takes no such address then
		return fmt.Errorf("custom-overrides has WIREGUARD_MTU=%d, and IPv6 of the addresses of vpn-provider=%s needs %d: juju config %s custom-overrides=<with WIREGUARD_MTU=%[3]d>", m, c.Provider, overlay.MinSix, app)
	}
	inside := slices.Concat(n.Direct(), vpnk8slib.CIDRs{c.overlay().Prefix(), netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")})
	switch four := c.ProbeTargets.four(); {
	case len(four) > healthTargets: // the last ones alone would answer for this charm, and not for gluetun
		return fmt.Errorf("probe-targets, for vpn-provider=%s, has %d IPv4 addresses, and gluetun tries %d before it takes the tunnel for dead: juju config %s probe-targets=%s",
			c.Provider, len(four), healthTargets, app, joined(four[:healthTargets], netip.AddrPort.String))
	case len(four) == 0 && len(c.ProbeTargets) > 0:
		return fmt.Errorf("probe-targets, for vpn-provider=%s, has no IPv4 address, and gluetun tries no others: juju config %s probe-targets=1.1.1.1:443,%s", c.Provider, app, joined(c.ProbeTargets, netip.AddrPort.String))
	}
	for _, t := range c.ProbeTargets {
		if inside.Contains(t.Addr()) {
			return fmt.Errorf("probe-targets has %s, which is reached beside the tunnel of vpn-provider=%s: juju config %s probe-targets=1.1.1.1:443,9.9.9.9:443", t, c.Provider, app)
		}
	}
	for _, r := range c.Resolvers {
		if inside.Contains(r.Addr()) {
			return fmt.Errorf("dns-resolvers has %s, which is reached beside the tunnel of vpn-provider=%s: juju config %s dns-resolvers=1.1.1.1,9.9.9.9", r.Addr(), c.Provider, app)
		}
	}
	if a := c.PortServer.at; a.IsValid() && (!a.Is4() || !a.IsGlobalUnicast() || inside.Contains(a)) {
		return fmt.Errorf("nat-pmp-server=%s, for vpn-provider=%s, must be an IPv4 address that is reached through the tunnel: juju config %s nat-pmp-server=<such as 10.2.0.1>", a, c.Provider, app)
	}
	return apart(c, n, others, app)
}

// apart says where the overlay, the cluster and the other side of the tunnel would take each other's addresses. Networks that
// were discovered are the cluster's own and stay what they are: kubeadm's Services lie within Mullvad's network. What the
// operator typed can be mended, and 10.0.0.0/8 is quickly typed.
func apart(c Config, n vpnk8slib.Network, others vpnk8slib.Claims, app string) error {
	beside := taken(c, n)
	if p, overlaps := c.overlay().Overlaps(beside); overlaps {
		return fmt.Errorf("vxlan-ip-network %s overlaps %s, which the cluster or the tunnel of vpn-provider=%s has: juju config %s vxlan-ip-network=%s", c.Overlay, c.told(p), c.Provider, app, vpnk8slib.FreeOverlay(beside, others))
	}
	for _, p := range c.ClusterCIDRs {
		for _, a := range c.tunnel() {
			if p.Overlaps(a) && (a != c.protocol().inside || p.Contains(a.Addr())) {
				return fmt.Errorf("cluster-cidrs has %s, in which the tunnel of vpn-provider=%s would lose %s: juju config %s cluster-cidrs=<the cluster's pod and service networks only, such as 10.1.0.0/16,10.152.183.0/24>", p, c.Provider, c.told(a), app)
			}
		}
	}
	return nil
}

// told is a network as a status names it.
func (c Config) told(p netip.Prefix) string {
	if slices.ContainsFunc(c.own, func(a netip.Prefix) bool { return a.Masked() == p.Masked() }) {
		return "the address in the secret"
	}
	return p.String()
}

// taken is the cluster's network with what the tunnel's two sides have beside it, and what is asked for behind the tunnel: the
// overlay can be in none of it.
func taken(c Config, n vpnk8slib.Network) vpnk8slib.Network {
	n.Pods = slices.Clone(n.Pods)
	for _, p := range c.tunnel() {
		n.Pods = append(n.Pods, p.Masked())
	}
	hosts := []netip.Addr{c.EndpointIP.Addr, c.portServer().at}
	for _, a := range slices.Concat(c.ProbeTargets, targets(c.Resolvers)) {
		hosts = append(hosts, a.Addr())
	}
	for _, a := range hosts {
		if a.IsValid() {
			n.Pods = append(n.Pods, netip.PrefixFrom(a, a.BitLen()))
		}
	}
	return n
}

// tunnel is what is known of the addresses inside the tunnel: the provider's, and of this end.
func (c Config) tunnel() []netip.Prefix {
	if inside := c.protocol().inside; inside.IsValid() {
		return slices.Concat([]netip.Prefix{inside}, c.own)
	}
	return c.own
}

// overlay is the network that the routing method takes.
func (c Config) overlay() vpnk8slib.OverlayNetwork { return c.Overlay.By(c.RoutingMethod) }

// usable leaves IPv6 addresses out where the pod has none: gluetun refuses to start with one (settings/wireguard.go), and
// providers write both on one line.
func usable(a addresses, n vpnk8slib.Network) (out addresses) {
	v6 := len(n.Pods.Only(true)) > 0
	for _, p := range a {
		if v6 || p.Addr().Is4() {
			out = append(out, p)
		}
	}
	return out
}

const defaultMTU = 1320

// mtu is of what fits through the tunnel.
func mtu(c Config) int {
	if n, err := strconv.Atoi(c.Overrides["WIREGUARD_MTU"]); err == nil {
		return n
	}
	return defaultMTU
}

// endpoint is where gluetun's own packets go.
func endpoint(c Config) vpnk8slib.Endpoint {
	e := vpnk8slib.Endpoint{Addr: c.EndpointIP.Addr, Mark: tunnelMark, TCP: c.Type == "openvpn" && c.Protocol == "tcp"}
	port := uint16(c.EndpointPort)
	if l := c.listening(); port == 0 && l != nil {
		port = l.port
	}
	if port != 0 {
		e.Ports = []uint16{port}
	}
	return e
}

// outbound is the environment variable with what this pod reaches beside the tunnel: the cluster, and what Juju's agent in it talks to.
const outbound = "FIREWALL_OUTBOUND_SUBNETS"

// letOut is what gluetun's firewall lets go there. It is started again for each change, which costs the session and the forwarded port: so
// an API server, a controller or a node that goes stays in it until the pod is made anew, and is not missed when it comes back. Our own
// drop rules judge the same packets by what there is now. Networks that the operator names are no more than he names.
func letOut(c Config, n vpnk8slib.Network, before string) vpnk8slib.CIDRs {
	known, err := vpnk8slib.ParseCIDRs(before)
	if err != nil {
		return n.Direct()
	}
	if len(c.ClusterCIDRs) > 0 {
		known = slices.DeleteFunc(known, func(p netip.Prefix) bool { return !p.IsSingleIP() })
	}
	return n.Direct().And(known...)
}

// environment is gluetun's, but for health in names that v3.40, v3.41 and later read alike; none of them is a secret.
func environment(c Config, s Secret, n vpnk8slib.Network) map[string]string {
	env := map[string]string{
		"VPN_SERVICE_PROVIDER": string(c.Provider), "VPN_TYPE": c.Type, "VPN_INTERFACE": tunnelDevice,
		"HTTP_CONTROL_SERVER_ADDRESS": control, "HTTP_CONTROL_SERVER_LOG": "off", "HTTP_CONTROL_SERVER_AUTH_CONFIG_FILEPATH": authFile,
		"HEALTH_SERVER_ADDRESS": "127.0.0.1:9999", "PUBLICIP_ENABLED": "on", "VERSION_INFORMATION": "off", "UPDATER_PERIOD": "0",
		// Without the rates, which its own image has, it ends in a panic (internal/pprof).
		"PPROF_ENABLED": "off", "PPROF_BLOCK_PROFILE_RATE": "0", "PPROF_MUTEX_PROFILE_RATE": "0",
		// Its own resolver listens on port 53 of every address, where the overlay's has to. It asks the cluster's.
		"DOT": "off", "DNS_ADDRESS": n.DNS[0].String(), "BLOCK_MALICIOUS": "off", "BLOCK_SURVEILLANCE": "off", "BLOCK_ADS": "off",
		outbound: n.Direct().String(), "FIREWALL_INPUT_PORTS": inputPorts(c),
	}
	for _, name := range retired {
		env[name] = ""
	}
	maps.Copy(env, health(c))
	set := map[string]string{
		"SERVER_COUNTRIES": strings.Join(c.Countries, ","), "SERVER_REGIONS": strings.Join(c.Regions, ","), "SERVER_CITIES": strings.Join(c.Cities, ","),
		"SERVER_HOSTNAMES": strings.Join(c.Hostnames, ","),
		"WIREGUARD_MTU":    strconv.Itoa(defaultMTU), "WIREGUARD_PUBLIC_KEY": string(c.PublicKey),
		"WIREGUARD_IMPLEMENTATION": "auto", // the kernel's own where it has one
	}
	if c.Type == "openvpn" {
		delete(set, "WIREGUARD_MTU")
		delete(set, "WIREGUARD_IMPLEMENTATION")
		// Before it gives up root. The firewalls ask for the mark where nobody but OpenVPN knows the server.
		set["OPENVPN_PROTOCOL"], set["OPENVPN_FLAGS"] = c.Protocol, fmt.Sprintf("--mark %d", tunnelMark)
	}
	if c.EndpointPort != 0 {
		set[strings.ToUpper(c.Type)+"_ENDPOINT_PORT"] = fmt.Sprint(c.EndpointPort)
	}
	if c.EndpointIP.IsValid() {
		set[strings.ToUpper(c.Type)+"_ENDPOINT_IP"] = c.EndpointIP.String()
	}
	for word := range s {
		env := credentials[word].env
		if c.Type == "wireguard" {
			env = cmp.Or(forPorts[word], env)
		}
		if env != "" {
			set[env] = secretDir + word
		}
	}
	for name, value := range set {
		if value != "" {
			env[name] = value
		}
	}
	maps.Copy(env, c.Overrides)
	if c.forwards() {
		env[forwarding] = "on"
	}
	return env
}

// inputPorts are the overlay's, of its heartbeats too, those at which the kubelet asks the two Pebbles for their health, and the agent's
// for metrics.
func inputPorts(c Config) string {
	ports := fmt.Sprintf("%d,%d,%d,%d", c.VXLANPort, vpnk8slib.HeartbeatPort(c.VXLANPort), vpnk8slib.PebblePort, vpnk8slib.PebblePort+1)
	if c.RoutingMethod == vpnk8slib.Overlay {
		ports += fmt.Sprintf(",%d", overlay.MetricsPort)
	}
	return ports
}

// files are what gluetun reads at its start.
func files(c Config, s Secret, n vpnk8slib.Network) []hook.File {
	return append(secretFiles(c, s, usable(c.own, n)),
		hook.File{Path: authFile, Content: auth(s) + c.portsRole(), Mode: 0o600},
		hook.File{Path: rulesFile, Content: firewallRules(c, n), Mode: 0o644},
		hook.File{Path: startFile, Content: startScript, Mode: 0o755},
		hook.File{Path: probeFile, Content: probeScript(c.ProbeTargets), Mode: 0o755},
	)
}

// auth admits this charm to what it reads, and closes every other route.
func auth(s Secret) string {
	return fmt.Sprintf("[[roles]]\nname = \"charm\"\nroutes = [\"GET /v1/publicip/ip\", \"GET /v1/vpn/status\"]\nauth = \"apikey\"\napikey = %q\n", apiKey(s))
}

func six(p netip.Prefix) bool { return p.Addr().Is6() }

// firewallRules are run by gluetun at the end of its firewall's start. Where the tunnel has IPv6 the overlay carries it too.
func firewallRules(c Config, n vpnk8slib.Network) string {
	switch {
	case c.RoutingMethod != vpnk8slib.Overlay:
		return postRules
	case slices.ContainsFunc(usable(c.own, n), six):
		return postRules + portRules + postRules6
	}
	return postRules + portRules
}

// portRules let in what the agent beside gluetun leads to a client; it knows to whom.
const portRules = `iptables -A FORWARD -i tun0 -o vxlan0 -m conntrack --ctstate DNAT -j ACCEPT
`

// postRules6 are of a tunnel with IPv6; gluetun has started only where the pod has it as well.
const postRules6 = `ip6tables --flush FORWARD
ip6tables -A FORWARD -i vxlan0 -o tun0 -j ACCEPT
ip6tables -A FORWARD -i tun0 -o vxlan0 -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
`

// postRules let the overlay's clients into the tunnel and
// nowhere else, and let their questions in: for an address, and by a ping whether this pod is there, which pod-gateway's
// client asks before it makes its end of the overlay. (gluetun itself admits its own subnet only, on Calico this one pod. No
// icmp-type: where gluetun deletes a rule it reads them all, and cannot read that.) A line that fails opens the firewall (up
// to v3.41.1): the drop that this pod's init container laid is in another table, and stays.
const postRules = `iptables --flush FORWARD
iptables -A FORWARD -i vxlan0 -o tun0 -j ACCEPT
iptables -A FORWARD -i tun0 -o vxlan0 -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
iptables -A INPUT -i vxlan0 -p udp --dport 67 -j ACCEPT
iptables -A INPUT -i vxlan0 -p udp --dport 4792 -j ACCEPT
iptables -A INPUT -i vxlan0 -p tcp --dport 4792 -j ACCEPT
iptables -A INPUT -i eth0 -p icmp -j ACCEPT
iptables -t mangle -A FORWARD -o tun0 -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu
iptables -t nat --flush POSTROUTING
iptables -t nat -A POSTROUTING -o tun0 -j MASQUERADE
`
