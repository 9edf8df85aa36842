package vpnk8slib

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// Gateway is everything that the gateway's end is made from.
type Gateway struct {
	App      App
	Data     ProviderData // what it publishes
	Network  Network
	Workload string // the container of the VPN client
	TUN      TUN    // how that one gets /dev/net/tun
	Drops    bool   // that one goes on as another user when its tunnel stands
	Image    string // of the routing containers
	Trials   Trials
	Endpoint Endpoint

	// Of the method overlay.
	AgentImage  string
	Leases      Leases
	Standby     Standby
	Pod         netip.Addr       // this pod's own address
	MTU         int              // of what fits through the tunnel, in bytes; 0: not known
	Probes      []netip.AddrPort // outside, asked through the tunnel whether they answer: TCP
	Ports       netip.Addr       // who grants ports of the provider's, by NAT-PMP through the tunnel; zero: nobody
	RouterPorts bool             // the router that the tunnel's routes name does
	Told        string           // where, on the loopback, the VPN client tells which ports it has had granted by itself; empty: it does not
	Exit        netip.Addr       // whom the world sees, told in metrics; zero: not known
	Country     string           // that Exit is in, told alike; empty: not known
	Refused     bool             // the provider does not take the account, told alike
	Listed      time.Time        // of when the servers are that the VPN client chooses from, told alike; zero: not known
	Resolvers   []netip.AddrPort // asked for clients' names, through the tunnel; none: nobody is
}

// Endpoint is where the VPN client's own packets go.
type Endpoint struct {
	Addr  netip.Addr // zero: chosen by the VPN client from its provider's servers
	Ports []uint16
	TCP   bool   // not UDP
	Mark  uint32 // the mark that the VPN client sets on them; asked for only where the address is not known
}

// text is the endpoint in a setting, so that another one makes another pod.
func (e Endpoint) text() string {
	if e.TCP {
		return fmt.Sprint(e.Addr, e.Ports, e.Mark, " tcp")
	}
	return fmt.Sprint(e.Addr, e.Ports, e.Mark)
}

// GatewayPlans says what must hold in the cluster for a gateway, before its VPN client is touched. With a *TrialError protect has to be
// carried out all the same.
func GatewayPlans(g Gateway) (protect Plan, err error) {
	defer func() { err = told(err, g.App.Name) }()
	if err := g.Network.agentsWay(); err != nil {
		return nil, fmt.Errorf("cannot lay the drop rules: %w", err)
	}
	if len(g.Network.Pods) == 0 || len(g.Network.Services) == 0 {
		return nil, errors.New("cannot set up the gateway: the cluster's networks are not known")
	}
	m, err := methodOf(g.Data.RoutingMethod)
	if err != nil {
		return nil, err
	}
	f, err := m.gateway(g)
	if err != nil {
		return nil, err
	}
	protect, err = f.plan(g.App, g.App.gatewayConfig(), []string{g.Workload}, g.Trials)
	for _, s := range protect {
		if s.Apply != nil && s.Apply.Kind == "ConfigMap" {
			s.Apply.Metadata.Labels[gatewayLabel] = "true"
		}
	}
	var trial *TrialError
	if errors.As(err, &trial) && trial.Held { // nothing of it is laid that others would have to hear of
		return protect, err
	}
	return g.withStandby(protect, f), err
}
