package main

import (
	"context"
	"errors"
	"flag"
	"io"

	"github.com/charmarr/charmarr-go/vpnk8slib/agent/gateway"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/route"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/tunnel"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

var errNoGateway = errors.New("the configuration has no gateway yet")

func runGateway(ctx context.Context, flags *flag.FlagSet, args []string, _, errs io.Writer) error {
	r := newResident(flags, errs)
	if err := flags.Parse(args); err != nil {
		return err
	}
	h, err := route.Here()
	if err != nil {
		return err
	}
	defer h.Close()
	var truth tunnel.Watcher
	keeper := &gateway.Keeper{Log: r.log, Handle: h, Tunnel: truth.Up}
	deaf := map[string]bool{} // those whose key was not there, to say it once
	read := func() (gateway.Config, error) {
		c, err := overlay.ReadConfig(*r.config)
		if err == nil && c.Gateway == nil {
			err = errNoGateway
		}
		if err != nil {
			return gateway.Config{}, err
		}
		config := gateway.Config{Gateway: *c.Gateway, Keys: map[string][]byte{}}
		for _, b := range c.Gateway.Blocks { // a client whose key is not there yet takes nothing from the others
			key, err := r.key(b.Name)
			if err != nil && !deaf[b.Name] {
				r.log.Warn("cannot hear an application", "name", b.Name, "error", err)
			}
			if deaf[b.Name] = err != nil; err == nil {
				config.Keys[b.Name] = key
			}
		}
		return config, nil
	}
	r.guard.Keep(r.rules) // before anything is forwarded
	return r.stay(ctx, func(out *overlay.Report) {
		state := keeper.State()
		out.Gateway = &state
	},
		func(ctx context.Context) { r.guard.Run(ctx, r.rules) },
		func(ctx context.Context) { keeper.Run(ctx, read) },
		func(ctx context.Context) {
			truth.Run(ctx, func() (overlay.Gateway, error) {
				c, err := read()
				return c.Gateway, err
			})
		})
}
