package vpnk8slib_test

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/vpnk8slib"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// inGateway is a gateway's pod in which all is well, as its own container lists it, by file: what the test changes in one of them.
type inGateway struct {
	vpnk8slib.Gateway
	seen   vpnk8slib.TunnelSeen
	listed map[string]string
	broken map[string]error
}

func gatewaySeen(t *testing.T, method string) *inGateway {
	t.Helper()
	now := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	g := &inGateway{Gateway: gateway(t), listed: map[string]string{}, broken: map[string]error{}}
	g.App.Unit, g.Data.RoutingMethod, g.Exit = "gluetun/0", method, netip.MustParseAddr("192.0.2.2")
	g.Network.Nodes = []netip.Addr{netip.MustParseAddr("198.51.100.1")}
	g.seen.Pod.IPv6, g.seen.Started = true, now
	if method == vpnk8slib.Overlay {
		g.seen.Pod.Agent = &overlay.Report{
			Guard: overlay.GuardState{Standing: true, Raw: true, Since: now},
			Gateway: &overlay.GatewayState{Tunnel: true, Clients: map[netip.Addr]overlay.ClientSeen{
				netip.MustParseAddr("172.16.0.18"): {Heard: now}, netip.MustParseAddr("172.16.0.34"): {},
			}},
		}
	}
	g.seen.Egress = vpnk8slib.Egress{
		Address: vpnk8slib.Answer{Said: "192.0.2.2"}, Address6: vpnk8slib.Answer{Said: "2001:db8::2"}, UDP: vpnk8slib.Answer{Said: "192.0.2.2"},
		Resolver: vpnk8slib.Answer{Said: "203.0.113.7"}, MTU: 1420,
	}
	g.seen.Names.Said = "search downloads.svc.cluster.local\nnameserver 10.43.0.10\n"
	for command, file := range map[string]string{"iptables filter": "listed-filter.txt", "ip6tables filter": "listed-filter6.txt", "iptables mangle": "listed-mangle.txt", "ip6tables mangle": "listed-mangle6.txt"} {
		text, err := os.ReadFile(filepath.Join("testdata", file))
		require.NoError(t, err)
		g.listed[command] = string(text)
	}
	return g
}

// verify runs what is listed as the charm does.
func (g *inGateway) verify() map[string]vpnk8slib.Finding {
	g.seen.Tables = g.ListTables(g.seen.Pod, func(c ...string) (string, error) {
		if strings.Join(c[1:4], " ") != "-w 1 -t" || c[5] != "-S" {
			return "", errors.New("not a listing")
		}
		return g.listed[c[0]+" "+c[4]], g.broken[c[0]+" "+c[4]]
	})
	found := map[string]vpnk8slib.Finding{}
	for _, f := range g.VerifyTunnel(g.seen) {
		found[f.Check] = f
	}
	return found
}

func (g *inGateway) add(table, line string) { g.listed[table] += "\n" + line + "\n" }

func (g *inGateway) change(table, old, by string) {
	g.listed[table] = strings.Replace(g.listed[table], old, by, 1)
}

