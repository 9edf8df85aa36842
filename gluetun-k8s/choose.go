package main

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/charmarr/charmarr-go/charms/hook"
	"github.com/charmarr/charmarr-go/vpnk8slib"
)

// choose fills in what the operator leaves to the charm, and refuses what is another gateway's. An option that is refused is not one that
// was left.
func (o *Observed) choose(app vpnk8slib.App) {
	c := &o.Config
	if set := c.VXLANID; !refused(*o, "vxlan-id") {
		var err error
		c.VXLANID, err = o.View.VXLANID(app, set)
		o.shared("vxlan-id", strconv.Itoa(set), err)
	}
	if set := c.Overlay; !refused(*o, "vxlan-ip-network") {
		var err error
		c.Overlay, err = o.View.OverlayNetwork(app, set, c.RoutingMethod, taken(*c, o.View.Network))
		o.shared("vxlan-ip-network", set.String(), err)
	}
}

// shared says that an option has what another gateway has. What was laid already stays, and is told alone: nobody's tunnel goes for it.
func (o *Observed) shared(option, value string, err error) {
	var taken *vpnk8slib.TakenError
	if !errors.As(err, &taken) {
		return
	}
	whose := fmt.Sprintf("gateway %s has %s", taken.Gateway, taken.Has)
	if taken.Kept {
		o.Shared = append(o.Shared, fmt.Sprintf("%s=%s: %s as well: juju config %s %[1]s=%[5]s", option, value, whose, o.App, taken.Free))
		return
	}
	o.ConfigErr = errors.Join(o.ConfigErr, &hook.OptionError{Kind: "option", Name: option, Value: value, Fix: whose, Example: taken.Free, App: o.App, With: o.Config.beside()})
}
