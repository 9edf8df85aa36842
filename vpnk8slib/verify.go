package vpnk8slib

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Verdict is what one check says.
type Verdict string

// The three verdicts. What is unknown is no failure: it could not be looked at from here, and the finding says why.
const (
	Pass    Verdict = "pass"
	Fail    Verdict = "fail"
	Unknown Verdict = "unknown"
)

// Finding is one check, and what it saw.
type Finding struct {
	Check   string  `json:"check"`
	Verdict Verdict `json:"verdict"`
	Detail  string  `json:"detail"`
}

// VerifyEgress judges how this pod's traffic leaves: the protections of this pod and around it, and what its own packets have shown.
func (c Client) VerifyEgress(v ClientView, p Pod, e Egress, now time.Time) []Finding {
	six := p.Agent != nil && p.Agent.Client != nil && p.Agent.Client.IPv6
	return []Finding{c.overlayStands(p, now), guardStands(p), policyStands(v), seenAs(e, c.Link.Gateway.ExternalIP, c.Network), throughSix(e, six, c.Network), names(e, "in whose place the agent asks behind the tunnel", c.Network), udp(e, c.Network), full(e), c.portLeads(e)}
}

// Failed are the names of the checks that failed.
func Failed(all []Finding) (names []string) {
	for _, f := range all {
		if f.Verdict == Fail {
			names = append(names, f.Check)
		}
	}
	return names
}

// Table is findings for people to read.
func Table(all []Finding) string {
	width := 0
	for _, f := range all {
		width = max(width, len(f.Check))
	}
	var lines []string
	for _, f := range all {
		lines = append(lines, fmt.Sprintf("%-*s  %-7s  %s", width, f.Check, f.Verdict, f.Detail))
	}
	return strings.Join(lines, "\n")
}

func (c Client) overlayStands(p Pod, now time.Time) Finding {
	const check = "overlay"
	switch {
	case !p.Overlay:
		return Finding{check, Fail, overlayInterface + " is not there"}
	case p.Agent == nil || p.Agent.Client == nil: // a routing method whose client is not ours
		return Finding{check, Pass, overlayInterface + " is there"}
	}
	client := p.Agent.Client
	switch {
	case client.Error != "":
		return Finding{check, Fail, client.Error}
	case client.Lost:
		return Finding{check, Fail, fmt.Sprintf("the gateway's pod %s is not heard", client.Peer)}
	case !client.Tunnel:
		return Finding{check, Fail, fmt.Sprintf("the gateway's pod %s says that nothing comes back through its tunnel", client.Peer)}
	default:
		return Finding{check, Pass, fmt.Sprintf("the gateway's pod %s was heard %s ago, and its tunnel is up", client.Peer, now.Sub(client.Heard).Round(10*time.Millisecond))}
	}
}

func guardStands(p Pod) Finding {
	const check = "guard"
	switch {
	case p.Agent == nil:
		return Finding{check, Fail, "no agent of this pod answers"}
	case !p.Guarded():
		return Finding{check, Fail, "the guard does not stand: " + p.Agent.Guard.Error}
	case p.Lacks() != "":
		return Finding{check, Fail, p.Lacks()}
	}
	dropped := uint64(0)
	for _, n := range p.Agent.Guard.Dropped {
		dropped += n
	}
	return Finding{check, Pass, fmt.Sprintf("the guard stands since %s, laid again %d times, %d packets dropped", p.Agent.Guard.Since.UTC().Format(time.RFC3339), p.Agent.Guard.Repairs, dropped)}
}

func policyStands(v ClientView) Finding {
	const check = "policy"
	switch {
	case len(v.Unlaid) > 0:
		return Finding{check, Fail, strings.Join(v.Unlaid, "; ")}
	case len(v.Wider) > 0:
		return Finding{check, Fail, "other NetworkPolicies allow more for this pod: " + strings.Join(v.Wider, ", ")}
	case v.Enforced == NotEnforced:
		return Finding{check, Fail, "this cluster does not enforce NetworkPolicies: what answered before ours was there did so after that"}
	case v.Enforced == EnforcementUnknown:
		return Finding{check, Unknown, "nobody saw what answers without ours, so whether it is enforced is not known"}
	default:
		return Finding{check, Pass, "ours is enforced: " + v.Probe.Target.String() + " answered before it was there, and not after that"}
	}
}

func seenAs(e Egress, told netip.Addr, n Network) Finding {
	const check = "address"
	switch a := e.Address; {
	case a.Err != nil:
		return Finding{check, Fail, "nobody says as whom this unit is seen: " + a.Err.Error()}
	case e.beside(n, a) != "":
		return Finding{check, Fail, "seen as " + a.Said + ", which is " + e.beside(n, a) + ": this leaves beside the tunnel"}
	case !told.IsValid():
		return Finding{check, Unknown, "seen as " + a.Said + "; the gateway does not say as whom it is seen"}
	case a.Said != told.String():
		return Finding{check, Fail, fmt.Sprintf("seen as %s, and the gateway as %s: see again when its tunnel has not just changed", a.Said, told)}
	default:
		return Finding{check, Pass, "seen as " + a.Said + ", as the gateway is" + e.uncompared(n, told)}
	}
}