// Each check fails for its own reason, and for no other.
func TestVerifyTunnel(t *testing.T) {
	const filter, filter6, mangle, mangle6 = "iptables filter", "ip6tables filter", "iptables mangle", "ip6tables mangle"
	for _, c := range []struct {
		name    string
		method  string
		change  func(g *inGateway)
		check   string // the one that differs from pass
		verdict vpnk8slib.Verdict
		says    string
	}{
		{"all is well", "overlay", func(*inGateway) {}, "tunnel", vpnk8slib.Pass, "1 clients are heard"},
		{"all is well by pod-gateway", "pod-gateway", func(*inGateway) {}, "guard", vpnk8slib.Pass, "the drop rules stand for IPv4 and IPv6"},
		{"a dead tunnel", "overlay", func(g *inGateway) { g.seen.Pod.Agent.Gateway.Tunnel = false }, "tunnel", vpnk8slib.Fail, "nothing comes back through tun0"},
		{"a dead tunnel by pod-gateway", "pod-gateway", func(g *inGateway) { g.Data.VPNConnected = false }, "tunnel", vpnk8slib.Fail, "nothing comes back through tun0"},
		{"an agent that cannot", "overlay", func(g *inGateway) { g.seen.Pod.Agent.Gateway.Error = "no vxlan0" }, "tunnel", vpnk8slib.Fail, "no vxlan0"},
		{"no guard", "overlay", func(g *inGateway) { g.seen.Pod.Agent.Guard.Standing = false }, "guard", vpnk8slib.Fail, "does not stand"},
		{"seen as the node", "overlay", func(g *inGateway) {
			g.seen.Egress.Address.Said, g.seen.Egress.UDP.Said = "198.51.100.1", "198.51.100.1"
		}, "address udp", vpnk8slib.Fail, "seen as 198.51.100.1, which is a node's own address|come from 198.51.100.1, which is a node's own address"},
		{"seen as somebody else", "overlay", func(g *inGateway) {
			g.seen.Egress.Address.Said, g.seen.Egress.UDP.Said = "198.51.100.2", "198.51.100.2"
		}, "address", vpnk8slib.Fail, "seen as 198.51.100.2"},
		{"IPv6 that should be", "overlay", func(g *inGateway) {
			g.seen.Pod.Agent.Gateway.IPv6, g.seen.Egress.Address6 = true, vpnk8slib.Answer{Err: errors.New("nobody")}
		}, "ipv6", vpnk8slib.Fail, "has IPv6"},

		{"gluetun asks the cluster for its own names", "overlay", func(*inGateway) {}, "dns", vpnk8slib.Pass, "asks for its own names of 10.43.0.10 in the cluster, which asks for them beside the tunnel"},
		{"somebody outside", "overlay", func(g *inGateway) { g.seen.Names.Said = "nameserver 9.9.9.9\nnameserver 127.0.0.1\n" }, "dns", vpnk8slib.Pass, "of 9.9.9.9 through the tunnel, of 127.0.0.1 in this pod"},
		{"nobody knows whom", "overlay", func(g *inGateway) { g.seen.Names = vpnk8slib.Answer{Err: errors.New("no such file")} }, "dns", vpnk8slib.Pass, "of nobody knows whom: no such file"},

		{"ports", "overlay", func(g *inGateway) {
			g.seen.Ports, g.seen.Egress.Ports = []int{40001, 40002}, []vpnk8slib.Answer{{Said: "reached"}, {Said: "reached"}}
		}, "port", vpnk8slib.Pass, "port 40001 is reached from outside; port 40002 is reached"},
		{"one of them is not reached", "overlay", func(g *inGateway) {
			g.seen.Ports, g.seen.Egress.Ports = []int{40001, 40002, 40003}, []vpnk8slib.Answer{{Said: "reached"}, {Said: "not reached"}, {Err: errors.New("nobody answers")}}
		}, "port", vpnk8slib.Fail, "port 40002 leads here, and is not reached"},
		{"nobody was asked", "overlay", func(g *inGateway) { g.seen.Ports = []int{40001} }, "port", vpnk8slib.Unknown, "nobody was asked"},

		{"opened by hand", "overlay", func(g *inGateway) { g.change(filter, "-P OUTPUT DROP", "-P OUTPUT ACCEPT") }, "firewall", vpnk8slib.Fail, `IPv4's table filter: the policy of OUTPUT is "ACCEPT", not DROP`},
		{"opened as gluetun does when a line of its own fails", "pod-gateway", func(g *inGateway) { g.listed[filter] = "-P INPUT ACCEPT\n-P FORWARD ACCEPT\n-P OUTPUT ACCEPT\n" }, "firewall", vpnk8slib.Fail, "the policy of INPUT"},
		{"for clients", "overlay", func(g *inGateway) { g.change(filter6, "-P FORWARD DROP", "-P FORWARD ACCEPT") }, "firewall", vpnk8slib.Fail, `IPv6's table filter: the policy of FORWARD is "ACCEPT"`},
		{"nothing is said", "overlay", func(g *inGateway) { g.listed[filter] = "" }, "firewall", vpnk8slib.Fail, `the policy of INPUT is ""`},
		{"it cannot be listed", "overlay", func(g *inGateway) { g.broken[filter6] = errors.New("exit status 3: no\n table\n") }, "firewall", vpnk8slib.Fail, "cannot list IPv6's table filter: exit status 3: no table"},
		{"no iptables at all", "overlay", func(g *inGateway) { g.listed[filter] = "sh: iptables: not found\n" }, "firewall", vpnk8slib.Fail, "cannot read IPv4's table filter"},
		{"a kernel without IPv6", "overlay", func(g *inGateway) {
			g.seen.Pod.IPv6, g.listed[filter6], g.broken[filter6] = false, "", errors.New("exit status 3")
		}, "firewall", vpnk8slib.Pass, "the pod has no IPv6"},
		{"a drop that somebody has laid for a moment", "overlay", func(g *inGateway) {
			g.add(filter, "-A OUTPUT -p tcp -m tcp --tcp-flags RST RST -m mark ! --mark 0x1 -j DROP")
		}, "firewall", vpnk8slib.Pass, "nothing but the VPN's own"},
		{"what reads like one", "overlay", func(g *inGateway) { g.add(filter, `-A OUTPUT -j ACCEPT -m comment --comment "x -j DROP`) }, "firewall", vpnk8slib.Fail, "OUTPUT has the rule"},
		{"it is not known by what it was laid", "overlay", func(g *inGateway) {
			g.add(filter, "-A OUTPUT -o eth0 -j ACCEPT")
			g.seen.Unsettled = errors.New("cannot reach the API server")
		}, "firewall", vpnk8slib.Unknown, "what was laid is not known: cannot reach the API server"},
		{"everything beside the tunnel", "overlay", func(g *inGateway) { g.add(filter, "-A OUTPUT -o eth0 -j ACCEPT") }, "firewall", vpnk8slib.Fail, `OUTPUT has the rule "-o eth0 -j ACCEPT"; a new pod has it laid anew: kubectl -n downloads delete pod gluetun-0`},
		{"whatever it is", "overlay", func(g *inGateway) { g.add(filter, "-A OUTPUT -j ACCEPT") }, "firewall", vpnk8slib.Fail, "OUTPUT has"},
		{"the world but itself", "overlay", func(g *inGateway) { g.add(filter, "-A OUTPUT ! -o tun0 -j ACCEPT") }, "firewall", vpnk8slib.Fail, "OUTPUT has"},
		{"a network that is wider than the cluster's", "overlay", func(g *inGateway) { g.add(filter, "-A OUTPUT -s 10.42.0.7/32 -d 10.0.0.0/8 -o eth0 -j ACCEPT") }, "firewall", vpnk8slib.Fail, "10.0.0.0/8"},
		{"an API server that has gone", "overlay", func(g *inGateway) {
			g.add(filter, "-A OUTPUT -s 10.42.0.7/32 -d 10.44.0.3/32 -o eth0 -j ACCEPT")
			g.seen.Kept = vpnk8slib.CIDRs{netip.MustParsePrefix("10.44.0.3/32")}
		}, "firewall", vpnk8slib.Pass, "nothing but the VPN's own"},
		{"one that never was there", "overlay", func(g *inGateway) {
			g.add(filter, "-A OUTPUT -s 10.42.0.7/32 -d 10.44.0.3/32 -o eth0 -j ACCEPT")
		}, "firewall", vpnk8slib.Fail, "10.44.0.3/32"},
		{"one that has gone, in the drop rules", "pod-gateway", func(g *inGateway) {
			g.change(mangle, "-A VPNK8S-OUT", "-A VPNK8S-OUT -d 10.44.0.3/32 -o eth0 -j RETURN\n-A VPNK8S-OUT")
			g.seen.Kept = vpnk8slib.CIDRs{netip.MustParsePrefix("10.44.0.3/32")}
		}, "guard", vpnk8slib.Fail, "10.44.0.3/32"},
		{"another server", "overlay", func(g *inGateway) {
			g.add(filter, "-A OUTPUT -d 198.51.100.201/32 -o eth0 -p udp -m udp --dport 51820 -j ACCEPT")
		}, "firewall", vpnk8slib.Fail, "198.51.100.201"},
		{"the server's other ports", "overlay", func(g *inGateway) {
			g.add(filter, "-A OUTPUT -d 198.51.100.200/32 -o eth0 -p udp -m udp --dport 53 -j ACCEPT")
		}, "firewall", vpnk8slib.Fail, "--dport 53"},
		{"the server by TCP", "overlay", func(g *inGateway) {
			g.add(filter, "-A OUTPUT -d 198.51.100.200/32 -o eth0 -p tcp -m tcp --dport 51820 -j ACCEPT")
		}, "firewall", vpnk8slib.Fail, "-p tcp"},
		{"a server that gluetun chose", "overlay", func(g *inGateway) {
			g.Endpoint.Addr = netip.Addr{}
			g.add(filter, "-A OUTPUT -d 198.51.100.201/32 -o eth0 -p udp -m udp --dport 51820 -j ACCEPT")
		}, "firewall", vpnk8slib.Pass, "stands"},
		{"all servers there are", "overlay", func(g *inGateway) {
			g.Endpoint.Addr = netip.Addr{}
			g.add(filter, "-A OUTPUT -o eth0 -p udp -m udp --dport 51820 -j ACCEPT")
		}, "firewall", vpnk8slib.Fail, "--dport 51820"},
		{"new connections", "overlay", func(g *inGateway) { g.add(filter, "-A OUTPUT -m conntrack --ctstate NEW,ESTABLISHED -j ACCEPT") }, "firewall", vpnk8slib.Fail, "NEW"},
		{"clients beside the tunnel", "overlay", func(g *inGateway) { g.add(filter, "-A FORWARD -i vxlan0 -o eth0 -j ACCEPT") }, "firewall", vpnk8slib.Fail, `FORWARD has the rule "-i vxlan0 -o eth0 -j ACCEPT"`},
		{"a comment that reads like a drop", "overlay", func(g *inGateway) { g.add(filter, `-A OUTPUT -m comment --comment " -j DROP " -j ACCEPT`) }, "firewall", vpnk8slib.Fail, "comment"},
		{"a comment that reads like the tunnel", "overlay", func(g *inGateway) { g.add(filter, `-A OUTPUT -m comment --comment " -o tun0 -j ACCEPT`) }, "firewall", vpnk8slib.Fail, "comment"},
		{"two words of which one is ours", "overlay", func(g *inGateway) { g.add(filter, "-A OUTPUT -o eth0 -o tun0 -j ACCEPT") }, "firewall", vpnk8slib.Fail, "-o eth0 -o tun0"},
		{"a chain of somebody's", "overlay", func(g *inGateway) { g.add(filter, "-N OTHER\n-A OUTPUT -j OTHER\n-A OTHER -j ACCEPT") }, "firewall", vpnk8slib.Fail, "-j OTHER"},
		{"a warning of iptables", "overlay", func(g *inGateway) {
			g.add(filter, "# Warning: iptables-legacy tables present, use iptables-legacy to see them")
		}, "firewall", vpnk8slib.Pass, "stands"},
		{"what follows a drop of everything", "overlay", func(g *inGateway) { g.add(filter, "-A OUTPUT -j DROP\n-A OUTPUT -j ACCEPT") }, "firewall", vpnk8slib.Pass, "stands"},
		{"pod-gateway's encapsulation, to anywhere", "pod-gateway", func(g *inGateway) { g.add(filter, "-A OUTPUT -o eth0 -p udp -m udp --dport 4790 -j ACCEPT") }, "firewall", vpnk8slib.Pass, "stands"},
		{"the same where nobody should lay it", "overlay", func(g *inGateway) { g.add(filter, "-A OUTPUT -o eth0 -p udp -m udp --dport 4790 -j ACCEPT") }, "firewall", vpnk8slib.Fail, "4790"},

		{"no drop rules", "pod-gateway", func(g *inGateway) { g.listed[mangle] = "-P POSTROUTING ACCEPT\n" }, "guard", vpnk8slib.Fail, "IPv4's table mangle: the first rule of PREROUTING does not lead to VPNK8S-IN"},
		{"they do not hang", "pod-gateway", func(g *inGateway) { g.change(mangle6, "-A POSTROUTING -j VPNK8S-OUT\n", "") }, "guard", vpnk8slib.Fail, "IPv6's table mangle: the first rule of POSTROUTING does not lead to VPNK8S-OUT"},
		{"somebody is before them", "pod-gateway", func(g *inGateway) {
			g.change(mangle, "-A FORWARD -j VPNK8S-FWD", "-A FORWARD -j ACCEPT\n-A FORWARD -j VPNK8S-FWD")
		}, "guard", vpnk8slib.Fail, "the first rule of FORWARD"},
		{"they are for some only", "pod-gateway", func(g *inGateway) { g.change(mangle, "-A POSTROUTING -j", "-A POSTROUTING -o lo -j") }, "guard", vpnk8slib.Fail, "the first rule of POSTROUTING"},
		{"without their end", "pod-gateway", func(g *inGateway) { g.change(mangle, "-A VPNK8S-OUT -j DROP", "") }, "guard", vpnk8slib.Fail, "VPNK8S-OUT does not end with a drop"},
		{"in front of everybody's answers", "pod-gateway", func(g *inGateway) {
			g.change(mangle, "-A VPNK8S-OUT -o lo", "-A VPNK8S-OUT -m conntrack --ctdir REPLY -j RETURN\n-A VPNK8S-OUT -o lo")
		}, "guard", vpnk8slib.Fail, "VPNK8S-OUT has the rule"},
		{"with a hole for a marked packet", "pod-gateway", func(g *inGateway) {
			g.change(mangle, "-A VPNK8S-OUT -o lo", "-A VPNK8S-OUT -m mark --mark 0xca6c -j RETURN\n-A VPNK8S-OUT -o lo")
		}, "guard", vpnk8slib.Fail, "--mark 0xca6c"},
		{"the mark where nobody else knows the server", "pod-gateway", func(g *inGateway) {
			g.Endpoint = vpnk8slib.Endpoint{Ports: []uint16{51820}, Mark: 0xca6c}
			g.change(mangle, "-d 198.51.100.200/32 -o eth0 -p udp -m udp --dport 51820", "-o eth0 -p udp -m udp --dport 51820 -m mark --mark 0xca6c")
		}, "guard", vpnk8slib.Pass, "stand"},
		{"and not without it", "pod-gateway", func(g *inGateway) { g.Endpoint = vpnk8slib.Endpoint{Ports: []uint16{51820}, Mark: 0xca6c} }, "guard", vpnk8slib.Fail, "198.51.100.200"},
		{"they cannot be listed", "pod-gateway", func(g *inGateway) { g.broken[mangle] = errors.New("exit status 4") }, "guard", vpnk8slib.Fail, "exit status 4"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := gatewaySeen(t, c.method)
			c.change(g)
			for check, f := range g.verify() {
				want := vpnk8slib.Pass
				if check == "port" {
					want = vpnk8slib.Unknown
				}
				if i := slices.Index(strings.Fields(c.check), check); i >= 0 {
					want = c.verdict
					assert.Contains(t, f.Detail, strings.Split(c.says, "|")[i])
				}
				assert.Equal(t, want, f.Verdict, "%s: %s", check, f.Detail)
			}
		})
	}
}

// No layer passes because nobody has looked at it.
func TestVerifyTunnelOfWhatWasNotLookedAt(t *testing.T) {
	for method, checks := range map[string][]string{"overlay": {"tunnel", "firewall", "guard"}, "pod-gateway": {"firewall", "guard"}} {
		g := gatewaySeen(t, method)
		g.seen.Pod.Agent = nil
		for _, f := range g.VerifyTunnel(g.seen) { // no tables
			for _, check := range checks {
				if f.Check == check {
					assert.Equal(t, vpnk8slib.Fail, f.Verdict, "%s: %s: %s", method, check, f.Detail)
				}
			}
		}
	}
}

func TestLeasedPorts(t *testing.T) {
	assert.Empty(t, vpnk8slib.LeasedPorts(nil))
	assert.Empty(t, vpnk8slib.LeasedPorts(&overlay.Report{}))
	assert.Equal(t, []int{40001, 40002}, vpnk8slib.LeasedPorts(&overlay.Report{Gateway: &overlay.GatewayState{Ports: map[string]overlay.Lease{
		"vpn-gateway-1": {Port: 40002}, "vpn-gateway-2": {Port: 40001}, "vpn-gateway-3": {Error: "none to be had"},
	}}}))
}
