package main

import (
	"errors"
	"fmt"
	"log"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
)

const podInterface = "eth0"

func command(argv ...string) error {
	out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("command failed: %q: %s: %w", strings.Join(argv, " "), strings.TrimSpace(string(out)), err)
	}
	return nil
}

func tables(v6 bool) string {
	if v6 {
		return "ip6tables"
	}
	return "iptables"
}

// enableFirewall lays gluetun's rules in gluetun's order. A failing line flushes them all and opens the policies, as
// v3.41.1 does: whoever relies on this firewall alone is open then.
func enableFirewall(s settings) (err error) {
	defer func() {
		if err != nil {
			for _, v6 := range []bool{false, true} {
				_ = command(tables(v6), "--flush")
				_ = command(tables(v6), "--delete-chain")
				for _, chain := range []string{"INPUT", "OUTPUT", "FORWARD"} {
					_ = command(tables(v6), "--policy", chain, "ACCEPT")
				}
			}
		}
	}()
	for _, v6 := range []bool{false, true} {
		t := tables(v6)
		for _, line := range []string{
			"--policy INPUT DROP", "--policy OUTPUT DROP", "--policy FORWARD DROP",
			"--append INPUT -i lo -j ACCEPT", "--append OUTPUT -o lo -j ACCEPT",
			"--append OUTPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT", "--append INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT",
		} {
			if err := command(append([]string{t}, strings.Fields(line)...)...); err != nil {
				return err
			}
		}
	}
	if err := command("ip6tables", "--append", "OUTPUT", "-d", "ff02::1:ff00:0/104", "-j", "ACCEPT"); err != nil {
		return err
	}
	// Local subnets are looked at once: one that comes later is not local.
	for _, l := range localSubnets() {
		t := tables(l.subnet.Addr().Is6())
		if err := errors.Join(
			command(t, "--append", "OUTPUT", "-o", l.dev, "-s", l.own.String(), "-d", l.subnet.String(), "-j", "ACCEPT"),
			command(t, "--append", "INPUT", "-i", l.dev, "-d", l.subnet.String(), "-j", "ACCEPT")); err != nil {
			return err
		}
		_ = command("ip", family(l.subnet), "rule", "add", "to", l.subnet.String(), "lookup", "main", "priority", "98")
	}
	own := ownAddresses()
	for _, o := range s.outbound {
		from := own[o.Addr().Is6()]
		if o.Bits() == 0 || !from.IsValid() {
			continue // refused later, or a family without a way out
		}
		if err := command(tables(o.Addr().Is6()), "--append", "OUTPUT", "-o", podInterface, "-s", from.String(), "-d", o.String(), "-j", "ACCEPT"); err != nil {
			return err
		}
	}
	if err := postRules(s.firewallPostRules); err != nil {
		return err
	}
	for _, port := range s.inputPorts {
		for _, t := range []string{"iptables", "ip6tables"} {
			for _, p := range []string{"tcp", "udp"} {
				if err := command(t, "--append", "INPUT", "-i", podInterface, "-p", p, "--dport", strings.TrimSpace(port), "-j", "ACCEPT"); err != nil {
					return err
				}
			}
		}
	}
	return routing(s, own)
}

// postRules runs the operator's own lines: split at white space, no shell, and a failing one is fatal.
func postRules(path string) error {
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(data)) {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		program, _, _ := strings.Cut(f[0], "-")
		if program != "iptables" && program != "ip6tables" {
			continue
		}
		log.Println("INFO [firewall] running", strings.TrimSpace(line))
		if err := command(append([]string{program}, f[1:]...)...); err != nil {
			return fmt.Errorf("cannot run post firewall rules: %w", err)
		}
	}
	return nil
}

// routing keeps what may leave beside the tunnel on the pod's own interface.
func routing(s settings, own map[bool]netip.Addr) error {
	for v6, from := range own {
		f := "-4"
		if v6 {
			f = "-6"
		}
		via, err := exec.Command("ip", f, "route", "show", "default").Output()
		words := strings.Fields(string(via))
		if err != nil || len(words) < 3 || words[1] != "via" {
			continue
		}
		for _, table := range []string{"199", "200"} {
			if err := command("ip", f, "route", "replace", "default", "via", words[2], "dev", podInterface, "table", table); err != nil {
				return err
			}
		}
		// Left behind by a process that was killed: these two do no harm there.
		_ = command("ip", f, "rule", "add", "from", from.String(), "lookup", "200", "priority", "100")
		for _, o := range s.outbound {
			if o.Addr().Is6() == v6 && o.Bits() > 0 {
				_ = command("ip", f, "rule", "add", "to", o.String(), "lookup", "199", "priority", "99")
			}
		}
	}
	return nil
}

func family(p netip.Prefix) string {
	if p.Addr().Is6() {
		return "-6"
	}
	return "-4"
}

type local struct {
	dev    string
	own    netip.Addr
	subnet netip.Prefix
}

// localSubnets are the networks of the interfaces that are there now: the pod's own, and vxlan0 if it was first.
func localSubnets() (out []local) {
	ifs, err := net.Interfaces()
	if err != nil {
		return nil
	}
	for _, i := range ifs {
		if i.Flags&net.FlagLoopback != 0 || i.Flags&net.FlagUp == 0 {
			continue
		}
		addrs, err := i.Addrs()
		if err != nil {
			continue
		}
		for _, a := range addrs {
			p, err := netip.ParsePrefix(a.String())
			if err == nil && !p.Addr().IsLinkLocalUnicast() {
				out = append(out, local{i.Name, p.Addr(), p.Masked()})
			}
		}
	}
	return out
}

// ownAddresses are the pod's, by whether they are IPv6.
func ownAddresses() map[bool]netip.Addr {
	out := map[bool]netip.Addr{}
	for _, l := range localSubnets() {
		if l.dev == podInterface {
			out[l.own.Is6()] = l.own
		}
	}
	return out
}
