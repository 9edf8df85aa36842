package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/charmarr/charmarr-go/charms/hook"
	"github.com/charmarr/charmarr-go/vpnk8slib"
)

// complete says what is missing, or does not go together. gluetun would say it in its log only, after its start.
func complete(c Config, app string) error {
	p, w, l := c.provider(), c.protocol(), c.listening()
	_, known := providers[c.Provider]
	_, id := c.secretOption()
	switch {
	case !known:
		return fmt.Errorf("choose a provider: juju config %s vpn-provider=<%s>", app, strings.Join(providerNames(), "|"))
	case !w.served() && p.over(c.Type).elsewhere() != "":
		return fmt.Errorf("gluetun %s has no vpn-type=%s for vpn-provider=%s: juju attach-resource %s gluetun-image=%s", c.gluetun().name, c.Type, c.Provider, app, p.over(c.Type).elsewhere())
	case !w.served():
		other := map[string]string{"wireguard": "openvpn", "openvpn": "wireguard"}[c.Type]
		return fmt.Errorf("vpn-type=%s cannot be used with vpn-provider=%s: juju config %s vpn-type=%s", c.Type, c.Provider, app, other)
	case c.DNSOverTLS && c.RoutingMethod != vpnk8slib.Overlay:
		return fmt.Errorf("dns-over-tls=true cannot be used with vpn-provider=%s by routing-method=%s, some of whose clients ask the cluster's resolver: juju config %s dns-over-tls=false", c.Provider, c.RoutingMethod, app)
	case c.DNSOverTLS:
		return fmt.Errorf("dns-over-tls=true is not supported yet, with vpn-provider=%s or any other: juju config %s dns-over-tls=false", c.Provider, app)
	case vpnk8slib.PortTaken(c.VXLANPort):
		return fmt.Errorf("vxlan-port=%d, for vpn-provider=%s, is, itself or with the heartbeats beside it, where something else listens in the pods of the overlay: juju config %s vxlan-port=%d", c.VXLANPort, c.Provider, app, vpnk8slib.VXLANPort)
	case c.PortServer.known() && c.RoutingMethod != vpnk8slib.Overlay:
		return fmt.Errorf("nat-pmp-server cannot be used with vpn-provider=%s by routing-method=%s, which leads no port to anybody: juju config %s --reset nat-pmp-server, or juju config %[3]s routing-method=overlay", c.Provider, c.RoutingMethod, app)
	}
	if c.PortServer == theRouter && c.Type != "openvpn" {
		return fmt.Errorf("nat-pmp-server=%s cannot be used with vpn-provider=%s vpn-type=%s, whose tunnel names no router: juju config %s --reset nat-pmp-server", c.PortServer, c.Provider, c.Type, app)
	}
	for _, o := range c.given() {
		if o.set && !slices.Contains(o.by, c.Type) {
			return fmt.Errorf("%s cannot be used with vpn-provider=%s vpn-type=%s: juju config %s --reset %s", o.name, c.Provider, c.Type, app, o.name)
		}
		if o.set && o.filter != "" && !slices.Contains(p.chosenBy(), o.filter) {
			return fmt.Errorf("%s cannot be used with vpn-provider=%s, whose servers are chosen by %s: juju config %s --reset %s", o.name, c.Provider, p.choice(), app, o.name)
		}
		// Over OpenVPN gluetun takes the name in a server's certificate from whichever it chose, and the address alone from here.
		if o.set && o.filter != "" && c.EndpointIP.IsValid() && !(c.Type == "openvpn" && o.filter == "SERVER_HOSTNAMES") {
			return fmt.Errorf("%s cannot be used with vpn-endpoint-ip, which is one server of vpn-provider=%s: juju config %s --reset %s, or juju config %[3]s --reset vpn-endpoint-ip", o.name, c.Provider, app, o.name)
		}
	}
	switch {
	case id == "":
		return give(c, app)
	case l == nil:
		return fmt.Errorf("openvpn-protocol=tcp cannot be used with vpn-provider=%s: juju config %s openvpn-protocol=udp", c.Provider, app)
	case w.server && c.Type == "openvpn" && c.EndpointIP.IsValid():
		return fmt.Errorf("vpn-endpoint-ip cannot be used with vpn-provider=%s vpn-type=openvpn, whose file names the server: juju config %s --reset vpn-endpoint-ip", c.Provider, app)
	case !w.server && c.EndpointIP.IsValid() && c.Type == "wireguard" && !c.gluetun().takesServer():
		return fmt.Errorf("vpn-endpoint-ip cannot be used with vpn-provider=%s vpn-type=wireguard in a gluetun before v3.40.4, which chooses a server by itself: juju attach-resource %s gluetun-image=%s, or juju config %[2]s --reset vpn-endpoint-ip",
			c.Provider, app, versions[shipped].image)
	case !w.server && c.PublicKey != "":
		return fmt.Errorf("wireguard-public-key cannot be used with vpn-provider=%s, whose servers' keys gluetun knows: juju config %s --reset wireguard-public-key", c.Provider, app)
	case c.EndpointPort != 0 && l.choices != nil && len(l.choices) == 0:
		return fmt.Errorf("vpn-endpoint-port cannot be used with vpn-provider=%s: juju config %s --reset vpn-endpoint-port", c.Provider, app)
	case c.EndpointPort != 0 && l.choices != nil && !slices.Contains(l.choices, uint16(c.EndpointPort)):
		return fmt.Errorf("vpn-endpoint-port %d is none of %s's: juju config %s vpn-endpoint-port=<%s>",
			c.EndpointPort, c.Provider, app, strings.ReplaceAll(strings.Trim(fmt.Sprint(l.choices), "[]"), " ", "|"))
	}
	if err := overridden(c, app); err != nil {
		return err
	}
	return deviceNeeded(c, app)
}

