package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/charmarr/charmarr-go/vpnk8slib/agent/gateway"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/names"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/ports"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/route"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/standby"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/tunnel"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

var (
	errNoGateway = errors.New("the configuration has no gateway yet")
	errNotKnown  = errors.New("it is not known yet which unit has the tunnel")
)

// toCluster is every address of the pod: a gateway's metrics are the cluster's to read. The guard lets in whoever reaches the pod's own interface, and
// neither a client by the overlay nor whoever is in the tunnel: those interfaces have rules of their own.
var toCluster = fmt.Sprintf(":%d", overlay.MetricsPort)

func runGateway(ctx context.Context, flags *flag.FlagSet, args []string, _, errs io.Writer) error {
	r := newResident(flags, errs, toCluster)
	agreed := flags.String("standby", overlay.StandbyDir, "the folder with the token for the lease by which several units agree")
	if err := flags.Parse(args); err != nil {
		return err
	}
	h, err := route.Here()
	if err != nil {
		return err
	}
	defer h.Close()
	var truth tunnel.Watcher
	granted := &ports.Keeper{Log: r.log, Tunnel: truth.Up}
	keeper := &gateway.Keeper{Log: r.log, Handle: h, Tunnel: truth.Up, Ports: granted.Leased}
	place := &standby.Keeper{
		Log: r.log, Pod: *r.pod, Server: standby.Server(), Dir: *agreed, Folder: filepath.Dir(*r.socket), Held: keeper.Held,
	}
	place.Resume()
	r.leave, keeper.Lost = place.Leave, place.Lost
	var active atomic.Bool // as it was when the configuration was read
	keeper.Turned = func() bool { return place.Active() != active.Load() }
	var current atomic.Pointer[overlay.Gateway] // as it was read last
	var chosen atomic.Bool                      // the server, by the VPN client: whom somebody has named, perhaps in a secret, is told to nobody
	deaf := map[string]bool{}                   // those whose key was not there, to say it once
	var last *overlay.Gateway                   // that could be read
	read := func() (gateway.Config, error) {
		c, unread := overlay.ReadConfig(*r.config)
		if unread == nil && c.Gateway == nil {
			unread = errNoGateway
		}
		if unread == nil {
			last = c.Gateway
			chosen.Store(c.Guard.Endpoint != nil)
		}
		if last == nil {
			return gateway.Config{}, unread
		}
		own := *last // who has the tunnel does not wait until the file can be read again
		has, known := place.Follow(own.Standby, own.Pod == "" || own.Pod == *r.pod)
		if !known {
			return gateway.Config{}, errNotKnown
		}
		active.Store(has)
		if own.Seen = place.Seen(own); !has { // it stands by: a client that follows it would stay with it
			own.Blocks, own.Seen = nil, nil
		}
		current.Store(&own)
		config := gateway.Config{Gateway: own, Keys: map[string][]byte{}}
		config.Exit, config.Country, config.Listed, config.Refused = netip.Addr{}, "", time.Time{}, false // nothing is laid anew for these
		for _, b := range own.Blocks {                                                                    // a client whose key is not there yet takes nothing from the others
			key, err := r.key(b.Name)
			if err != nil && !deaf[b.Name] {
				r.log.Warn("cannot hear an application", "name", b.Name, "error", err)
			}
			if deaf[b.Name] = err != nil; err == nil {
				config.Keys[b.Name] = key
			}
		}
		return config, unread
	}
	r.guard.Keep(r.rules) // before anything is forwarded
	return r.stay(ctx, func(out *overlay.Report) {
		state := keeper.State()
		state.Lost = truth.Lost()
		if c := current.Load(); c != nil {
			state.Link, state.Exit, state.Country, state.Listed, state.Refused = tunnel.Look(c.Tunnel), c.Exit, c.Country, c.Listed, c.Refused && active.Load()
			if state.Link != nil && !chosen.Load() {
				state.Link.Server = netip.Addr{}
			}
		}
		state.Standby = place.State()
		out.Gateway = &state
	},
		r.guarding(r.rules),
		func(ctx context.Context) error { return keeper.Run(ctx, read) },
		place.Run,
		func(ctx context.Context) error { return truth.Run(ctx, current.Load) },
		func(ctx context.Context) error { return granted.Run(ctx, current.Load) },
		func(ctx context.Context) error { return resolve(ctx, r.log, &r.asked, current.Load) })
}

// resolve answers clients, once the configuration says where, and the overlay's interface is there.
func resolve(ctx context.Context, log *slog.Logger, asked *names.Asked, current func() *overlay.Gateway) error {
	resolver := &names.Resolver{Asked: asked, Route: func(string) (names.Upstream, bool) {
		c := current()
		return names.Upstream{Resolvers: c.Resolvers, Device: c.Tunnel}, true
	}}
	where := func() netip.AddrPort { // not valid: nowhere
		if c := current(); c != nil && c.Names != 0 {
			return netip.AddrPortFrom(c.Address.Addr(), c.Names)
		}
		return netip.AddrPort{}
	}
	said := ""
	for ; ctx.Err() == nil; pause(ctx, 200*time.Millisecond) {
		at := where()
		if !at.IsValid() {
			continue
		}
		// A socket stays at the address that it was bound to, when the overlay's network has long been another.
		here, leave := context.WithCancel(ctx)
		go func() {
			for here.Err() == nil && where() == at {
				pause(here, time.Second) // the file is read more seldom than that
			}
			leave()
		}()
		err := resolver.Serve(here, at)
		leave()
		if err != nil && err.Error() != said {
			said = err.Error()
			log.Warn(said)
		}
	}
	return nil
}
