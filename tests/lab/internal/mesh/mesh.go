// Package mesh stands in for Istio's ambient mode on the lab's node: pods of a namespace with the label
// istio.io/dataplane-mode=ambient are taken in when they are made, before any of their containers runs. A CNI plugin lays the
// documented redirects in the pod's network, and a process per pod does what ztunnel does at their ends: it carries every TCP
// connection on, asks the cluster's resolver for names, and marks all that it sends.
//
// It is a stand-in: it speaks no HBONE, knows no identities and encrypts nothing. What it keeps is what a pod's routes,
// firewalls and policies meet: the marks, the ports, the routing rule, and the address that the kubelet asks from.
package mesh

import (
	"fmt"
	"net/netip"
	"strings"
)

// Ports and marks, as Istio documents them for ambient mode.
const (
	outboundPort = 15001
	inboundPort  = 15006
	dnsPort      = 15053

	ownMark = 0x539 // of ztunnel's own packets
	replies = "0x111/0xfff"
)

// Probers are the addresses that the kubelet's questions for health come from in a pod of the mesh.
var Probers = []netip.Addr{
	netip.MustParseAddr("169.254.7.127"),
	netip.MustParseAddr("fd16:9254:7127:1337:ffff:ffff:ffff:ffff"),
}

// rules are a pod's, of one family, as iptables-restore takes them.
func rules(v6 bool) string {
	prober, loopback := host(Probers[0]), "127.0.0.1/32"
	if v6 {
		prober, loopback = host(Probers[1]), "::1/128"
	}
	own := fmt.Sprintf("%#x/0xfff", ownMark)
	return strings.NewReplacer("{prober}", prober, "{loopback}", loopback, "{own}", own, "{replies}", replies,
		"{out}", fmt.Sprint(outboundPort), "{in}", fmt.Sprint(inboundPort), "{dns}", fmt.Sprint(dnsPort)).Replace(`*raw
-A OUTPUT -p udp -m mark --mark {own} --dport 53 -j CT --zone 1
-A PREROUTING -p udp -m mark ! --mark {own} --sport 53 -j CT --zone 1
COMMIT
*mangle
-A PREROUTING -m mark --mark {own} -j CONNMARK --set-xmark {replies}
-A OUTPUT -m connmark --mark {replies} -j CONNMARK --restore-mark
COMMIT
*nat
-A PREROUTING -s {prober} -p tcp -j ACCEPT
-A PREROUTING ! -d {loopback} -p tcp ! --dport 15008 -m mark ! --mark {own} -j REDIRECT --to-ports {in}
-A OUTPUT -d {prober} -p tcp -j ACCEPT
-A OUTPUT ! -o lo -p udp --dport 53 -m mark ! --mark {own} -j REDIRECT --to-ports {dns}
-A OUTPUT ! -d {loopback} -p tcp --dport 53 -m mark ! --mark {own} -j REDIRECT --to-ports {dns}
-A OUTPUT -p tcp -m mark --mark {replies} -j ACCEPT
-A OUTPUT ! -d {loopback} -o lo -j ACCEPT
-A OUTPUT ! -d {loopback} -p tcp -m mark ! --mark {own} -j REDIRECT --to-ports {out}
COMMIT
`)
}

func host(a netip.Addr) string { return netip.PrefixFrom(a, a.BitLen()).String() }