// needsTUN says whether gluetun wants /dev/net/tun. Versions that do not look for it whatever they then use leave
// the kernel's own WireGuard alone.
func needsTUN(c Config) bool {
	return c.Type == "openvpn" || c.gluetun().wantsTUN || c.Overrides["WIREGUARD_IMPLEMENTATION"] == "userspace"
}

// deviceNeeded asks the operator for the device: a container has none unless it is privileged, or a plugin of the cluster's hands it out.
func deviceNeeded(c Config, app string) error {
	if c.TUN != "" || !needsTUN(c) {
		return nil
	}
	return giveDevice(c, "", app)
}

// giveDevice says how it is given.
func giveDevice(c Config, why, app string) error {
	return fmt.Errorf("gluetun %s needs /dev/net/tun for vpn-provider=%s vpn-type=%s%s: juju config %s tun-device=<resource of your cluster's device plugin, such as squat.ai/tun>, or tun-device=privileged for a privileged container",
		c.gluetun().name, c.Provider, c.Type, why, app)
}

// byKernel says whether gluetun is left with the kernel's own WireGuard: it has no device for another one.
func byKernel(c Config) bool { return c.TUN == "" && !needsTUN(c) }

// given are options that cannot be used with every provider and protocol.
func (c Config) given() []givenOption {
	wireguard, openvpn, both := []string{"wireguard"}, []string{"openvpn"}, []string{"wireguard", "openvpn"}
	return []givenOption{
		{"wireguard-private-key-secret", c.KeySecret != "", wireguard, ""},
		{"wireguard-public-key", c.PublicKey != "", wireguard, ""},
		{"openvpn-secret", c.OpenVPNSecret != "", openvpn, ""},
		{"openvpn-protocol", c.Protocol == "tcp", openvpn, ""},
		{"server-countries", len(c.Countries) > 0, both, "SERVER_COUNTRIES"},
		{"server-regions", len(c.Regions) > 0, both, "SERVER_REGIONS"},
		{"server-cities", len(c.Cities) > 0, both, "SERVER_CITIES"},
		{"server-hostnames", len(c.Hostnames) > 0, both, "SERVER_HOSTNAMES"},
	}
}

type givenOption struct {
	name   string
	set    bool
	by     []string // vpn-type
	filter string   // gluetun's name of what it chooses servers by
}

