package vpnk8slib

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// TableName names one of iptables' in a pod's network, of one family.
type TableName struct {
	Name string // filter: the VPN client's own firewall; mangle: where a script of ours lays the drop rules
	V6   bool
}

// Tables are what there is of them, each as iptables lists it (TableName.command), or why it could not be listed.
type Tables map[TableName]Answer

// ListTables lists what holds a gateway's traffic beside an agent's guard. Run runs a command in the VPN client's container, whose
// programs see the pod's network, and returns what it prints.
func (g Gateway) ListTables(p Pod, run func(command ...string) (string, error)) Tables {
	all := Tables{}
	for _, t := range g.tables(p) {
		said, err := run(t.command()...)
		all[t] = Answer{said, err}
	}
	return all
}

// tables are those that are to hold in a pod.
func (g Gateway) tables(p Pod) (all []TableName) {
	names := []string{"filter"}
	if g.Data.RoutingMethod == podGatewayName {
		names = append(names, "mangle")
	}
	for _, name := range names {
		all = append(all, TableName{name, false})
		if p.IPv6 {
			all = append(all, TableName{name, true})
		}
	}
	return all
}

func (t TableName) command() []string {
	program := "iptables"
	if t.V6 {
		program = "ip6tables"
	}
	return []string{program, "-w", "1", "-t", t.Name, "-S"}
}

func (t TableName) String() string {
	if t.V6 {
		return "IPv6's table " + t.Name
	}
	return "IPv4's table " + t.Name
}

// held says how one of a gateway's tables lets out what it should not; nil: it holds. What it does not understand counts as open.
func (g Gateway) held(t TableName, a Answer) error {
	if a.Err != nil {
		return fmt.Errorf("cannot list %s: %w", t, a.Err)
	}
	l, err := parseListing(a.Said)
	if err != nil {
		return fmt.Errorf("cannot read %s: %w", t, err)
	}
	if err := g.laid(t, l); err != nil {
		return fmt.Errorf("%s: %w", t, err)
	}
	return nil
}

func (g Gateway) laid(t TableName, l ruleset) error {
	if t.Name == "filter" {
		for _, chain := range []string{"INPUT", "FORWARD", "OUTPUT"} {
			if policy := l.policies[chain]; policy != "DROP" {
				return fmt.Errorf("the policy of %s is %q, not DROP", chain, policy)
			}
		}
		return cmp.Or(l.closed("FORWARD", true, inside), l.closed("OUTPUT", true, func(r tableRule) bool { return g.own(t, r) || answer(r) || g.encapsulated(r) }))
	}
	for _, hook := range []struct{ from, to string }{{"PREROUTING", "VPNK8S-IN"}, {"INPUT", "VPNK8S-POD"}, {"FORWARD", "VPNK8S-FWD"}, {"POSTROUTING", "VPNK8S-OUT"}} {
		if all := l.chains[hook.from]; len(all) == 0 || all[0].odd || all[0].target != hook.to || len(all[0].words) > 0 {
			return fmt.Errorf("the first rule of %s does not lead to %s", hook.from, hook.to)
		}
	}
	return cmp.Or(
		l.closed("VPNK8S-POD", false, func(tableRule) bool { return true }), l.closed("VPNK8S-FWD", false, inside),
		l.closed("VPNK8S-OUT", false, func(r tableRule) bool { return g.own(t, r) || entered(r) }))
}

// inside holds for a rule that lets packets go to the pod itself, the tunnel and the overlay alone.
func inside(r tableRule) bool {
	return slices.Contains([]string{"lo", tunnelInterface, overlayInterface}, r.words["-o"])
}

// own holds for a rule that lets the pod's own packets go where a gateway's may: what is said here of its own interface is what drop
// and gluetun's firewall lay.
func (g Gateway) own(t TableName, r tableRule) bool {
	to, err := prefix(r.words["-d"])
	known := err == nil
	switch {
	case inside(r):
		return true
	case known && (onLink(to) || slices.ContainsFunc(g.Network.Direct(), func(p netip.Prefix) bool { return p.Bits() <= to.Bits() && p.Contains(to.Addr()) })):
		return true
	case t.V6 && slices.Contains([]string{"133", "135", "136"}, r.words["icmp6 --icmpv6-type"]): // neighbours
		return true
	}
	protocol := "udp"
	if g.Endpoint.TCP {
		protocol = "tcp"
	}
	port, err := strconv.ParseUint(r.words[protocol+" --dport"], 10, 16)
	if err != nil || r.words["-p"] != protocol || !slices.Contains(g.Endpoint.Ports, uint16(port)) {
		return false
	}
	if g.Endpoint.Addr.IsValid() {
		return known && to == host(g.Endpoint.Addr)
	}
	mark, err := strconv.ParseUint(r.words["mark --mark"], 0, 32)
	return t.Name == "filter" && known && to.IsSingleIP() || err == nil && uint32(mark) == g.Endpoint.Mark // gluetun names the server that it has chosen
}

