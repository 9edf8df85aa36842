package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/charmarr/charmarr-go/charms/hook"
	"github.com/charmarr/charmarr-go/vpnk8slib"
)

// Ports of the provider's are granted by NAT-PMP, by which the agent asks for them; or gluetun has them granted, by what is particular to a
// provider and needs its credentials, and tells the agent which. That it does so it is told by a setting of its own, with which it starts
// again: when the first consumer wants a port, or when the operator says so.

// granter is who grants ports by NAT-PMP: an address in the tunnel, or the router of a tunnel over OpenVPN, which is another one for each
// server. The zero value is nobody.
type granter struct {
	at     netip.Addr
	router bool
}

// theRouter is that one, and routersName what it is called in the option.
var theRouter = granter{router: true}

const routersName = "gateway"

func by(address string) granter { return granter{at: netip.MustParseAddr(address)} }

func (g granter) known() bool { return g != granter{} }

// UnmarshalText reads an address, or its name; an empty text is none.
func (g *granter) UnmarshalText(text []byte) error {
	if string(text) == routersName {
		*g = theRouter
		return nil
	}
	*g = granter{}
	if err := g.at.UnmarshalText(text); err != nil || g.at.IsUnspecified() || g.at.Zone() != "" {
		*g = granter{}
		return errors.New("set an address in the tunnel, such as 10.2.0.1, or over OpenVPN " + routersName)
	}
	return nil
}

func (g granter) String() string {
	if g == theRouter {
		return routersName
	}
	return g.at.String()
}

// forwarding is gluetun's name of that setting.
const forwarding = "VPN_PORT_FORWARDING"

// wayOf is its name of the provider whose way it takes, where the one that is chosen has none: custom.
const wayOf = "VPN_PORT_FORWARDING_PROVIDER"

// way is the provider by whose way gluetun has ports granted; empty: nobody's.
func (c Config) way() providerName {
	if c.provider().borrows {
		return providerName(c.Overrides[wayOf])
	}
	return c.Provider
}

// knowsWay says whether gluetun knows how.
func (c Config) knowsWay() bool { return providers[c.way()].told }

// forwards says whether gluetun has ports granted by itself.
func (c Config) forwards() bool {
	if c.asIsWanted() {
		return c.wanted
	}
	return c.knowsWay() && !off(c.Overrides[forwarding])
}

// declines says whether the operator wants no ports.
func (c Config) declines() bool { return c.Overrides[forwarding] != "" && off(c.Overrides[forwarding]) }

// asIsWanted says whether that is left to consumers.
func (c Config) asIsWanted() bool {
	return c.knowsWay() && c.Overrides[forwarding] == "" && c.RoutingMethod == vpnk8slib.Overlay && !c.PortServer.known()
}

// want hears whether a consumer wants a port, where that has gluetun start otherwise. What it was started with stays until the container is
// another one: who comes and goes, or says now this and now that, ends nobody's connections more than once. A gluetun of another version than
// it is taken for would not start with what it is told for it: no consumer's wish is worth that.
func (o *Observed) want(planned map[string]string) error {
	if !o.Config.asIsWanted() {
		return nil
	}
	if g := o.Config.gluetun(); !g.told {
		o.Config.portless = fmt.Errorf("gluetun's image tells no version; where it is %s: juju config %s custom-overrides=<with %s=on>", g.name, o.App, forwarding)
		return nil
	}
	consumers := o.Consumers
	if consumers == nil { // a unit that has the tunnel and not the lead has not heard them yet
		rels, err := hook.Relations(hook.VPNEndpoint)
		if err != nil {
			return err
		}
		consumers = vpnk8slib.Consumers(rels)
	}
	o.Config.wanted = !off(planned[forwarding]) || slices.ContainsFunc(consumers, func(c vpnk8slib.Consumer) bool { return c.Err == nil && c.Data.WantPort })
	return nil
}

// fitServers holds the options against the provider's own list. A consumer's wish brings nothing down: where the options leave no server that
// leads ports, and no operator asks for one, the tunnel goes on without; and as it runs, where there is no list to be asked.
func (o *Observed) fitServers(ctx context.Context, env hook.Env, planned map[string]string) error {
	wrong, judged, err := unknownServers(ctx, env, o.Config, o.Name)
	wish := o.Config.asIsWanted() && o.Config.wanted
	without := o.Config
	without.wanted = false
	switch {
	case err != nil:
		return err
	case wish && !judged && o.Config.forwardingOnly() && off(planned[forwarding]) && !o.elsewhere(): // else another unit's gluetun runs, and it knows
		without.portless = fmt.Errorf("the list of %s's servers, which says where there is any, cannot be read now; without it: juju config %s custom-overrides=<with %s=on>", o.Config.Provider, o.App, forwarding)
		o.Config = without
	case wish && wrong != nil:
		if o.ConfigErr, _, err = unknownServers(ctx, env, without, o.Name); o.ConfigErr == nil && err == nil {
			without.portless = wrong
			o.Config = without
		}
		return err
	case wrong != nil:
		o.ConfigErr = wrong
	}
	return nil
}

// forwardingOnly says whether gluetun takes only servers that lead ports: of providers whose servers are not all alike, where it has ports
// granted and nobody says otherwise (settings/serverselection.go, setDefaults).
func (c Config) forwardingOnly() bool {
	only, said := c.Overrides["PORT_FORWARD_ONLY"]
	if !said || only == "" {
		return c.forwards() && slices.Contains(c.provider().chosenBy(), "PORT_FORWARD_ONLY")
	}
	return !off(only)
}

