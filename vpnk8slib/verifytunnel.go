package vpnk8slib

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// TunnelSeen is what is seen of a gateway when its egress is verified.
type TunnelSeen struct {
	Pod     Pod
	Egress  Egress
	Tables  Tables    // by ListTables
	Names   Answer    // resolv.conf of the VPN client's container
	Ports   []int     // that lead to clients, as they were asked for in Egress
	Started time.Time // when all this was begun
	Kept    CIDRs     // what the VPN client's firewall lets out beside the tunnel: some of it may have been the cluster's before
	// Unsettled is why nothing can be laid now, if so: what stands was laid by options, or for a network, that are not known here.
	Unsettled error
}

// VerifyTunnel judges how a gateway's own traffic leaves, and that of its clients.
func (g Gateway) VerifyTunnel(s TunnelSeen) []Finding {
	p, e := s.Pod, s.Egress
	six := p.Agent != nil && p.Agent.Gateway != nil && p.Agent.Gateway.IPv6
	return []Finding{
		g.tunnelStands(p, s.Started), g.firewallStands(s), g.guarded(s), seenAs(e, g.Exit, g.Network),
		throughSix(e, six, g.Network), g.names(e, s.Names), udp(e, g.Network), full(e), portsLead(s.Ports, e),
	}
}

// LeasedPorts are the provider's that lead to clients of a gateway, as its agent says.
func LeasedPorts(agent *overlay.Report) (ports []int) {
	if agent == nil || agent.Gateway == nil {
		return nil
	}
	for _, l := range agent.Gateway.Ports {
		if l.Port != 0 {
			ports = append(ports, int(l.Port))
		}
	}
	slices.Sort(ports)
	return ports
}

// tunnelStands is by the agent's word; where the routing method has none, by the charm's, who tried it just now.
func (g Gateway) tunnelStands(p Pod, now time.Time) Finding {
	const check = "tunnel"
	dead := Finding{check, Fail, "nothing comes back through " + tunnelInterface}
	switch {
	case g.Data.RoutingMethod == podGatewayName && g.Data.VPNConnected:
		return Finding{check, Pass, "packets come back through " + tunnelInterface + "; with this routing method nobody tells of clients"}
	case g.Data.RoutingMethod == podGatewayName:
		return dead
	case p.Agent == nil || p.Agent.Gateway == nil:
		return Finding{check, Fail, "no agent of this pod answers"}
	}
	gateway, heard := p.Agent.Gateway, 0
	for _, c := range gateway.Clients {
		if now.Sub(c.Heard) < time.Second {
			heard++
		}
	}
	switch {
	case gateway.Error != "":
		return Finding{check, Fail, gateway.Error}
	case !gateway.Tunnel:
		return dead
	default:
		return Finding{check, Pass, fmt.Sprintf("packets come back through %s, and %d clients are heard", tunnelInterface, heard)}
	}
}

// firewallStands is of one layer: what the VPN client lays by itself.
func (g Gateway) firewallStands(s TunnelSeen) Finding {
	g.Network.Pods = slices.Concat(g.Network.Pods, s.Kept)
	f := g.holds("firewall", "the VPN client's own stands", "filter", s)
	if f.Verdict == Fail { // the VPN client takes away nothing that an earlier start of it has laid
		f.Detail += fmt.Sprintf("; a new pod has it laid anew: kubectl -n %s delete pod %s", g.App.Namespace, g.App.Pod())
	}
	return f
}

// guarded is of the other, which is ours: by an agent, or where the routing method has none by a script.
func (g Gateway) guarded(s TunnelSeen) Finding {
	if g.Data.RoutingMethod != podGatewayName {
		return guardStands(s.Pod)
	}
	return g.holds("guard", "the drop rules stand", "mangle", s)
}

func (g Gateway) holds(check, whose, table string, s TunnelSeen) Finding {
	if s.Unsettled != nil {
		return Finding{check, Unknown, "it goes on as it was laid, and what was laid is not known: " + s.Unsettled.Error()}
	}
	families := "IPv4, and the pod has no IPv6"
	for _, one := range g.tables(s.Pod) {
		if one.Name != table {
			continue
		}
		if one.V6 {
			families = "IPv4 and IPv6"
		}
		if err := g.held(one, s.Tables[one]); err != nil {
			return Finding{check, Fail, strings.Join(strings.Fields(err.Error()), " ")} // what a program says may have many lines
		}
	}
	return Finding{check, Pass, whose + " for " + families + ": nothing but the VPN's own packets leaves beside " + tunnelInterface + " and the cluster"}
}

// names says whom clients' names are asked of, behind the tunnel, and of whom the VPN client asks its own, which it needs before there is
// a tunnel.
func (g Gateway) names(e Egress, resolvConf Answer) Finding {
	f := names(e, "behind the tunnel", g.Network)
	f.Detail += "; the VPN client asks for its own names " + g.asked(resolvConf)
	return f
}

func (g Gateway) asked(resolvConf Answer) string {
	if resolvConf.Err != nil {
		return "of nobody knows whom: " + resolvConf.Err.Error()
	}
	var all []string
	for line := range strings.Lines(resolvConf.Said) {
		f := strings.Fields(line)
		if len(f) < 2 || f[0] != "nameserver" {
			continue
		}
		a, err := netip.ParseAddr(f[1])
		switch {
		case err != nil:
			all = append(all, fmt.Sprintf("%q, which is no address", f[1]))
		case a.IsLoopback():
			all = append(all, a.String()+" in this pod")
		case g.Network.Direct().Contains(a):
			all = append(all, a.String()+" in the cluster, which asks for them beside the tunnel")
		default:
			all = append(all, a.String()+" through the tunnel")
		}
	}
	if all == nil {
		return "of nobody"
	}
	return "of " + strings.Join(all, ", of ")
}
