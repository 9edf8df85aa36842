// Command agent guards a pod and routes it through the overlay. One binary serves every end; each is a subcommand.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"
)

const usage = `usage: agent COMMAND [FLAG...]

  guard    drop what would leave this pod, or enter it, beside the overlay, and keep it so
  client   guard this pod, and route it through the overlay to its gateway
  gateway  guard this pod, and forward its clients into the tunnel
  status   print what the agent of this pod says of itself

agent COMMAND --help lists the flags of a command.
`

type command func(ctx context.Context, flags *flag.FlagSet, args []string, out, errs io.Writer) error

var commands = map[string]command{"guard": runGuard, "client": runClient, "gateway": runGateway, "status": askStatus}

func main() {
	runtime.GOMAXPROCS(1) // waking a second thread for each heartbeat costs more than all that is done with it
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, out, errs io.Writer) int {
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