// answer holds for a rule that lets what belongs to a connection go on, as gluetun's firewall has it.
func answer(r tableRule) bool {
	states := strings.Split(r.words["conntrack --ctstate"], ",")
	return !slices.ContainsFunc(states, func(s string) bool { return s != "RELATED" && s != "ESTABLISHED" })
}

// entered holds for a rule of ours that lets answers go to who asked over the pod's own interface.
func entered(r tableRule) bool {
	return r.words["connmark --mark"] == enteredOnPod && r.words["conntrack --ctdir"] == "REPLY"
}

// encapsulated holds for a rule that pod-gateway's own script leaves in the chain, to anywhere; the drop rules name the cluster.
func (g Gateway) encapsulated(r tableRule) bool {
	return g.Data.RoutingMethod == podGatewayName && r.words["-p"] == "udp" && r.words["udp --dport"] == fmt.Sprint(g.Data.VXLANPort)
}

// onLink holds for addresses that no router passes on: neighbour discovery's, and of a CNI's gateway such as Calico's.
func onLink(p netip.Prefix) bool {
	return slices.ContainsFunc(linkLocal, func(l netip.Prefix) bool { return l.Bits() <= p.Bits() && l.Contains(p.Addr()) })
}

var linkLocal = []netip.Prefix{netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("fe80::/10"), netip.MustParsePrefix("ff02::/16")}

// prefix reads a network, or an address, which iptables writes with or without its bits.
func prefix(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil {
		return host(a), nil
	}
	return netip.ParsePrefix(text)
}

// ruleset is a table as `iptables -S` prints it.
type ruleset struct {
	policies map[string]string
	chains   map[string][]tableRule
}

// tableRule is one of it.
type tableRule struct {
	text   string
	words  map[string]string // what a packet has to be; matches of modules with theirs before them
	target string            // empty: none
	odd    bool              // there is more in it than is understood here
}

// parseListing takes nothing for granted: whoever is in the pod could have laid a rule that reads like another.
func parseListing(text string) (ruleset, error) {
	l := ruleset{map[string]string{}, map[string][]tableRule{}}
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		switch {
		case len(f) == 0 || f[0][0] == '#': // iptables warns of its other kind's tables so
		case f[0] == "-P" && len(f) == 3:
			l.policies[f[1]] = f[2]
		case f[0] == "-N" && len(f) == 2:
		case f[0] == "-A" && len(f) > 2:
			l.chains[f[1]] = append(l.chains[f[1]], parseRule(f[2:]))
		default:
			return l, fmt.Errorf("it has the line %q", strings.TrimSpace(line))
		}
	}
	return l, nil
}

func parseRule(f []string) tableRule {
	r, module := tableRule{text: strings.Join(f, " "), words: map[string]string{}}, ""
	for ; len(f) > 1; f = f[2:] {
		word, value := f[0], f[1]
		switch word {
		case "-s", "-d", "-i", "-o", "-p":
		case "-m":
			module = value
			continue
		case "-j":
			r.odd = r.odd || r.target != ""
			r.target = value
			continue
		case "--dport", "--ctstate", "--ctdir", "--mark", "--icmpv6-type", "--reject-with":
			word = module + " " + word
		default: // a comment's text may be anything, what another rule has among it
			r.odd = true
			return r
		}
		_, twice := r.words[word]
		r.odd = r.odd || twice
		r.words[word] = value
	}
	r.odd = r.odd || len(f) > 0
	return r
}

// drops holds for a rule that lets nothing out, whatever else is in it.
func (r tableRule) drops() bool {
	return strings.HasSuffix(r.text, " -j DROP") && strings.Count(r.text, "-j") == 1
}

// closed says how a chain lets out what it should not: at its end nothing is let out, and before it only what may says. Dropped: its
// policy does that.
func (l ruleset) closed(chain string, dropped bool, may func(tableRule) bool) error {
	for _, r := range l.chains[chain] {
		switch {
		case !r.odd && r.target == "DROP" && len(r.words) == 0:
			return nil
		case !r.odd && (r.target == "DROP" || r.target == "REJECT"), r.drops():
		case !r.odd && (r.target == "ACCEPT" || r.target == "RETURN") && may(r):
		default:
			return fmt.Errorf("%s has the rule %q", chain, r.text)
		}
	}
	if !dropped {
		return fmt.Errorf("%s does not end with a drop", chain)
	}
	return nil
}
