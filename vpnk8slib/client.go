package vpnk8slib

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// Keys of the state's ConfigMap.
const (
	lastGoodKey = "last-good.json"
	probeKey    = "enforcement.json"
)

// ClientPlans says what must hold in the cluster for a consumer: protect before its workload is touched, release after it
// has stopped. The kill switch comes first in every state but Unprotected. Only Routed and Held lay the pod template, Held by what the
// gateway said last, so that one that Juju has made anew leads there again; Locked and Protected leave it untouched, as does the hook that
// breaks a relation.
//
// Where the route cannot be laid protect is there all the same, with the error, and has to be carried out: it holds
// everything but the route. A *TrialError is such an error too: protect then tries what has to be tried.
func ClientPlans(c Client) (protect, release Plan, err error) {
	defer func() { err = told(err, c.App.Name) }()
	state := c.State()
	if state == Unprotected {
		return nil, c.release(), nil
	}
	if err := c.Network.agentsWay(); err != nil {
		return nil, nil, fmt.Errorf("cannot lay the kill switch: %w", err)
	}
	protect = policies(c.App, c.Network)
	last := c.Last
	if state == Routed {
		last = &LastGood{c.Link.Relation, c.Link.Gateway, c.Port()}
		// What changes by itself is not part of what is kept: no write for a new exit address.
		last.Gateway.VPNConnected, last.Gateway.ExternalIP, last.Gateway.Port = false, ProviderData{}.ExternalIP, nil
	}
	if (state == Routed || state == Held) && !c.Breaking {
		var route Plan
		if route, err = c.route(last.Gateway); err != nil {
			last = c.Last // what cannot be routed has not been good
		}
		protect = append(protect, route...)
	} else if !c.Breaking {
		protect = append(protect, c.Trials.clear(c.App)...)
	}
	kept, marshal := c.state(last)
	if marshal != nil {
		return protect, nil, errors.Join(err, marshal)
	}
	return append(protect, kept), nil, err
}

// policies are those that hold an application's pods in every state but Unprotected.
func policies(a App, n Network) Plan {
	all := Plan{{Manager: managerKillSwitch, Apply: KillSwitch(a, n)}}
	if n.Cilium {
		all = append(all, Step{Manager: managerKillSwitch, Apply: ciliumAPIServer(a, n)})
	}
	return all
}

// route is the settings and the pod template that lead through the gateway.
func (c Client) route(d ProviderData) (Plan, error) {
	m, err := methodOf(d.RoutingMethod)
	if err != nil {
		return nil, err
	}
	f, err := m.client(c, d)
	if err != nil {
		return nil, err
	}
	return f.plan(c.App, c.App.clientConfig(), c.Workloads, c.Trials)
}

// HeardURL is what answers with 200, in this pod alone, while the gateway is heard and says that its tunnel is up, and with 503 while it is
// not; empty: by this routing method nobody knows.
func (c Client) HeardURL() string {
	d := c.Link.Gateway
	if c.Link.Err != nil && c.Last != nil {
		d = c.Last.Gateway
	}
	m, err := methodOf(d.RoutingMethod)
	if err != nil || m.heard() == "" {
		return ""
	}
	return fmt.Sprintf("http://127.0.0.1:%d%s", overlay.MetricsPort, m.heard())
}

// Port is the provider's that leads here, or the last that did by this relation; 0: there was none.
func (c Client) Port() int {
	switch {
	case c.Link.Gateway.Port != nil:
		return c.Link.Gateway.Port.Number
	case c.Last != nil && c.Last.Relation == c.Link.Relation:
		return c.Last.Port
	default:
		return 0
	}
}

// state keeps what the next hook needs to know, where the operator can see it.
func (c Client) state(last *LastGood) (Step, error) {
	data := map[string]string{}
	for key, v := range map[string]any{lastGoodKey: last, probeKey: c.Probe} {
		b, err := json.Marshal(v)
		if err != nil {
			return Step{}, fmt.Errorf("cannot write %s: %w", key, err)
		}
		data[key] = string(b)
	}
	return Step{Manager: managerState, Apply: configMap(c.App, c.App.clientState(), data)}, nil
}

func (c Client) release() Plan {
	ref := func(kind, name string) Step { return Step{Delete: Ref{kind, name, c.App.Namespace}} }
	plan := append(c.Trials.clear(c.App),
		Step{Manager: managerTemplate, Apply: unpatched(c.App)},
		ref("ConfigMap", c.App.clientConfig()),
		ref("ConfigMap", c.App.clientState()),
		ref("Secret", c.App.keys()),
		ref("NetworkPolicy", c.App.trials()),
		ref("NetworkPolicy", KillSwitchName(c.App.Name)),
	)
	if c.Network.Cilium {
		plan = append(plan, ref("CiliumNetworkPolicy", KillSwitchName(c.App.Name)))
	}
	return plan
}

// secret holds what only the agent in the application's pods may read.
func secret(a App, name string, content map[string]string) *Object {
	s := a.own("v1", "Secret", name)
	s.Data = map[string]string{}
	for file, text := range content {
		s.Data[file] = base64.StdEncoding.EncodeToString([]byte(text))
	}
	return s
}

func configMap(a App, name string, data map[string]string) *Object {
	m := a.own("v1", "ConfigMap", name)
	m.Data = data
	return m
}
