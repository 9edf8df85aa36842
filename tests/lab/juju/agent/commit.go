package agent

import (
	"fmt"
	"slices"

	"github.com/juju/errors"
	apiservererrors "github.com/juju/juju/apiserver/errors"
	"github.com/juju/juju/core/leadership"
	"github.com/juju/juju/core/network"
	"github.com/juju/juju/rpc/params"
	"github.com/juju/names/v5"

	"github.com/charmarr/charmarr-go/tests/lab/juju/facade"
	"github.com/charmarr/charmarr-go/tests/lab/juju/model"
)

var commitMethods = map[string]Handler{
	"Uniter.CommitHookChanges": facade.Method(commitHookChanges),
}

// commitHookChanges takes what a hook did. As in Juju, what it may not do is found first, then its secrets are changed, one
// call after another and each for good, and then comes the rest, all of it or nothing. So a hook that fails here leaves
// behind what it did to secrets until then, and meets it when it is run again.
func commitHookChanges(c *Conn, args params.CommitHookChangesArgs) (params.ErrorResults, error) {
	return facade.Each(args.Args, func(arg params.CommitHookChangesArg) error {
		u, err := c.self(arg.Tag)
		if err != nil {
			return err
		}
		if err := c.checkCommit(arg); err != nil {
			return err
		}
		if err := c.changeSecrets(arg); err != nil {
			return err
		}
		for _, s := range arg.RelationUnitSettings {
			if len(s.ApplicationSettings) > 0 && !c.leads() {
				return errors.Annotate(leadership.NewNotLeaderError(c.Unit, c.App), "prerequisites failed")
			}
		}
		if arg.UpdateNetworkInfo {
			c.updateNetworkSettings()
		}
		for _, s := range arg.RelationUnitSettings {
			r := c.relation(s.Relation)
			c.Controller.SetUnitData(r, c.Unit, s.Settings)
			c.Controller.SetAppData(r, c.App, s.ApplicationSettings)
		}
		for _, p := range arg.OpenPorts {
			setPort(u, p, true)
		}
		for _, p := range arg.ClosePorts {
			setPort(u, p, false)
		}
		if arg.SetUnitState != nil {
			keep(u, *arg.SetUnitState)
		}
		return nil
	}), nil
}

// checkCommit refuses what is another unit's, or in a relation that the unit has no part in.
func (c *Conn) checkCommit(arg params.CommitHookChangesArg) error {
	switch {
	case len(arg.AddStorage) > 0:
		return facade.NotDone("Uniter", "CommitHookChanges of storage")
	// Without a spec it only counts an upgrade: a leader's agent sends that after every upgrade-charm.
	case arg.SetPodSpec != nil && arg.SetPodSpec.Spec != nil, arg.SetRawK8sSpec != nil:
		return facade.NotDone("Uniter", "CommitHookChanges of pod specs")
	}
	for _, s := range arg.RelationUnitSettings {
		if s.Unit != arg.Tag || c.relation(s.Relation) == nil {
			return apiservererrors.ErrPerm
		}
	}
	for _, p := range slices.Concat(arg.OpenPorts, arg.ClosePorts) {
		if p.Tag != arg.Tag {
			return apiservererrors.ErrPerm
		}
	}
	if arg.SetUnitState != nil && arg.SetUnitState.Tag != arg.Tag {
		return apiservererrors.ErrPerm
	}
	return nil
}

// updateNetworkSettings brings what Juju says of the unit up to date in every relation that it has joined.
func (c *Conn) updateNetworkSettings() {
	for _, r := range c.Model.Relations {
		if _, in := r.UnitData[c.Unit]; in {
			c.Controller.SetUnitData(r, c.Unit, c.networkSettings())
		}
	}
}

func setPort(u *model.Unit, p params.EntityPortRange, open bool) {
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

// owns holds for the secrets of the agent's unit and application.
func (c *Conn) owns(s *model.Secret) bool {
	return s.OwnerTag == names.NewUnitTag(c.Unit).String() || s.OwnerTag == names.NewApplicationTag(c.App).String()
}
