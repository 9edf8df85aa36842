package vpnk8slib

import (
	"encoding/json"
	"errors"
	"fmt"
)

// Keys of the state's ConfigMap.
const (
	lastGoodKey = "last-good.json"
	probeKey    = "enforcement.json"
)

// ClientPlans says what must hold in the cluster for a consumer: protect before its workload is touched, release after it
// has stopped. The kill switch comes first in every state but Unprotected. Only the way into Routed changes the pod
// template; Held keeps it as it last was, and Locked and Protected leave it untouched.
func ClientPlans(c Client) (protect, release Plan, err error) {
	state := c.State()
	if state == Unprotected {
		return nil, c.release(), nil
	}
	if len(c.Network.APIServers) == 0 {
		return nil, nil, errors.New("cannot lay the kill switch: the API server's address is not known, and without it the policy would lock this unit's agent out")
	}
	protect = Plan{{Manager: managerKillSwitch, Apply: KillSwitch(c.App, c.Network)}}
	if c.Network.Cilium {
		protect = append(protect, Step{Manager: managerKillSwitch, Apply: ciliumAPIServer(c.App)})
	}
	last := c.Last
	switch state {
	case Routed:
		last = &LastGood{c.Link.Relation, c.Link.Gateway}
		// What changes by itself is not part of what is kept: no write for a new exit address.
		last.Gateway.VPNConnected, last.Gateway.ExternalIP = false, ProviderData{}.ExternalIP
		fallthrough
	case Held:
		route, err := c.route(last.Gateway)
		if err != nil {
			return nil, nil, err
		}
		protect = append(protect, route...)
	}
	kept, err := c.state(last)
	if err != nil {
		return nil, nil, err
	}
	return append(protect, kept), nil, nil
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
	return f.plan(c.App, c.App.clientConfig(), c.Workloads), nil
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
	plan := Plan{
		{Manager: managerTemplate, Apply: unpatched(c.App)},
		ref("ConfigMap", c.App.clientConfig()),
		ref("ConfigMap", c.App.clientState()),
		ref("NetworkPolicy", KillSwitchName(c.App.Name)),
	}
	if c.Network.Cilium {
		plan = append(plan, ref("CiliumNetworkPolicy", KillSwitchName(c.App.Name)))
	}
	return plan
}

func configMap(a App, name string, data map[string]string) *Object {
	m := a.own("v1", "ConfigMap", name)
	m.Data = data
	return m
}
