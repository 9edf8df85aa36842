package main

import (
	"context"
	"flag"
	"io"

	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

func runGuard(ctx context.Context, flags *flag.FlagSet, args []string, _, errs io.Writer) error {
	r := newResident(flags, errs)
	once := flags.Bool("once", false, "lay the guard, say so if it cannot be laid, and end: for an init container before those that the guard is to hold")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *once {
		r.guard.Keep(r.rules)
		return nil
	}
	return r.stay(ctx, func(*overlay.Report) {}, r.guarding(r.rules),
		r.names(func() bool { return true })) // whether the way is there, another's routes say
}
