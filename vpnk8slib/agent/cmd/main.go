// Command agent guards a pod and routes it through the overlay. One binary serves every end; each is a subcommand.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/charmarr/charmarr-go/vpnk8slib/agent/guard"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/status"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

const usage = `usage: agent COMMAND [FLAG...]

  guard    drop what would leave this pod, or enter it, beside the overlay, and keep it so
  status   print what the agent of this pod says of itself

agent COMMAND --help lists the flags of a command.
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, out, errs io.Writer) int {
	commands := map[string]func(context.Context, *flag.FlagSet, []string, io.Writer, io.Writer) error{"guard": runGuard, "status": askStatus}
	if len(args) == 0 {
		fmt.Fprint(errs, usage)
		return 2
	}
	if args[0] == "help" || args[0] == "-h" || args[0] == "--help" {
		fmt.Fprint(out, usage)
		return 0
	}
	command, ok := commands[args[0]]
	if !ok {
		fmt.Fprintf(errs, "agent: there is no command %q\n%s", args[0], usage)
		return 2
	}
	flags := flag.NewFlagSet("agent "+args[0], flag.ContinueOnError)
	flags.SetOutput(errs)
	switch err := command(ctx, flags, args[1:], out, errs); err {
	case nil, flag.ErrHelp:
		return 0
	default:
		fmt.Fprintf(errs, "agent: %v\n", err)
		return 1
	}
}

const (
	configFile = "/config/agent.json"
	socketFile = "/run/vpn-agent/agent.sock"
)

// runGuard lays the guard and keeps it. Where it cannot be laid it says so, tries again, and does not end: an init container
// that fails keeps Juju's agent from starting, and then nobody can repair anything. The charm starts no workload meanwhile.
func runGuard(ctx context.Context, flags *flag.FlagSet, args []string, _, errs io.Writer) error {
	config := flags.String("config", configFile, "the agent's configuration")
	socket := flags.String("socket", socketFile, "the unix socket on which the charm asks")
	once := flags.Bool("once", false, "lay the guard, say so if it cannot be laid, and end: for an init container before those that the guard is to hold")
	if err := flags.Parse(args); err != nil {
		return err
	}
	log := slog.New(slog.NewJSONHandler(errs, nil))
	read := func() (overlay.Guard, error) {
		c, err := overlay.ReadConfig(*config)
		return c.Guard, err
	}
	keeper := &guard.Keeper{Log: log}
	if *once {
		keeper.Keep(read)
		return nil
	}
	namespace, err := status.Namespace()
	if err != nil {
		return err
	}
	kept := make(chan struct{})
	go func() {
		defer close(kept)
		keeper.Run(ctx, read)
	}()
	for ctx.Err() == nil { // without its socket the agent still guards
		err := status.Serve(ctx, *socket, func() overlay.Report { return overlay.Report{Namespace: namespace, Guard: keeper.State()} })
		if err == nil {
			break
		}
		log.Error(err.Error())
		select {
		case <-ctx.Done():
		case <-time.After(5 * time.Second):
		}
	}
	<-kept
	return nil
}

func askStatus(ctx context.Context, flags *flag.FlagSet, args []string, out, _ io.Writer) error {
	socket := flags.String("socket", socketFile, "the unix socket on which the agent answers")
	if err := flags.Parse(args); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	report, err := status.Ask(ctx, *socket)
	if err != nil {
		return err
	}
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(report)
}
