package agent

import (
	"net"
	"strconv"
	"time"

	"github.com/juju/juju/rpc/params"
	"github.com/juju/version/v2"

	"github.com/charmarr/charmarr-go/tests/lab/juju/facade"
	"github.com/charmarr/charmarr-go/tests/lab/juju/model"
)

// modelMethods tell an agent of its model and its controller.
var modelMethods = map[string]Handler{
	"Uniter.CurrentModel": facade.Read(func(c *Conn, _ facade.None) (params.ModelResult, error) {
		return params.ModelResult{Name: c.Model.Name, UUID: c.Model.UUID, Type: "caas"}, nil
	}),
	"Uniter.ModelConfig": facade.Read(func(c *Conn, _ facade.None) (params.ModelConfigResult, error) {
		return params.ModelConfigResult{Config: params.ModelConfig{
			"name": c.Model.Name, "uuid": c.Model.UUID, "type": "kubernetes", "update-status-hook-interval": c.Model.UpdateStatus.String(),
		}}, nil
	}),
	"Uniter.WatchForModelConfigChanges": never,
	"Uniter.APIAddresses": facade.Read(func(c *Conn, _ facade.None) (params.StringsResult, error) {
		return params.StringsResult{Result: c.Addresses}, nil
	}),
	"Uniter.APIHostPorts": facade.Read(func(c *Conn, _ facade.None) (params.APIHostPortsResult, error) {
		return params.APIHostPortsResult{Servers: HostPorts(c.Addresses)}, nil
	}),
	"Uniter.WatchAPIHostPorts": never,
	"Uniter.SLALevel": facade.Read(func(*Conn, facade.None) (params.StringResult, error) {
		return params.StringResult{Result: "unsupported"}, nil
	}),
	"Uniter.CloudAPIVersion": facade.Read(func(*Conn, facade.None) (params.StringResult, error) {
		return params.StringResult{Result: model.KubernetesVersion}, nil
	}),
	"Uniter.GetMeterStatus": facade.Read(func(_ *Conn, args params.Entities) (results[params.MeterStatusResult], error) {
		return each(args.Entities, func(params.Entity) params.MeterStatusResult {
			return params.MeterStatusResult{Code: "AMBER", Info: "not set"}
		})
	}),
	"Uniter.WatchMeterStatus": neverOf,
}

// workerMethods are those of the agent's other workers.
var workerMethods = map[string]Handler{
	"Pinger.Ping": facade.Read(func(*Conn, facade.None) (facade.None, error) { return facade.None{}, nil }),
	"Agent.GetEntities": facade.Read(func(c *Conn, args params.Entities) (params.AgentGetEntitiesResults, error) {
		var out params.AgentGetEntitiesResults
		for _, e := range args.Entities {
			u, err := c.self(e.Tag)
			one := params.AgentGetEntitiesResult{Error: facade.Error(err)}
			if err == nil {
				one.Life = u.Life
			}
			out.Entities = append(out.Entities, one)
		}
		return out, nil
	}),
	"Agent.SetPasswords": facade.Method(func(c *Conn, args params.EntityPasswords) (params.ErrorResults, error) {
		return facade.Each(args.Changes, func(change params.EntityPassword) error {
			u, err := c.self(change.Tag)
			if err == nil {
				u.Password = change.Password
			}
			return err
		}), nil
	}),
	"Upgrader.DesiredVersion": facade.Read(func(_ *Conn, args params.Entities) (results[params.VersionResult], error) {
		v := version.MustParse(model.Version)
		return each(args.Entities, func(params.Entity) params.VersionResult { return params.VersionResult{Version: &v} })
	}),
	"Upgrader.SetTools": facade.Read(func(_ *Conn, args params.EntitiesVersion) (params.ErrorResults, error) {
		return facade.Each(args.AgentTools, func(params.EntityVersion) error { return nil }), nil
	}),
	"Upgrader.WatchAPIVersion": neverOf,
	"MigrationFlag.Phase": facade.Read(func(_ *Conn, args params.Entities) (results[params.PhaseResult], error) {
		return each(args.Entities, func(params.Entity) params.PhaseResult { return params.PhaseResult{Phase: "NONE"} })
	}),
	"MigrationFlag.Watch": neverOf,
	"MigrationMinion.Watch": facade.Read(func(c *Conn, _ facade.None) (params.NotifyWatchResult, error) {
		// The agent's first Next is to be answered: the watcher has not told anything yet.
		see := func() map[string]any { return map[string]any{"": nil} }
		return params.NotifyWatchResult{NotifyWatcherId: c.watchers.Add(see, nil)}, nil
	}),
	"ProxyUpdater.ProxyConfig": facade.Read(func(_ *Conn, args params.Entities) (results[params.ProxyConfigResult], error) {
		return each(args.Entities, func(params.Entity) (r params.ProxyConfigResult) { return r })
	}),
	"ProxyUpdater.WatchForProxyConfigAndAPIHostPortChanges": neverOf,
	"Logger.LoggingConfig": facade.Read(func(_ *Conn, args params.Entities) (results[params.StringResult], error) {
		return each(args.Entities, func(params.Entity) params.StringResult {
			return params.StringResult{Result: "<root>=INFO"}
		})
	}),
	"Logger.WatchLoggingConfig": neverOf,
	"RetryStrategy.RetryStrategy": facade.Read(func(_ *Conn, args params.Entities) (results[params.RetryStrategyResult], error) {
		return each(args.Entities, func(params.Entity) params.RetryStrategyResult {
			return params.RetryStrategyResult{Result: &params.RetryStrategy{
				ShouldRetry: true, MinRetryTime: 5 * time.Second, MaxRetryTime: 5 * time.Minute, JitterRetryTime: true, RetryTimeFactor: 2,
			}}
		})
	}),
	"RetryStrategy.WatchRetryStrategy": neverOf,
	"PayloadsHookContext.List":         facade.Read(func(*Conn, params.Entities) (params.PayloadResults, error) { return params.PayloadResults{}, nil }),
}

// never serves a watcher without arguments of what does not change in the lab.
var never = facade.Read(func(c *Conn, _ facade.None) (params.NotifyWatchResult, error) {
	return params.NotifyWatchResult{NotifyWatcherId: c.notify(func() any { return nil })}, nil
})

// neverOf serves a bulk call for watchers of what does not change in the lab, whatever it is of.
var neverOf = facade.Read(func(c *Conn, args params.Entities) (results[params.NotifyWatchResult], error) {
	return each(args.Entities, func(params.Entity) params.NotifyWatchResult {
		return params.NotifyWatchResult{NotifyWatcherId: c.notify(func() any { return nil })}
	})
})

// HostPorts are addresses as the API tells them. Agents keep no loopback address: they have one of their own.
func HostPorts(addresses []string) [][]params.HostPort {
	var out [][]params.HostPort
	for _, address := range addresses {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			continue
		}
		number, _ := strconv.Atoi(port)
		kind := "ipv4"
		switch ip := net.ParseIP(host); {
		case ip == nil:
			kind = "hostname"
		case ip.To4() == nil:
			kind = "ipv6"
		}
		out = append(out, []params.HostPort{{Address: params.Address{Value: host, Type: kind, Scope: "local-cloud"}, Port: number}})
	}
	return out
}
