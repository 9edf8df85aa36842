package vpnk8slib

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// enteredOnPod marks connections whose first packet came in on the pod's own interface: a bit that neither gluetun
// (0xca6c) nor Istio (0xfff) uses.
const enteredOnPod = "0x10000/0x10000"

// drop is the gateway's own firewall, in the form that iptables-restore takes in one transaction. It hangs in the mangle
// table: gluetun flushes the filter table, and opens its policies, when one of its own lines fails. Postrouting sees a
// packet's last interface, the gateway's own packets and forwarded ones alike, before any address is translated.
//
// Forwarded: from the overlay into the tunnel, and what answers. Own: the tunnel, the overlay, the cluster, the endpoint
// of the VPN, and answers to who asked over the pod's own interface. To this pod: what enters says. Nothing else, whatever
// mark it carries.
func (g Gateway) drop(v6 bool) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("*mangle")
	for _, chain := range []string{"IN", "POD", "FWD", "OUT"} {
		line(":VPNK8S-%s - [0:0]", chain) // makes or empties it, within the transaction
	}
	line("-A VPNK8S-IN -i %s -m conntrack --ctstate NEW -j CONNMARK --set-xmark %s", podInterface, enteredOnPod)
	g.enters(v6, line)
	line("-A VPNK8S-FWD -i %s -o %s -j RETURN", overlayInterface, tunnelInterface)
	line("-A VPNK8S-FWD -i %s -o %s -m conntrack --ctstate ESTABLISHED,RELATED -j RETURN", tunnelInterface, overlayInterface)
	line("-A VPNK8S-FWD -j DROP")
	for _, dev := range []string{"lo", tunnelInterface, overlayInterface} {
		line("-A VPNK8S-OUT -o %s -j RETURN", dev)
	}
	line("-A VPNK8S-OUT -m connmark --mark %s -m conntrack --ctdir REPLY -j RETURN", enteredOnPod)
	for _, p := range g.Network.Cluster().Only(v6) {
		line("-A VPNK8S-OUT -o %s -d %s -j RETURN", podInterface, p)
	}
	to := func(protocol string, addrs []netip.AddrPort) {
		for _, a := range addrs {
			if a.Addr().Is6() == v6 {
				line("-A VPNK8S-OUT -o %s -d %s -p %s --dport %d -j RETURN", podInterface, host(a.Addr()), protocol, a.Port())
			}
		}
	}
	to("tcp", slices.Concat(g.Network.APIServers, g.Network.Controllers, g.Network.DNSOutside))
	to("udp", g.Network.DNSOutside)
	protocol := "udp"
	if g.Endpoint.TCP {
		protocol = "tcp"
	}
	for _, port := range g.Endpoint.Ports {
		switch {
		case !g.Endpoint.Addr.IsValid():
			line("-A VPNK8S-OUT -o %s -p %s --dport %d -m mark --mark %#x -j RETURN", podInterface, protocol, port, g.Endpoint.Mark)
		case g.Endpoint.Addr.Is6() == v6:
			line("-A VPNK8S-OUT -o %s -d %s -p %s --dport %d -j RETURN", podInterface, host(g.Endpoint.Addr), protocol, port)
		}
	}
	if v6 { // neighbour discovery never leaves the link
		for _, kind := range []int{133, 135, 136} {
			line("-A VPNK8S-OUT -o %s -p icmpv6 --icmpv6-type %d -j RETURN", podInterface, kind)
		}
	}
	line("-A VPNK8S-OUT -j DROP")
	line("COMMIT")
	return b.String()
}

// enters is what may come to this pod's own programs: answers; from the cluster the encapsulation, and what the kubelet asks the
// Pebbles of the charm and of the VPN client for, their health; from clients, over the overlay, what pod-gateway serves them:
// addresses and names. Whatever else listens, the VPN client's control API among it, is asked on the loopback.
func (g Gateway) enters(v6 bool, line func(format string, args ...any)) {
	ping := "icmp" // pod-gateway's clients ask by one whether this pod is there
	if v6 {
		ping = "icmpv6" // and neighbours for its address
	}
	line("-A VPNK8S-POD -i lo -j RETURN")
	line("-A VPNK8S-POD -m conntrack --ctstate ESTABLISHED,RELATED -j RETURN")
	line("-A VPNK8S-POD -p %s -j RETURN", ping)
	open := func(device, protocol string, ports ...int) {
		for _, port := range ports {
			line("-A VPNK8S-POD -i %s -p %s --dport %d -j RETURN", device, protocol, port)
		}
	}
	open(podInterface, "udp", g.Data.VXLANPort)
	open(podInterface, "tcp", PebblePort, PebblePort+1)
	open(overlayInterface, "udp", 53, 67)
	open(overlayInterface, "tcp", 53)
	line("-A VPNK8S-POD -j DROP")
}