// uncompared says that nobody knows as whom this cluster is seen without the VPN: its nodes are behind a router, and nobody has told.
func (e Egress) uncompared(n Network, told netip.Addr) string {
	public := func(a netip.Addr) bool { return a.Is4() == told.Is4() && a.IsGlobalUnicast() && !a.IsPrivate() }
	if len(e.Own) > 0 || slices.ContainsFunc(n.Nodes, public) {
		return ""
	}
	return "; not compared with yours, which is not known here: own-addresses=<as whom you are seen without the VPN>"
}

// beside says whose address was said, where it is one that is seen of what leaves beside the tunnel; empty: it is none that is known.
func (e Egress) beside(n Network, a Answer) string {
	seen, err := netip.ParseAddr(a.Said)
	seen = seen.Unmap()
	switch {
	case err != nil:
		return ""
	case slices.Contains(n.Nodes, seen):
		return "a node's own address"
	case slices.ContainsFunc(e.Own, func(p netip.Prefix) bool { return p.Contains(seen) }):
		return "yours without the VPN"
	}
	return ""
}

// throughSix is right either way: through the tunnel, or not at all where it has none. It was asked by the way's interface alone, so of what
// leaves beside that it says nothing: the layers do that are looked at, and a consumer's drill.
func throughSix(e Egress, has bool, n Network) Finding {
	const check = "ipv6"
	switch a := e.Address6; {
	case a.Err == nil && e.beside(n, a) != "":
		return Finding{check, Fail, "seen as " + a.Said + ", which is " + e.beside(n, a) + ": this leaves beside the tunnel"}
	case a.Err == nil:
		return Finding{check, Pass, "through the tunnel, seen as " + a.Said}
	case has:
		return Finding{check, Fail, "the tunnel has IPv6, but: " + a.Err.Error()}
	default:
		return Finding{check, Pass, "the tunnel has none, and through it none comes back: " + a.Err.Error()}
	}
}

// names says who was asked, and what he knows: of a name with the address of whoever asks for it, that should be nobody's whom the operator
// knows. He alone can say that, but for the nodes'.
func names(e Egress, how string, n Network) Finding {
	const check = "dns"
	switch a := e.Resolver; {
	case a.Err != nil:
		return Finding{check, Fail, "no name is found: " + a.Err.Error()}
	case e.beside(n, a) != "":
		return Finding{check, Fail, fmt.Sprintf("asked of %s; the name says %s, which is %s: names are asked for beside the tunnel", e.Asked, a.Said, e.beside(n, a))}
	case a.Said == noSuchName:
		return Finding{check, Unknown, fmt.Sprintf("asked of %s, and there is no such name, so that nobody says who has asked for it; choose another: resolver-name=…", e.Asked)}
	default:
		return Finding{check, Pass, fmt.Sprintf("asked of %s, %s; the name says %s", e.Asked, how, a.Said)}
	}
}

func udp(e Egress, n Network) Finding {
	const check = "udp"
	switch {
	case e.UDP.Err != nil:
		return Finding{check, Fail, "no datagram comes back: " + e.UDP.Err.Error()}
	case e.beside(n, e.UDP) != "":
		return Finding{check, Fail, "datagrams are seen to come from " + e.UDP.Said + ", which is " + e.beside(n, e.UDP) + ": they leave beside the tunnel"}
	case e.Address.Err == nil && e.UDP.Said != e.Address.Said:
		return Finding{check, Fail, fmt.Sprintf("datagrams are seen to come from %s, and connections from %s", e.UDP.Said, e.Address.Said)}
	default:
		return Finding{check, Pass, "seen as " + e.UDP.Said}
	}
}

func full(e Egress) Finding {
	if e.Full.Err != nil {
		return Finding{"mtu", Fail, fmt.Sprintf("packets of %d bytes do not arrive: %s", e.MTU, e.Full.Err)}
	}
	return Finding{"mtu", Pass, fmt.Sprintf("packets of %d bytes arrive", e.MTU)}
}

// portLeads is of the one port that may lead to a consumer.
func (c Client) portLeads(e Egress) Finding {
	if c.Link.Gateway.Port == nil {
		return portsLead(nil, e)
	}
	return portsLead([]int{c.Link.Gateway.Port.Number}, e)
}

// portsLead says of each port what was answered for it; one that is not reached is the worst of all.
func portsLead(ports []int, e Egress) Finding {
	f := Finding{"port", Pass, "no port of the provider's leads here"}
	if len(ports) == 0 {
		f.Verdict = Unknown
		return f
	}
	var said []string
	for i, port := range ports {
		a := Answer{Err: errors.New("nobody was asked")}
		if i < len(e.Ports) {
			a = e.Ports[i]
		}
		switch {
		case a.Err != nil:
			said = append(said, fmt.Sprintf("port %d leads here, and nobody says whether it is reached: %s", port, a.Err))
			if f.Verdict == Pass {
				f.Verdict = Unknown
			}
		case a.Said != reached:
			said = append(said, fmt.Sprintf("port %d leads here, and is not reached from outside: does the application listen there?", port))
			f.Verdict = Fail
		default:
			said = append(said, fmt.Sprintf("port %d is reached from outside", port))
		}
	}
	f.Detail = strings.Join(said, "; ")
	return f
}
