package agent

import (
	"fmt"
	"strings"

	"github.com/juju/errors"
	"github.com/juju/juju/agent"
	apiservererrors "github.com/juju/juju/apiserver/errors"
	"github.com/juju/juju/core/life"
	"github.com/juju/juju/rpc/params"
	"github.com/juju/names/v5"
	"github.com/juju/utils/v3"
	"github.com/juju/version/v2"

	"github.com/charmarr/charmarr-go/tests/lab/juju/facade"
	"github.com/charmarr/charmarr-go/tests/lab/juju/model"
)

var introductionMethods = map[string]Handler{
	"CAASApplication.UnitIntroduction": facade.Method(func(c *Conn, args params.CAASUnitIntroductionArgs) (params.CAASUnitIntroductionResult, error) {
		result, err := introduce(c, args)
		return params.CAASUnitIntroductionResult{Result: result, Error: facade.Error(err)}, nil
	}),
	"CAASApplication.UnitTerminating": facade.Read(func(c *Conn, args params.Entity) (params.CAASUnitTerminationResult, error) {
		restart, err := willRestart(c, args.Tag)
		return params.CAASUnitTerminationResult{WillRestart: restart, Error: facade.Error(err)}, nil
	}),
}

// introduce makes a pod its unit's, and gives it what its agent needs to log in.
func introduce(c *Conn, args params.CAASUnitIntroductionArgs) (*params.CAASUnitIntroduction, error) {
	app, err := c.app()
	if err != nil {
		return nil, err
	}
	number, ok := strings.CutPrefix(args.PodName, app.Name+"-")
	name := app.Name + "/" + number
	switch {
	case args.PodUUID == "":
		return nil, errors.NotValidf("pod-uuid")
	case !ok || !names.IsValidUnit(name):
		return nil, errors.NotValidf("pod-name")
	case app.Life != life.Alive:
		return nil, errors.NotProvisionedf("application")
	}
	u := c.Model.Units[name]
	if u == nil || u.Life != life.Alive {
		return nil, errors.NotAssignedf("unrequired unit %s is", name)
	}
	if u.Password, err = utils.RandomPassword(); err != nil {
		return nil, err
	}
	u.ProviderID = args.PodName
	conf, err := agent.NewAgentConfig(agent.AgentConfigParams{
		Paths: agent.Paths{DataDir: "/var/lib/juju", LogDir: "/var/log/juju"},
		Tag:   names.NewUnitTag(name), Controller: names.NewControllerTag(c.Controller.UUID), Model: names.NewModelTag(c.Model.UUID),
		APIAddresses: c.Addresses, CACert: c.CACert, Password: u.Password, UpgradedToVersion: version.MustParse(model.Version),
	})
	if err != nil {
		return nil, fmt.Errorf("cannot make the agent's configuration: %w", err)
	}
	text, err := conf.Render()
	return &params.CAASUnitIntroduction{UnitName: name, AgentConf: text}, err
}

// willRestart tells an agent that is being ended whether its pod comes again: then it stops without a last farewell.
func willRestart(c *Conn, tag string) (bool, error) {
	if tag != names.NewUnitTag(c.Unit).String() {
		return false, apiservererrors.ErrPerm
	}
	u, err := c.unit()
	if err != nil {
		return false, err
	}
	app, err := c.app()
	return err == nil && u.Life == life.Alive && number(u) < app.Scale, err
}

func number(u *model.Unit) int { return names.NewUnitTag(u.Name).Number() }
