package vpnk8slib

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// Each check fails for its own reason, and for no other.
func TestVerifyEgress(t *testing.T) {
	now := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	broken := errors.New("nobody answers")
	type seen struct {
		Client
		ClientView
		Pod
		Egress
	}
	for _, c := range []struct {
		name    string
		change  func(s *seen)
		check   string // the one that differs from pass, or two
		verdict Verdict
		says    string // of each, with a bar between them
	}{
		{"all is well", func(*seen) {}, "port", Unknown, "no port"},
		{"no overlay", func(s *seen) { s.Overlay = false }, "overlay", Fail, "vxlan0 is not there"},
		{"a client that cannot lay it", func(s *seen) { s.Agent.Client.Error = "cannot make vxlan0" }, "overlay", Fail, "cannot make vxlan0"},
		{"a gateway that is gone", func(s *seen) { s.Agent.Client.Lost = true }, "overlay", Fail, "10.42.0.7 is not heard"},
		{"a dead tunnel", func(s *seen) { s.Agent.Client.Tunnel = false }, "overlay", Fail, "nothing comes back"},
		{"another method's client", func(s *seen) { s.Agent.Client = nil }, "overlay", Pass, "vxlan0 is there"},
		{"no guard", func(s *seen) { s.Agent.Guard = overlay.GuardState{Error: "no nftables"} }, "guard", Fail, "no nftables"},
		{"raw sockets", func(s *seen) { s.Agent.Guard.Raw = false }, "guard", Fail, "raw sockets"},
		{"no policies", func(s *seen) { s.Enforced = NotEnforced }, "policy", Fail, "does not enforce"},
		{"policies, perhaps", func(s *seen) { s.Enforced = EnforcementUnknown }, "policy", Unknown, "not known"},
		{"our policy was deleted since it was found to be enforced", func(s *seen) { s.Unlaid = []string{"NetworkPolicy kill-switch is not there; …"} }, "policy", Fail, "kill-switch is not there"},
		{"a wider policy", func(s *seen) { s.Wider = []string{"allow-all"} }, "policy", Fail, "allow-all"},
		{"seen as somebody else", func(s *seen) { s.Egress.Address.Said, s.UDP.Said = "198.51.100.1", "198.51.100.1" }, "address", Fail, "seen as 198.51.100.1, and the gateway as 192.0.2.2"},
		{"seen as a node, and the gateway too", func(s *seen) { s.Client.Network.Nodes = []netip.Addr{netip.MustParseAddr("192.0.2.2")} }, "address udp", Fail, "192.0.2.2, which is a node's own address|datagrams are seen to come from 192.0.2.2, which is a node's own address: they leave beside the tunnel"},
		{"seen as at home", func(s *seen) { s.Own = []netip.Prefix{netip.MustParsePrefix("192.0.2.2/32")} }, "address udp", Fail, "192.0.2.2, which is yours without the VPN: this leaves beside the tunnel|192.0.2.2, which is yours without the VPN: they leave beside the tunnel"},
		{"seen as at home, as IPv6 writes it", func(s *seen) {
			s.Own, s.Egress.Address.Said, s.UDP.Said = []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}, "::ffff:198.51.100.1", "198.51.100.1"
		}, "address udp", Fail, "seen as ::ffff:198.51.100.1, which is yours without the VPN|come from 198.51.100.1, which is yours without the VPN"},
		{"a home whose router nobody names", func(s *seen) { s.Client.Network.Nodes = []netip.Addr{netip.MustParseAddr("192.168.1.10")} }, "address", Pass, "as the gateway is; not compared with yours, which is not known here: own-addresses="},
		{"IPv6 from home", func(s *seen) { s.Own = []netip.Prefix{netip.MustParsePrefix("2001:db8::/56")} }, "ipv6", Fail, "2001:db8::2, which is yours without the VPN"},
		{"names asked for from home", func(s *seen) { s.Own = []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")} }, "dns", Fail, "203.0.113.7, which is yours without the VPN"},
		{"IPv6 beside the tunnel", func(s *seen) { s.Client.Network.Nodes = []netip.Addr{netip.MustParseAddr("2001:db8::2")} }, "ipv6", Fail, "2001:db8::2, which is a node's own address"},
		{"seen by nobody", func(s *seen) { s.Egress.Address = Answer{Err: broken} }, "address", Fail, "nobody answers"},
		{"a gateway that does not say", func(s *seen) { s.Link.Gateway.ExternalIP = netip.Addr{} }, "address", Unknown, "does not say"},
		{"no IPv6", func(s *seen) { s.Address6 = Answer{Err: broken} }, "ipv6", Pass, "the tunnel has none, and through it none comes back"},
		{"IPv6 that should be", func(s *seen) { s.Address6, s.Agent.Client.IPv6 = Answer{Err: broken}, true }, "ipv6", Fail, "the tunnel has IPv6"},
		{"no names", func(s *seen) { s.Resolver = Answer{Err: broken} }, "dns", Fail, "no name"},
		{"names asked for by a node", func(s *seen) { s.Client.Network.Nodes = []netip.Addr{netip.MustParseAddr("203.0.113.7")} }, "dns", Fail, "asked of 10.43.0.10:53; the name says 203.0.113.7, which is a node's own address"},
		{"a name that nobody knows", func(s *seen) { s.Resolver.Said = noSuchName }, "dns", Unknown, "asked of 10.43.0.10:53, and there is no such name"},
		{"whoever was asked", func(*seen) {}, "dns", Pass, "asked of 10.43.0.10:53, in whose place the agent asks behind the tunnel; the name says 203.0.113.7"},
		{"no datagrams", func(s *seen) { s.UDP = Answer{Err: broken} }, "udp", Fail, "no datagram"},
		{"datagrams beside the tunnel", func(s *seen) { s.UDP.Said = "198.51.100.1" }, "udp", Fail, "datagrams are seen to come from 198.51.100.1, and connections from 192.0.2.2"},
		{"datagrams from home", func(s *seen) {
			s.Own, s.UDP.Said = []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}, "198.51.100.1"
		}, "udp", Fail, "datagrams are seen to come from 198.51.100.1, which is yours without the VPN: they leave beside the tunnel"},
		{"full packets get lost", func(s *seen) { s.Full = Answer{Err: broken} }, "mtu", Fail, "1370"},
		{"a port", func(s *seen) { s.Link.Gateway.Port, s.Egress.Ports = &Port{Number: 40000}, []Answer{{Said: reached}} }, "port", Pass, "port 40000 is reached"},
		{"a port at which nobody listens", func(s *seen) {
			s.Link.Gateway.Port, s.Egress.Ports = &Port{Number: 40000}, []Answer{{Said: notReached}}
		}, "port", Fail, "port 40000 leads here, and is not reached"},
		{"a port of which nobody says anything", func(s *seen) { s.Link.Gateway.Port, s.Egress.Ports = &Port{Number: 40000}, []Answer{{Err: broken}} }, "port", Unknown, "nobody says whether it is reached: nobody answers"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := seen{
				Client:     Client{Link: Link{Gateway: ProviderData{ExternalIP: netip.MustParseAddr("192.0.2.2")}}},
				ClientView: ClientView{Enforced: Enforced},
				Pod: Pod{Overlay: true, Agent: &overlay.Report{
					Guard:  overlay.GuardState{Standing: true, Raw: true, Since: now},
					Client: &overlay.ClientState{Peer: netip.MustParseAddr("10.42.0.7"), Heard: now, Tunnel: true},
				}},
				Egress: Egress{
					Address: Answer{Said: "192.0.2.2"}, Address6: Answer{Said: "2001:db8::2"}, Full: Answer{Said: "192.0.2.2"},
					Resolver: Answer{Said: "203.0.113.7"}, UDP: Answer{Said: "192.0.2.2"}, Asked: "10.43.0.10:53", MTU: 1370,
				},
			}
			c.change(&s)
			for _, f := range s.VerifyEgress(s.ClientView, s.Pod, s.Egress, now) {
				want := Pass
				if f.Check == "port" {
					want = Unknown
				}
				if i := slices.Index(strings.Fields(c.check), f.Check); i >= 0 {
					want = c.verdict
					assert.Contains(t, f.Detail, strings.Split(c.says, "|")[i])
				}
				assert.Equal(t, want, f.Verdict, "%s: %s", f.Check, f.Detail)
			}
		})
	}
}

func TestTheTableIsForPeople(t *testing.T) {
	all := []Finding{{"guard", Pass, "stands"}, {"address", Fail, "seen as 198.51.100.1"}, {"port", Unknown, "none"}}
	assert.Equal(t, "guard    pass     stands\naddress  fail     seen as 198.51.100.1\nport     unknown  none", Table(all))
	assert.Equal(t, []string{"address"}, Failed(all))
}
