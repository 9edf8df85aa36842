// Command containeragent is Juju's own agent for pods, as juju 3.5 has it, with what charms need of 3.6 beside it:
// see ../../JUJU-3.6.md. Init container, unit agent and juju-exec are Juju's code, unchanged.
package main

import (
	"context"
	"os"
	"path/filepath"

	"github.com/juju/clock"
	"github.com/juju/cmd/v3"
	jujucmd "github.com/juju/juju/cmd"
	initcommand "github.com/juju/juju/cmd/containeragent/initialize"
	unitcommand "github.com/juju/juju/cmd/containeragent/unit"
	"github.com/juju/juju/cmd/jujud/run"
	"github.com/juju/juju/core/machinelock"
	"github.com/juju/juju/juju/names"
	_ "github.com/juju/juju/secrets/provider/all" // secret backends register themselves
	jujuversion "github.com/juju/juju/version"
	"github.com/juju/juju/worker/logsender"
	"github.com/juju/loggo"
	"github.com/juju/version/v2"

	"github.com/charmarr/charmarr-go/tests/lab/juju/model"
)

// logLines is how many log messages the agent keeps until the controller has them.
const logLines = 1 << 20

func main() {
	jujuversion.Current = version.MustParse(model.Version)
	ctx, err := cmd.DefaultContext()
	if err != nil {
		cmd.WriteError(os.Stderr, err)
		os.Exit(2)
	}
	command, err := choose(ctx, filepath.Base(os.Args[0]))
	if err != nil {
		cmd.WriteError(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(cmd.Main(command, ctx, os.Args[1:]))
}

// choose is the command of a program name: the agent is called by several.
func choose(ctx *cmd.Context, name string) (cmd.Command, error) {
	if name == names.JujuExec {
		lock, err := machinelock.New(machinelock.Config{
			AgentName: name, Clock: clock.WallClock, Logger: loggo.GetLogger("juju.machinelock"), LogFilename: filepath.Join("/var/log/juju", machinelock.Filename),
		})
		return &run.RunCommand{MachineLock: lock}, err
	}
	logs, err := logsender.InstallBufferedLogWriter(loggo.DefaultContext(), logLines)
	if err != nil {
		return nil, err
	}
	unit, err := unitcommand.New(ctx, logs)
	if err != nil {
		return nil, err
	}
	agent := jujucmd.NewSuperCommand(cmd.SuperCommandParams{Name: "containerAgent", Doc: "Juju's agent for pods.", Log: jujucmd.DefaultLog})
	agent.Register(initcommand.New())
	agent.Register(withChecks{unit})
	return agent, nil
}

// withChecks is the unit agent that tells its charm of Pebble's checks.
type withChecks struct{ cmd.Command }

// Run runs the unit agent; who watches the checks ends with it.
func (c withChecks) Run(ctx *cmd.Context) error {
	watching, end := context.WithCancel(context.Background())
	defer end()
	watchChecks(watching)
	return c.Command.Run(ctx)
}
