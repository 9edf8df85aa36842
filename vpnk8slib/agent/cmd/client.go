package main

import (
	"context"
	"errors"
	"flag"
	"io"
	"net/netip"
	"sync"
	"time"

	"github.com/charmarr/charmarr-go/vpnk8slib/agent/client"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/route"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// clientKey is the name of a client's only key.
const clientKey = "key"

// grace is how long names are still asked for behind a gateway that is not heard: a few lost heartbeats are no reason to say
// that there are none.
const grace = 2 * time.Second

var errNoClient = errors.New("the configuration has no client yet")

func runClient(ctx context.Context, flags *flag.FlagSet, args []string, _, errs io.Writer) error {
	r := newResident(flags, errs, near)
	if err := flags.Parse(args); err != nil {
		return err
	}
	h, err := route.Here()
	if err != nil {
		return err
	}
	defer h.Close()
	var heard admitted
	rules := func() (overlay.Guard, error) {
		g, err := r.rules()
		return heard.only(g), err
	}
	keeper := &client.Keeper{Log: r.log, Handle: h, Admit: func(pod netip.Addr) error {
		heard.set(pod)
		if !pod.IsValid() {
			r.guard.Keep(rules)
			return nil
		}
		return r.guard.Admit(pod)
	}}
	said := says{guard: r.guard}
	said.leaves.Store(uint32(overlay.Unknown)) // until it has been counted
	keeper.Says = said.now
	read := func() (client.Config, error) {
		c, err := overlay.ReadConfig(*r.config)
		if err == nil && c.Client == nil {
			err = errNoClient
		}
		if err != nil {
			return client.Config{}, err
		}
		own, err := c.Client.Of(*r.pod)
		if err != nil {
			return client.Config{}, err
		}
		said.policy.Store(uint32(own.Policy))
		own.Policy = overlay.Unsaid // nothing is laid anew for it
		key, err := r.key(clientKey)
		return client.Config{Client: own, Key: key, Inbound: c.Guard.Inbound}, err
	}
	r.guard.Keep(rules) // before anything is led anywhere
	r.drill = keeper.Drill
	return r.stay(ctx, func(out *overlay.Report) {
		state := keeper.State()
		out.Client = &state
	},
		r.guarding(rules),
		func(ctx context.Context) error { return keeper.Run(ctx, read) },
		said.count,
		r.names(func() bool {
			state := keeper.State()
			return state.Tunnel && time.Since(state.Heard) < grace
		}))
}

// admitted is the gateway's pod as its heartbeats tell it. The charm's file knows it later.
type admitted struct {
	mu  sync.Mutex
	pod netip.Addr
}

func (a *admitted) set(pod netip.Addr) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.pod = pod
}

// only makes it the one whose packets are let in: what else the charm's file may say has not been heard.
func (a *admitted) only(g overlay.Guard) overlay.Guard {
	a.mu.Lock()
	defer a.mu.Unlock()
	if g.Gateways = nil; a.pod.IsValid() {
		g.Gateways = []netip.Addr{a.pod}
	}
	return g
}