// portsTold is where the agent asks; empty: nowhere.
func (c Config) portsTold() string {
	if !c.forwards() {
		return ""
	}
	return "http://" + control + c.gluetun().portRoute
}

// portsRole opens that to whoever is in this pod, without a key: a port is what the whole world may know, and the agent holds no secret of
// gluetun's.
func (c Config) portsRole() string {
	if !c.forwards() {
		return ""
	}
	return fmt.Sprintf("\n[[roles]]\nname = \"ports\"\nroutes = [\"GET %s\"]\nauth = \"none\"\n", c.gluetun().portRoute)
}

// portServer grants ports by NAT-PMP.
func (c Config) portServer() granter {
	switch {
	case c.forwards():
		return granter{}
	case c.PortServer.known():
		return c.PortServer
	}
	return c.protocol().grants
}

// forwardingWith says what does not go together with gluetun's having ports granted.
func forwardingWith(c Config) string {
	switch {
	case off(c.Overrides[forwarding]):
		return ""
	case !c.knowsWay() && c.protocol().grants.known():
		return fmt.Sprintf("vpn-provider=%s, which grants ports without it", c.Provider)
	case c.provider().borrows && !c.knowsWay():
		return fmt.Sprintf("vpn-provider=%s over %s; where NAT-PMP is spoken, nat-pmp-server says by whom, and else %s whose way is taken", c.Provider, c.Type, wayOf)
	case !c.knowsWay():
		return fmt.Sprintf("vpn-provider=%s, which gluetun asks for none", c.Provider)
	}
	return askedWith(c)
}

// wayWith says what does not go together with another provider's way.
func wayWith(c Config) string {
	if !c.provider().borrows {
		return fmt.Sprintf("vpn-provider=%s, of which gluetun knows what there is to know", c.Provider)
	}
	return askedWith(c)
}

// askedWith says what does not go together with either.
func askedWith(c Config) string {
	switch {
	case c.RoutingMethod != vpnk8slib.Overlay:
		return fmt.Sprintf("vpn-provider=%s by routing-method=%s, which leads none to anybody", c.Provider, c.RoutingMethod)
	case c.PortServer.known():
		return fmt.Sprintf("vpn-provider=%s and nat-pmp-server", c.Provider)
	}
	return ""
}

// namesServer says whether SERVER_NAMES is the name in the certificate of the server that the operator has named, by which its API is known.
func (c Config) namesServer() bool {
	return c.provider().borrows && c.way() == "private internet access"
}

// asksThere says whether gluetun asks that API, which wants to know who asks.
func (c Config) asksThere() bool { return c.namesServer() && !c.declines() }

// portNote is what the operator should know of the port of a consumer that wants one.
func portNote(o Observed, c vpnk8slib.Consumer) string {
	name := c.Data.InstanceName
	wants := func(format string, args ...any) string {
		return fmt.Sprintf("%s wants a port, %s", name, fmt.Sprintf(format, args...))
	}
	switch missing := vpnk8slib.NoPort(o.Pod.Agent, c); {
	case o.Config.RoutingMethod != vpnk8slib.Overlay:
		return wants("which routing-method=overlay can have: juju config %s routing-method=overlay", o.App)
	case o.Config.portless != nil:
		return wants("and %v", o.Config.portless)
	case o.Config.knowsWay() && !o.Config.forwards() && !o.Config.PortServer.known():
		return wants("which gluetun could have granted by %s: juju config %s custom-overrides=<without %s=off>", o.Config.way(), o.App, forwarding)
	case !o.Config.forwards() && !o.Config.portServer().known() && o.Config.provider().borrows:
		return wants("and nobody is known to grant one: juju config %s nat-pmp-server=<address in the tunnel>, or custom-overrides=<with %s=<whose way it is>>", o.App, wayOf)
	case !o.Config.forwards() && !o.Config.portServer().known():
		return wants("and nobody is known to grant one: juju config %s nat-pmp-server=<address in the tunnel>", o.App)
	case missing != "":
		return fmt.Sprintf("no port for %s: %s; %s", name, missing, portHelp(o))
	}
	return ""
}

// portHelp is what the operator can do where the provider grants no port.
func portHelp(o Observed) string {
	switch {
	case o.Config.forwards(): // it asks once when the tunnel is up, and never again
		return fmt.Sprintf("have it ask again: juju run %s reconnect; why: %s", o.Name, itsLog(o))
	case o.Config.Provider == "protonvpn" && o.Config.Type == "openvpn" && o.SecretErr == nil && !strings.Contains(o.Secret["user"], "+pmp"): // whom its servers grant ports
		_, id := o.Config.secretOption()
		return fmt.Sprintf("end the user with +pmp: juju update-secret %s user=<user>+pmp password=<password>", id)
	case o.Config.protocol().grants.known() && !o.Config.PortServer.known() && o.Config.Type == "openvpn":
		return fmt.Sprintf("choose servers that grant them: juju config %s custom-overrides=PORT_FORWARD_ONLY=on", o.App)
	case o.Config.protocol().grants.known() && !o.Config.PortServer.known():
		return fmt.Sprintf("make the key with NAT-PMP on, and choose servers that have it: juju config %s custom-overrides=PORT_FORWARD_ONLY=on", o.App)
	}
	return fmt.Sprintf("see who grants them: juju config %s nat-pmp-server", o.App)
}
