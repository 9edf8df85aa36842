package route

import (
	"fmt"
	"os"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Forwards6 says whether this pod forwards IPv6.
func Forwards6() bool { return sysctl("ipv6/conf/all/forwarding") == "1" }

// sysctl reads one of the network's; empty where there is none.
func sysctl(name string) string {
	text, _ := os.ReadFile("/proc/sys/net/" + name)
	return strings.TrimSpace(string(text))
}

// Forward lets IPv4 packets that an interface receives go on by another, unless they may already: to say it tells everybody who
// watches interfaces of a change.
func (h Handle) Forward(link netlink.Link) error {
	name := link.Attrs().Name
	if sysctl("ipv4/conf/"+name+"/forwarding") == "1" {
		return nil
	}
	const forwarding = 1 // IPV4_DEVCONF_FORWARDING (linux/ip.h)
	if err := configure(link, forwarding, 1); err != nil {
		return fmt.Errorf("cannot let %s forward: %w", name, err)
	}
	return nil
}

// Loosen takes IPv4 packets in by an interface although the way back to their source is another one, as it is where only an answer
// goes back where its question came from. Pods have the strict filter where their node has it as the default; the greater of two numbers
// counts, this interface's and the one of all, and the loose one is the greater (linux/Documentation/networking/ip-sysctl.rst).
func (h Handle) Loosen(link netlink.Link) error {
	name := link.Attrs().Name
	if max(sysctl("ipv4/conf/all/rp_filter"), sysctl("ipv4/conf/"+name+"/rp_filter")) != "1" {
		return nil
	}
	const rpFilter, loose = 8, 2 // IPV4_DEVCONF_RP_FILTER (linux/ip.h)
	if err := configure(link, rpFilter, loose); err != nil {
		return fmt.Errorf("cannot loosen the reverse path filter of %s: %w", name, err)
	}
	return nil
}

// configure sets one of an interface's numbers for IPv4, by netlink, which asks for NET_ADMIN alone: /proc/sys is read-only in a
// container that is not privileged (linux/net/ipv4/devinet.c, inet_set_link_af).
func configure(link netlink.Link, number int, to uint32) error {
	const inetConf = 1 // IFLA_INET_CONF (linux/if_link.h)
	msg := nl.NewIfInfomsg(unix.AF_UNSPEC)
	msg.Index = int32(link.Attrs().Index)
	spec := nl.NewRtAttr(unix.IFLA_AF_SPEC, nil)
	inet := spec.AddRtAttr(unix.AF_INET, nil)
	inet.AddRtAttr(inetConf, nil).AddRtAttr(number, nl.Uint32Attr(to))
	request := nl.NewNetlinkRequest(unix.RTM_SETLINK, unix.NLM_F_ACK)
	request.AddData(msg)
	request.AddData(spec)
	_, err := request.Execute(unix.NETLINK_ROUTE, 0)
	return err
}
