package vpnk8slib

import (
	"cmp"
	"embed"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

const podGatewayName = "pod-gateway"

// PodGatewayImage is the image of the routing containers where the operator names no other.
const PodGatewayImage = "ghcr.io/angelnu/pod-gateway:v1.13.0"

// podGateway routes by angelnu/pod-gateway's scripts: a VXLAN that its client end finds by DNS and DHCP. Scripts of ours
// stand around them, because theirs may end with an error or not end at all, and leave the pod open or stuck then. What is
// theirs to know of separators and names stands in this file and nowhere else.
type podGateway struct{}

func (podGateway) name() string { return podGatewayName }

func (podGateway) heard() string { return "" }

//go:embed podgateway/*.sh
var podGatewayScripts embed.FS

// scripts are files of ours, by their names in the ConfigMap.
func scripts(names ...string) map[string]string {
	out := map[string]string{}
	for _, n := range names {
		text, err := podGatewayScripts.ReadFile("podgateway/" + n)
		if err != nil {
			panic(err) // a wrong name in this file
		}
		out[n] = string(text)
	}
	return out
}

func (podGateway) check(d ProviderData) error { return d.numbered() }

func (podGateway) offer(g Gateway, _ Consumer, _ string) (ProviderData, error) { return g.Data, nil }

func (podGateway) client(c Client, d ProviderData) (fragment, error) {
	if len(c.Network.DNS) == 0 || len(c.Network.Cluster()) == 0 {
		return fragment{}, errors.New("cannot lay the route: the cluster's networks and DNS are not known")
	}
	if err := apart(d.VXLANIPNetwork.prefix, c.Network, d.inModel()); err != nil {
		return fragment{}, fmt.Errorf("cannot lay the route: %w", err)
	}
	if err := d.numbered(); err != nil {
		return fragment{}, fmt.Errorf("cannot lay the route: %w", err)
	}
	if err := d.named(c.Network); err != nil {
		return fragment{}, fmt.Errorf("cannot lay the route: %w", err)
	}
	files := scripts("direct.sh", "close.sh", "client-init.sh", "client-sidecar.sh")
	files["nat.conf"] = "" // must be there; addresses by DHCP
	// NOT_ROUTED_TO_GATEWAY_CIDRS is left empty: what it is for has been done by then, and the image skips it (have_overlay).
	files["settings.sh"] = shell(map[string]string{
		"GATEWAY_NAME":     d.GatewayDNSName,
		"K8S_DNS_IPS":      join(c.Network.DNS, " "),
		"VXLAN_ID":         fmt.Sprint(d.VXLANID),
		"VXLAN_IP_NETWORK": d.VXLANIPNetwork.String(),
		"VXLAN_PORT":       fmt.Sprint(d.VXLANPort),
		"VPN_INTERFACE":    tunnelInterface,
	})
	guard := c.Network.rules(overlayInterface, uint16(d.VXLANPort), len(c.Workloads), c.Ports)
	guard.Gateway, guard.Names = d.GatewayDNSName, namesPort
	resolvers := d.DNSResolvers
	if len(resolvers) == 0 {
		resolvers = publicResolvers
	}
	for _, r := range resolvers { // who is asked over the pod's own interface asks others outside of the tunnel
		if c.Network.Direct().Contains(r.Addr()) || !routable(r.Addr()) {
			return fragment{}, fmt.Errorf("cannot lay the route: dns_resolvers has %s, which is not behind the tunnel: juju config %s dns-resolvers=1.1.1.1,9.9.9.9", r, d.inModel())
		}
	}
	return fragment{
		settings:   files,
		live:       map[string]string{"networks.sh": networks(c.Network)},
		init:       []container{onNode(script("vpn-route-init", c.Image, "client-init.sh", netAdmin()))},
		containers: []container{onNode(script("vpn-route-sidecar", c.Image, "client-sidecar.sh", netAdmin()))},
		workload:   unprivileged(),
	}.withAgent(c.Network, c.AgentImage, "guard", overlay.Config{Guard: guard, Names: c.Network.split(c.App, resolvers...)}, nil)
}

// routable holds for an address that packets leave a pod for.
func routable(a netip.Addr) bool {
	return a.IsGlobalUnicast() && !a.Is4In6() && a.Zone() == ""
}

// publicResolvers are asked through the tunnel where a gateway names none: those of charmarr-lib-vpn leave names to the cluster's
// resolver, which asks outside of it.
var publicResolvers = []netip.AddrPort{netip.MustParseAddrPort("1.1.1.1:53"), netip.MustParseAddrPort("9.9.9.9:53")}

func (podGateway) gateway(g Gateway) (fragment, error) {
	if len(g.Endpoint.Ports) == 0 {
		return fragment{}, errors.New("cannot set up the gateway: the VPN endpoint's port is not known")
	}
	if err := apart(g.Data.VXLANIPNetwork.prefix, g.Network, g.App.Name); err != nil {
		return fragment{}, fmt.Errorf("cannot set up the gateway: %w", err)
	}
	if err := g.Data.numbered(); err != nil {
		return fragment{}, fmt.Errorf("cannot set up the gateway: %w", err)
	}
	files := scripts("direct.sh", "close.sh", "drop.sh", "gateway-init.sh", "gateway-sidecar.sh")
	files["nat.conf"] = ""
	files["settings.sh"] = shell(map[string]string{
		"VXLAN_ID":         fmt.Sprint(g.Data.VXLANID),
		"VXLAN_IP_NETWORK": g.Data.VXLANIPNetwork.String(),
		"VXLAN_PORT":       fmt.Sprint(g.Data.VXLANPort),
		"VPN_INTERFACE":    tunnelInterface,
		// The image's own block drops loopback and the agent's way to its controller until gluetun has started, which the
		// agent starts; and it admits a port to anywhere. The drop rules above all of it do better.
		"VPN_BLOCK_OTHER_TRAFFIC": "false",
		// Without these two the image would admit port 443 to anywhere, and route all of 10/8 and 192.168/16 around the tunnel.
		// The cluster's own routes are ours (direct.sh).
		"VPN_TRAFFIC_PORT":      fmt.Sprint(g.Endpoint.Ports[0]),
		"VPN_LOCAL_CIDRS":       "",
		"GATEWAY_ENABLE_DNSSEC": "false", // with it, a resolver that does not sign yields SERVFAIL for everything
		// Read by nobody: a server that the operator chose has its drop rules at once, in a new pod.
		"VPNK8S_ENDPOINT": g.Endpoint.text(),
	})
	return fragment{
		settings: files,
		live:     map[string]string{"networks.sh": networks(g.Network), "drop4.rules": g.drop(false), "drop6.rules": g.drop(true)},
		// The image switches net.ipv4.ip_forward on, and /proc/sys can be written in a privileged container only.
		init: []container{onNode(script("gateway-init", g.Image, "gateway-init.sh", &securityContext{Privileged: ptr(true)}))},
		containers: []container{onNode(script("gateway-sidecar", g.Image, "gateway-sidecar.sh",
			netAdmin("NET_BIND_SERVICE", "SETUID", "SETGID", "CHOWN", "DAC_OVERRIDE")))},
		workload: g.TUN.rights(g.Drops),
		limits:   g.TUN.limits(),
		unlinked: true, // a VPN client reads its settings there: by a Service named openvpn it would hear of an OPENVPN_PORT
		labels:   outsideTheMesh(),
	}, nil
}

func (podGateway) claims(files map[string]string) (vxlanID int, network netip.Prefix) {
	settings := map[string]string{}
	for line := range strings.Lines(files["settings.sh"]) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		settings[name] = strings.Trim(value, "'")
	}
	vxlanID, _ = strconv.Atoi(settings["VXLAN_ID"])
	o, _ := ParseOverlayNetwork(settings["VXLAN_IP_NETWORK"])
	return vxlanID, o.prefix
}

