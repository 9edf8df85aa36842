package agent

import (
	"strings"

	"github.com/juju/errors"
	apiservererrors "github.com/juju/juju/apiserver/errors"
	"github.com/juju/juju/core/network"
	"github.com/juju/juju/rpc/params"
	"github.com/juju/names/v5"

	"github.com/charmarr/charmarr-go/tests/lab/juju/facade"
	"github.com/charmarr/charmarr-go/tests/lab/juju/model"
)

// In a Kubernetes model a unit has two addresses. The pod's is for the pod itself: Juju binds to it, and tells it nobody.
// What it tells, in databags and as ingress address, is that of the application's Service, which no moved pod changes.
var networkMethods = map[string]Handler{
	"Uniter.PrivateAddress": facade.Read(privateAddress),
	"Uniter.PublicAddress":  facade.Read(publicAddress),
	"Uniter.NetworkInfo":    facade.Read(networkInfo),
	"Uniter.WatchUnitAddressesHash": watchKeys(func(c *Conn, _ *model.Unit) map[string]any {
		address := c.ingress()
		if address != "" {
			address = hash(address)
		}
		return map[string]any{"": text(address)}
	}),
}

// ingress is the Service's address; empty until it is known.
func (c *Conn) ingress() string {
	if a := c.Model.Apps[c.App]; a != nil {
		return a.Address
	}
	return ""
}

// networkSettings are what Juju itself says in a unit's databag, those without a value to be taken out.
func (c *Conn) networkSettings() map[string]string {
	address := c.ingress()
	return map[string]string{
		"ingress-address": address, "private-address": address, "egress-subnets": strings.Join(egress(address), ","),
	}
}

// egress are the subnets that an address stands for.
func egress(address string) []string {
	if address == "" {
		return nil
	}
	return network.SubnetsForAddresses([]string{address})
}

func privateAddress(c *Conn, args params.Entities) (results[params.StringResult], error) {
	return ofUnit(c, args, func(u *model.Unit) (string, error) {
		switch address := c.ingress(); {
		case address != "":
			return address, nil
		case u.Address != "":
			return u.Address, nil
		}
		return "", apiservererrors.NewNoAddressSetError(names.NewUnitTag(u.Name), "private")
	})
}

// publicAddress is never there: the Services that Juju makes are of the cluster only.
func publicAddress(c *Conn, args params.Entities) (results[params.StringResult], error) {
	return ofUnit(c, args, func(u *model.Unit) (string, error) {
		return "", apiservererrors.NewNoAddressSetError(names.NewUnitTag(u.Name), "public")
	})
}

// networkInfo is what network-get shows.
func networkInfo(c *Conn, args params.NetworkInfoParams) (params.NetworkInfoResults, error) {
	out := params.NetworkInfoResults{Results: map[string]params.NetworkInfoResult{}}
	u, err := c.self(args.Unit)
	if err != nil {
		return out, err
	}
	app, err := c.app()
	if err != nil {
		return out, err
	}
	one := params.NetworkInfoResult{Info: []params.NetworkInfo{{}}}
	if u.Address != "" {
		one.Info[0].Addresses = []params.InterfaceAddress{{Address: u.Address}}
	}
	if address := c.ingress(); address != "" {
		one.IngressAddresses, one.EgressSubnets = []string{address}, egress(address)
	}
	endpoints := args.Endpoints
	if args.RelationId != nil {
		r := c.Model.Relations[*args.RelationId]
		if r == nil || !r.Has(c.App) {
			return out, errors.NotFoundf("relation %d", *args.RelationId)
		}
		own, _ := c.ends(r)
		endpoints = append(endpoints, own.Name)
	}
	for _, endpoint := range endpoints {
		out.Results[endpoint] = one
		if !bound(app, endpoint) {
			out.Results[endpoint] = params.NetworkInfoResult{
				Error: facade.Error(errors.NotValidf("undefined for unit charm: endpoint %q", endpoint)),
			}
		}
	}
	return out, nil
}

// bound holds for the names that a charm may ask about: its endpoints, its extra bindings, and those that all charms have.
func bound(app *model.App, endpoint string) bool {
	meta := app.Charm.Charm.Meta()
	_, relation := meta.CombinedRelations()[endpoint]
	_, extra := meta.ExtraBindings[endpoint]
	return relation || extra || endpoint == "juju-info" || endpoint == ""
}
