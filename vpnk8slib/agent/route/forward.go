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
// watches interfaces of a change. It is said by netlink, which asks for NET_ADMIN
// alone: /proc/sys is read-only in a container that is not privileged (linux/net/ipv4/devinet.c, inet_set_link_af).
func (h Handle) Forward(link netlink.Link) error {
	name := link.Attrs().Name
	if sysctl("ipv4/conf/"+name+"/forwarding") == "1" {
		return nil
	}
	const inetConf, forwarding = 1, 1 // IFLA_INET_CONF (linux/if_link.h), IPV4_DEVCONF_FORWARDING (linux/ip.h)
	msg := nl.NewIfInfomsg(unix.AF_UNSPEC)
	msg.Index = int32(link.Attrs().Index)
	spec := nl.NewRtAttr(unix.IFLA_AF_SPEC, nil)
	inet := spec.AddRtAttr(unix.AF_INET, nil)
	inet.AddRtAttr(inetConf, nil).AddRtAttr(forwarding, nl.Uint32Attr(1))
	request := nl.NewNetlinkRequest(unix.RTM_SETLINK, unix.NLM_F_ACK)
	request.AddData(msg)
	request.AddData(spec)
	if _, err := request.Execute(unix.NETLINK_ROUTE, 0); err != nil {
		return fmt.Errorf("cannot let %s forward: %w", name, err)
	}
	return nil
}