// networks is what a pod goes on reaching over its own interface, for direct.sh. In a mesh the kubelet's questions for
// health come from ztunnel's addresses; the answers must go back there.
func networks(n Network) string {
	direct := n.Direct()
	for _, a := range ztunnel {
		direct = append(direct, host(a))
	}
	return shell(map[string]string{"VPNK8S_DIRECT_4": direct.Only(false).join(" "), "VPNK8S_DIRECT_6": direct.Only(true).join(" ")})
}

// netAdmin is a container that may change the pod's network and nothing else. NET_RAW is for the image's ping.
func netAdmin(more ...string) *securityContext {
	return &securityContext{
		AllowPrivilegeEscalation: ptr(false),
		Capabilities:             &capabilities{Add: append([]string{"NET_ADMIN", "NET_RAW"}, more...), Drop: []string{"ALL"}},
	}
}

// run runs a script that may have gone, with the file that it was in or with a routing method: an init container that fails over it
// would keep Juju's agent from starting. A sidecar tries again.
const run = `[ -r %[1]s ] || { echo "%[1]s is not there"; sleep 5; exit 0; }; exec /bin/bash %[1]s`

func script(name, image, file string, as *securityContext) container {
	return container{
		Name: name, Image: cmp.Or(image, PodGatewayImage), Command: []string{"/bin/bash", "-c", fmt.Sprintf(run, configMount+"/"+file)}, SecurityContext: as,
		try: []string{"/bin/bash", "-c", "exit 0"}, option: "pod-gateway-image",
	}
}

// onNode tells a container its node's address: where the pod goes next is not known before, and no setting could say it.
func onNode(c container) container {
	c.Env = []envVar{{Name: "VPNK8S_NODE", ValueFrom: &envSource{FieldRef: fieldRef{"status.hostIP"}}}}
	return c
}

// shell writes settings that root sources: each value typed before it comes here, and quoted all the same.
func shell(settings map[string]string) string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(settings)) {
		fmt.Fprintf(&b, "%s='%s'\n", k, strings.ReplaceAll(settings[k], "'", `'\''`))
	}
	return b.String()
}

func join[T fmt.Stringer](in []T, separator string) string {
	out := make([]string, len(in))
	for i, v := range in {
		out[i] = v.String()
	}
	return strings.Join(out, separator)
}
