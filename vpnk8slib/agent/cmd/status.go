package main

import (
	"context"
	"encoding/json"
	"flag"
	"io"
	"time"

	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

func askStatus(ctx context.Context, flags *flag.FlagSet, args []string, out, _ io.Writer) error {
	socket := flags.String("socket", overlay.Socket, "the unix socket on which the agent answers")
	if err := flags.Parse(args); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	report, err := overlay.Ask(ctx, *socket)
	if err != nil {
		return err
	}
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(report)
}