// choice says by what a provider's servers are chosen, in the words of options, each with a value that it could have.
func (p provider) choice() string {
	var out []string
	for _, o := range (Config{}).given() {
		if slices.Contains(p.chosenBy(), o.filter) {
			out = append(out, o.name+such(o.name))
		}
	}
	var own []string
	for _, name := range p.chosenBy() {
		if _, can := mayOverride[name]; can {
			own = append(own, name)
		}
	}
	if len(own) > 0 {
		out = append(out, "custom-overrides with "+strings.Join(own, ", "))
	}
	if out == nil {
		return "vpn-endpoint-ip" + such("vpn-endpoint-ip") + ", or the secret's config"
	}
	return strings.Join(out, ", ")
}

// such is an example of an option's value, as people read it.
func such(option string) string {
	_, value, _ := strings.Cut(strings.TrimSuffix(hook.Example[Config](option), ">"), "such as ")
	return fmt.Sprintf(" (such as %s)", value)
}

// give says how the secret is given.
func give(c Config, app string) error {
	option, _ := c.secretOption()
	return fmt.Errorf("give %s for vpn-provider=%s: juju add-secret vpn-key %s; juju grant-secret vpn-key %[4]s; juju config %[4]s %[1]s=secret:<id>", option, c.Provider, c.protocol().words(), app)
}

// overridden says which of the settings of gluetun's own do not go with the rest.
func overridden(c Config, app string) error {
	p := c.provider()
	wrong := func(name, why string) error {
		return fmt.Errorf("custom-overrides has %s, which cannot be used with %s: juju config %s custom-overrides=<without %s>", name, why, app, name)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Overrides)) {
		kind, _, _ := strings.Cut(strings.ToLower(name), "_")
		switch {
		case (kind == "wireguard" || kind == "openvpn") && kind != c.Type:
			return wrong(name, fmt.Sprintf("vpn-provider=%s vpn-type=%s", c.Provider, c.Type))
		case name == "SERVER_NAMES" && c.namesServer():
		case mayOverride[name].filter && !off(c.Overrides[name]) && !slices.Contains(p.chosenBy(), name):
			return wrong(name, fmt.Sprintf("vpn-provider=%s, whose servers are chosen by %s", c.Provider, p.choice()))
		case name == forwarding && forwardingWith(c) != "":
			return wrong(name, forwardingWith(c))
		case name == wayOf && wayWith(c) != "":
			return wrong(name, wayWith(c))
		case name == encryption && c.protocol().normal[0] == 0:
			return wrong(name, fmt.Sprintf("vpn-provider=%s, which has no presets", c.Provider))
		case name == "FREE_ONLY" && !off(c.Overrides[name]) && !off(c.Overrides["PORT_FORWARD_ONLY"]):
			return wrong(name, fmt.Sprintf("vpn-provider=%s and PORT_FORWARD_ONLY", c.Provider))
		}
	}
	// A comma alone is a second name to gluetun, over which it ends.
	if name := c.Overrides["SERVER_NAMES"]; c.asksThere() && name == "" || c.namesServer() && strings.Contains(name, ",") {
		return fmt.Errorf("custom-overrides has %s=%s, which for vpn-provider=%s needs the one name that is in its server's certificate: juju config %s custom-overrides=<with SERVER_NAMES=<such as toronto401>>",
			wayOf, c.way(), c.Provider, app)
	}
	return nil
}

// withSecret says what is missing once the secret is read: what may be in it, or an option.
func withSecret(c Config, s Secret, app string) error {
	w := c.protocol()
	set := func(option, example string) error {
		return fmt.Errorf("set %s for vpn-provider=%s, such as %s: juju config %s %s=<%s>", option, c.Provider, example, app, option, fromFile[option])
	}
	switch {
	case c.Type == "openvpn":
	case w.server && !c.EndpointIP.IsValid():
		return set("vpn-endpoint-ip", "198.51.100.7")
	case w.server && c.EndpointPort == 0:
		return set("vpn-endpoint-port", "51820")
	case w.server && c.PublicKey == "":
		return set("wireguard-public-key", "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=")
	}
	return nil
}

// fromFile is where options are found in a WireGuard file.
var fromFile = map[string]string{
	"vpn-endpoint-ip": "address of the server", "vpn-endpoint-port": "port of the server", "wireguard-public-key": "PublicKey of the server",
}
