package agent

import (
	"fmt"
	"slices"

	apiservererrors "github.com/juju/juju/apiserver/errors"
	"github.com/juju/juju/core/network"
	"github.com/juju/juju/rpc/params"
	"github.com/juju/names/v5"

	"github.com/charmarr/charmarr-go/tests/lab/juju/facade"
	"github.com/charmarr/charmarr-go/tests/lab/juju/model"
)

var commitMethods = map[string]Handler{
	"Uniter.CommitHookChanges": facade.Method(commitHookChanges),
}

// commitHookChanges takes what a hook did, all of it or nothing: Juju checks everything first, too.
func commitHookChanges(c *Conn, args params.CommitHookChangesArgs) (params.ErrorResults, error) {
	return facade.Each(args.Args, func(arg params.CommitHookChangesArg) error {
		u, err := c.self(arg.Tag)
		if err != nil {
			return err
		}
		if len(arg.AddStorage) > 0 {
			return facade.NotDone("Uniter", "CommitHookChanges of storage")
		}
		var apply []func()
		for _, check := range []func(params.CommitHookChangesArg) ([]func(), error){c.checkSecrets, c.checkSettings, c.checkPorts} {
			changes, err := check(arg)
			if err != nil {
				return err
			}
			apply = append(apply, changes...)
		}
		if arg.SetUnitState != nil {
			keep(u, *arg.SetUnitState)
		}
		for _, change := range apply {
			change()
		}
		return nil
	}), nil
}

// checkSettings prepares relation-set: a unit's own data, and its application's if it leads.
func (c *Conn) checkSettings(arg params.CommitHookChangesArg) (changes []func(), err error) {
	for _, s := range arg.RelationUnitSettings {
		r := c.relation(s.Relation)
		if r == nil || s.Unit != names.NewUnitTag(c.Unit).String() || (len(s.ApplicationSettings) > 0 && !c.leads()) {
			return nil, apiservererrors.ErrPerm
		}
		changes = append(changes, func() {
			c.Controller.SetUnitData(c.Model, r, c.Unit, s.Settings)
			c.Controller.SetAppData(c.Model, r, c.App, s.ApplicationSettings)
		})
	}
	return changes, nil
}

// checkPorts prepares open-port and close-port.
func (c *Conn) checkPorts(arg params.CommitHookChangesArg) (changes []func(), err error) {
	for _, p := range arg.OpenPorts {
		changes = append(changes, func() { c.setPort(p, true) })
	}
	for _, p := range arg.ClosePorts {
		changes = append(changes, func() { c.setPort(p, false) })
	}
	return changes, nil
}

func (c *Conn) setPort(p params.EntityPortRange, open bool) {
	u, err := c.unit()
	if err != nil {
		return
	}
	text := network.PortRange{FromPort: p.FromPort, ToPort: p.ToPort, Protocol: p.Protocol}.String()
	u.Ports = slices.DeleteFunc(u.Ports, func(have string) bool { return have == text })
	if open {
		u.Ports = append(u.Ports, text)
		slices.Sort(u.Ports)
	}
}

// openedPorts are those of all units of the application, as the agent's ports cache wants them.
func openedPorts(c *Conn, _ facade.None) (params.OpenPortRangesByEndpointResults, error) {
	out := params.OpenPortRangesByEndpointResult{UnitPortRanges: map[string][]params.OpenUnitPortRangesByEndpoint{}}
	for _, u := range c.Model.Units {
		if u.App != c.App || len(u.Ports) == 0 {
			continue
		}
		var ranges []params.PortRange
		for _, text := range u.Ports {
			p, err := network.ParsePortRange(text)
			if err != nil {
				return params.OpenPortRangesByEndpointResults{}, fmt.Errorf("cannot read port %q of %s: %w", text, u.Name, err)
			}
			ranges = append(ranges, params.FromNetworkPortRange(p))
		}
		out.UnitPortRanges[names.NewUnitTag(u.Name).String()] = []params.OpenUnitPortRangesByEndpoint{{PortRanges: ranges}}
	}
	return params.OpenPortRangesByEndpointResults{Results: []params.OpenPortRangesByEndpointResult{out}}, nil
}

// owner is the tag under which secrets of the agent's unit or application stand.
func (c *Conn) owns(s *model.Secret) bool {
	return s.OwnerTag == names.NewUnitTag(c.Unit).String() || s.OwnerTag == names.NewApplicationTag(c.App).String()
}
