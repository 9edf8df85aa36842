package vpnk8slib_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/vpnk8slib"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

func TestState(t *testing.T) {
	tests := []struct {
		summary string
		change  func(*vpnk8slib.Client)
		state   vpnk8slib.State
	}{
		{"all in place", func(c *vpnk8slib.Client) {}, vpnk8slib.Routed},
		{"no relation", func(c *vpnk8slib.Client) { c.Link = vpnk8slib.ReadLink("qbittorrent", nil) }, vpnk8slib.Locked},
		{"no relation, unsafe", func(c *vpnk8slib.Client) { c.Link = vpnk8slib.ReadLink("qbittorrent", nil); c.Unsafe = true }, vpnk8slib.Unprotected},
		{"no relation, routed before", func(c *vpnk8slib.Client) { c.Link = vpnk8slib.ReadLink("qbittorrent", nil); c.Last = last(c) }, vpnk8slib.Locked},
		{"the relation breaks", func(c *vpnk8slib.Client) { c.Link = vpnk8slib.ReadLink("qbittorrent", nil); c.Breaking = true }, vpnk8slib.Locked},
		{"the relation breaks, unsafe", func(c *vpnk8slib.Client) {
			c.Link = vpnk8slib.ReadLink("qbittorrent", nil)
			c.Last, c.Unsafe, c.Breaking = last(c), true, true
		}, vpnk8slib.Protected},
		{"another relation breaks than the one that leads out", func(c *vpnk8slib.Client) { c.Last = last(c); c.Breaking = true }, vpnk8slib.Held},
		{"the relation that leads out breaks, and another gateway is there", func(c *vpnk8slib.Client) {
			c.Last = last(c)
			c.Link.Relation, c.Breaking = "vpn-gateway:4", true
		}, vpnk8slib.Protected},
		{"silent", func(c *vpnk8slib.Client) { c.Link.Err = vpnk8slib.ErrNotReady }, vpnk8slib.Protected},
		{"silent, unsafe", func(c *vpnk8slib.Client) { c.Link.Err = vpnk8slib.ErrNotReady; c.Unsafe = true }, vpnk8slib.Protected},
		{"silent, routed before", func(c *vpnk8slib.Client) { c.Last = last(c); c.Link.Err = vpnk8slib.ErrNotReady }, vpnk8slib.Held},
		{"unreadable", func(c *vpnk8slib.Client) { c.Link.Err = &vpnk8slib.InvalidError{} }, vpnk8slib.Protected},
		{"unreadable, routed before", func(c *vpnk8slib.Client) { c.Last = last(c); c.Link.Err = &vpnk8slib.InvalidError{} }, vpnk8slib.Held},
		{"an error nobody thought of, unsafe", func(c *vpnk8slib.Client) { c.Link.Err = errors.New("?"); c.Unsafe = true }, vpnk8slib.Protected},
		{"tunnel never up", func(c *vpnk8slib.Client) { c.Link.Gateway.VPNConnected = false }, vpnk8slib.Protected},
		{"tunnel down, routed before", func(c *vpnk8slib.Client) { c.Last = last(c); c.Link.Gateway.VPNConnected = false }, vpnk8slib.Routed},
		{"silent, routed before by a relation that was removed", func(c *vpnk8slib.Client) {
			c.Last = last(c)
			c.Link = vpnk8slib.Link{Relation: "vpn-gateway:4", Err: vpnk8slib.ErrNotReady}
		}, vpnk8slib.Protected},
	}
	for _, test := range tests {
		t.Run(test.summary, func(t *testing.T) {
			c := routed(t)
			test.change(&c)
			assert.Equal(t, test.state, c.State())
		})
	}
}

func last(c *vpnk8slib.Client) *vpnk8slib.LastGood {
	return &vpnk8slib.LastGood{Relation: "vpn-gateway:3", Gateway: c.Link.Gateway}
}

// world is every combination of what a consumer can see.
func world(t *testing.T, f func(vpnk8slib.Client, vpnk8slib.Pod)) {
	good := routed(t)
	down := good.Link
	down.Gateway.VPNConnected = false
	links := []vpnk8slib.Link{
		good.Link, down, vpnk8slib.ReadLink("qbittorrent", nil),
		{Relation: "vpn-gateway:3", Err: vpnk8slib.ErrNotReady},
		{Relation: "vpn-gateway:3", Err: &vpnk8slib.InvalidError{From: "gluetun", Err: errors.New("odd")}},
		{Relation: "vpn-gateway:4", Err: vpnk8slib.ErrNotReady},
	}
	for _, link := range links {
		for bits := range 64 {
			c := good
			c.Link = link
			c.Unsafe = bits&1 != 0
			if bits&2 != 0 {
				c.Last = last(&good)
			}
			c.Breaking = bits&32 != 0
			for _, agent := range []*overlay.Report{nil, {}, {Guard: overlay.GuardState{Standing: true, Raw: true}}} {
				f(c, vpnk8slib.Pod{Overlay: bits&4 != 0, Closed: bits&8 != 0, Patched: bits&16 != 0, Agent: agent})
			}
		}
	}
}

func TestNothingButUnsafeWithoutARelationEverOpens(t *testing.T) {
	seen := map[vpnk8slib.State]bool{}
	world(t, func(c vpnk8slib.Client, p vpnk8slib.Pod) {
		state := c.State()
		seen[state] = true
		protect, release, err := vpnk8slib.ClientPlans(c)
		require.NoError(t, err)
		open := errors.Is(c.Link.Err, vpnk8slib.ErrNotRelated) && c.Unsafe && !c.Breaking
		require.Equal(t, open, state == vpnk8slib.Unprotected)
		if open {
			require.Empty(t, protect)
			require.NotEmpty(t, release)
			return
		}
		require.Empty(t, release, "%s", state)
		require.Equal(t, "NetworkPolicy", protect[0].Apply.Kind, "the kill switch comes first in %s", state)
		for _, s := range protect {
			require.NotNil(t, s.Apply, "protecting deletes nothing")
		}
		if c.Breaking {
			for _, s := range slices.Concat(protect, release) {
				require.True(t, s.Apply != nil && s.Apply.Kind != "StatefulSet", "%s changes the pod template while a relation breaks", state)
			}
		}
		if c.MayStart(p) {
			require.True(t, p.Agent != nil && p.Agent.Guard.Standing && p.Overlay, "%s starts a workload in %+v", state, p)
		}
		if c.MayKeep(p) {
			require.True(t, holds(p), "%s keeps a workload in %+v", state, p)
			require.Contains(t, []vpnk8slib.State{vpnk8slib.Routed, vpnk8slib.Held}, state)
		}
	})
	assert.Len(t, seen, 5, "every state was met")
}

// holds says whether nothing leaves a pod but by the overlay: by its routes, or by its guard's own word.
func holds(p vpnk8slib.Pod) bool {
	return p.Patched && p.Closed || p.Agent != nil && p.Agent.Guard.Standing
}

// recorder is a Cluster that writes down what it is asked to do, and may refuse one thing.
type recorder struct {
	steps []string
	fail  string
}

func (r *recorder) Apply(_ context.Context, manager string, obj *vpnk8slib.Object) error {
	return r.record("apply", obj)
}

func (r *recorder) Admits(context.Context, string, *vpnk8slib.Object) (bool, error) {
	return false, nil
}

func (r *recorder) Delete(_ context.Context, ref vpnk8slib.Ref) error { return r.record("delete", ref) }

func (r *recorder) record(verb string, v any) error {
	var o struct {
		Kind, Name string
		Metadata   struct{ Name string }
	}
	b, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(b, &o)
	}
	s := verb + " " + o.Kind + " " + o.Name + o.Metadata.Name
	r.steps = append(r.steps, s)
	if s == r.fail {
		return errors.New("refused")
	}
	return err
}

func TestClientPlans(t *testing.T) {
	lock := "apply NetworkPolicy qbittorrent-vpn-killswitch"
	kept := "apply ConfigMap qbittorrent-vpn-state"
	route := []string{lock, "apply ConfigMap qbittorrent-vpn-client", "apply StatefulSet qbittorrent", kept}
	tests := []struct {
		summary string
		change  func(*vpnk8slib.Client)
		steps   []string
	}{
		{"routed: lock first, then the route", func(c *vpnk8slib.Client) {}, route},
		{"silent: lock, and leave the pods alone", func(c *vpnk8slib.Client) { c.Link.Err = vpnk8slib.ErrNotReady }, []string{lock, kept}},
		{"held: as it last was", func(c *vpnk8slib.Client) { c.Last = last(c); c.Link.Err = vpnk8slib.ErrNotReady }, route},
		{"relation removed: lock, and leave the pods alone", func(c *vpnk8slib.Client) { c.Last = last(c); c.Link = vpnk8slib.ReadLink("qbittorrent", nil) }, []string{lock, kept}},
		{"unsafe: take everything away", func(c *vpnk8slib.Client) { c.Link = vpnk8slib.ReadLink("qbittorrent", nil); c.Unsafe = true }, []string{
			"apply StatefulSet qbittorrent", "delete ConfigMap qbittorrent-vpn-client", "delete ConfigMap qbittorrent-vpn-state", "delete Secret qbittorrent-vpn-keys",
			"delete NetworkPolicy qbittorrent-vpn-trial", "delete NetworkPolicy qbittorrent-vpn-killswitch"}},
	}
	for _, test := range tests {
		t.Run(test.summary, func(t *testing.T) {
			c := routed(t)
			test.change(&c)
			protect, release, err := vpnk8slib.ClientPlans(c)
			require.NoError(t, err)
			var r recorder
			require.NoError(t, vpnk8slib.Reconcile(t.Context(), &r, protect))
			require.NoError(t, vpnk8slib.Reconcile(t.Context(), &r, release))
			assert.Equal(t, test.steps, r.steps)
		})
	}
}

func TestNoRouteWithoutTheKillSwitch(t *testing.T) {
	protect, _, err := vpnk8slib.ClientPlans(routed(t))
	require.NoError(t, err)
	r := recorder{fail: "apply NetworkPolicy qbittorrent-vpn-killswitch"}
	require.Error(t, vpnk8slib.Reconcile(t.Context(), &r, protect))
	assert.Len(t, r.steps, 1)
}

// The provider's networks never widen anything here: only discovery counts.
func TestTheProvidersNetworksAreIgnored(t *testing.T) {
	c := routed(t)
	before, err := json.Marshal(plan(t, c))
	require.NoError(t, err)
	c.Link.Gateway.ClusterCIDRs, err = vpnk8slib.ParseCIDRs("203.0.113.0/24,128.0.0.0/8")
	require.NoError(t, err)
	c.Link.Gateway.ClusterCIDRs = append(c.Link.Gateway.ClusterCIDRs, netip.MustParsePrefix("0.0.0.0/0"))
	after, err := json.Marshal(plan(t, c)[:3])
	require.NoError(t, err)
	assert.NotContains(t, string(after), "128.0.0.0/8")
	assert.NotContains(t, string(after), "203.0.113.0/24")
	assert.NotContains(t, string(after), "0.0.0.0/0")
	assert.Contains(t, string(before), string(after[1:len(after)-1]), "kill switch, settings and template are the same to the letter")
}

func plan(t *testing.T, c vpnk8slib.Client) vpnk8slib.Plan {
	t.Helper()
	protect, _, err := vpnk8slib.ClientPlans(c)
	require.NoError(t, err)
	return protect
}

// A new exit address or a tunnel that goes down and up changes nothing in the cluster: no write, no roll.
func TestWhatChangesByItselfIsNotWritten(t *testing.T) {
	c := routed(t)
	up, err := json.Marshal(plan(t, c))
	require.NoError(t, err)
	c.Last = last(&c)
	c.Link.Gateway.VPNConnected = false
	c.Link.Gateway.ExternalIP = c.Link.Gateway.ClusterDNSIP
	down, err := json.Marshal(plan(t, c))
	require.NoError(t, err)
	assert.Equal(t, string(up), string(down))
}

func TestWithoutTheAgentsWayNothingIsLocked(t *testing.T) {
	tests := []struct {
		summary string
		change  func(*vpnk8slib.Network)
		err     string // and the command that shows what is wrong
	}{
		{"no API server", func(n *vpnk8slib.Network) { n.APIServers = nil }, "the API server's address is not known, and without it this unit's agent would be locked out; see what it announces: kubectl -n default get endpointslices"},
		{"a controller that has only names", func(n *vpnk8slib.Network) { n.Controllers = nil }, "no address of the Juju controller is known, and without it this unit's agent would be locked out; see what it announces, and have it announce an address beside its names: juju show-controller"},
	}
	for _, test := range tests {
		t.Run(test.summary, func(t *testing.T) {
			c, g := routed(t), gateway(t)
			test.change(&c.Network)
			test.change(&g.Network)
			protect, release, err := vpnk8slib.ClientPlans(c)
			require.EqualError(t, err, "cannot lay the kill switch: "+test.err)
			assert.Empty(t, protect)
			assert.Empty(t, release)
			protect, err = vpnk8slib.GatewayPlans(g)
			require.EqualError(t, err, "cannot lay the drop rules: "+test.err)
			assert.Empty(t, protect)
		})
	}
}

// A pod takes the longest prefix: an overlay inside the cluster's networks would lead to the gateway what is for the API
// server. Neither end lays it; the consumer's kill switch does not depend on it.
func TestTheOverlayStaysOffTheClustersNetworks(t *testing.T) {
	prefix := netip.MustParsePrefix
	tests := []struct {
		summary string
		change  func(*vpnk8slib.Network)
		err     string // of both ends, up to whose option it is
		free    string
	}{
		{"inside the services", func(n *vpnk8slib.Network) { n.Services[0] = prefix("172.16.0.0/12") }, "the overlay's network 172.16.0.0/24 overlaps 172.16.0.0/12 of the cluster: choose another: juju config ", "192.168.0"},
		{"around a node's pods", func(n *vpnk8slib.Network) { n.Pods[0] = prefix("172.16.0.64/26") }, "the overlay's network 172.16.0.0/24 overlaps 172.16.0.64/26 of the cluster", "172.16.1"},
		{"the API server is in it", func(n *vpnk8slib.Network) { n.APIServers[0] = netip.MustParseAddrPort("172.16.0.9:6443") }, "overlaps 172.16.0.9/32 of the cluster", "172.16.1"},
		{"the controller is in it", func(n *vpnk8slib.Network) { n.Controllers[0] = netip.MustParseAddrPort("172.16.0.9:17070") }, "overlaps 172.16.0.9/32 of the cluster", "172.16.1"},
		{"the node's resolver is in it", func(n *vpnk8slib.Network) { n.DNSOutside[0] = netip.MustParseAddrPort("172.16.0.9:53") }, "overlaps 172.16.0.9/32 of the cluster", "172.16.1"},
		{"cluster-cidrs", func(n *vpnk8slib.Network) {
			n.Told, n.Pods = true, vpnk8slib.CIDRs{prefix("172.16.0.0/16")}
			n.Services = n.Pods
		}, "the overlay's network 172.16.0.0/24 overlaps 172.16.0.0/16 of the option cluster-cidrs: choose another", "172.17.0"},
	}
	for _, test := range tests {
		for _, held := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, held %t", test.summary, held), func(t *testing.T) {
				c, g := routed(t), gateway(t)
				before := last(&c)
				before.Gateway.VXLANID = 7
				c.Last = before
				if held {
					c.Link.Err = vpnk8slib.ErrNotReady
				}
				test.change(&c.Network)
				test.change(&g.Network)

				protect, release, err := vpnk8slib.ClientPlans(c)
				require.ErrorContains(t, err, "cannot lay the route: ")
				require.ErrorContains(t, err, test.err)
				require.ErrorContains(t, err, "juju config -m downloads gluetun vxlan-ip-network="+test.free)
				assert.Empty(t, release)
				var r recorder
				require.NoError(t, vpnk8slib.Reconcile(t.Context(), &r, protect))
				assert.Equal(t, []string{"apply NetworkPolicy qbittorrent-vpn-killswitch", "apply ConfigMap qbittorrent-vpn-state"}, r.steps)
				assert.Contains(t, protect[1].Apply.Data["last-good.json"], `"vxlan_id":7`, "what cannot be routed has not been good")

				_, err = vpnk8slib.GatewayPlans(g)
				require.ErrorContains(t, err, "cannot set up the gateway: ")
				require.ErrorContains(t, err, test.err)
				require.ErrorContains(t, err, "juju config gluetun vxlan-ip-network="+test.free)

				g.Data.VXLANIPNetwork, err = vpnk8slib.ParseOverlayNetwork(test.free)
				require.NoError(t, err)
				_, err = vpnk8slib.GatewayPlans(g)
				require.NoError(t, err, "the command helps")
			})
		}
	}
}

// No policy and no firewall could name the kernel's choice.
func TestAnOverlayHasItsNumbers(t *testing.T) {
	for _, test := range []struct {
		change func(*vpnk8slib.ProviderData)
		err    string
	}{
		{func(d *vpnk8slib.ProviderData) { d.VXLANPort = 0 }, "vxlan_port is 0, and must be at least 1"},
		{func(d *vpnk8slib.ProviderData) { d.VXLANID = 0 }, "vxlan_id is 0, and must be at least 1"},
	} {
		c, g := routed(t), gateway(t)
		test.change(&c.Link.Gateway)
		_, _, err := vpnk8slib.ClientPlans(c)
		assert.ErrorContains(t, err, test.err)
		test.change(&g.Data)
		_, err = vpnk8slib.GatewayPlans(g)
		assert.ErrorContains(t, err, test.err)
	}
}

// API servers, nodes and controllers come and go by themselves: the running pod is told, and not made anew.
func TestWhatTheClusterChangesByItselfRollsNothing(t *testing.T) {
	tests := []struct {
		summary string
		change  func(*vpnk8slib.Network)
	}{
		{"an API server comes", func(n *vpnk8slib.Network) {
			n.APIServers = append(n.APIServers, netip.MustParseAddrPort("10.44.0.2:6443"))
		}},
		{"the API server moves", func(n *vpnk8slib.Network) { n.APIServers[0] = netip.MustParseAddrPort("10.44.0.3:6443") }},
		{"a node comes", func(n *vpnk8slib.Network) {
			n.Pods = append(n.Pods, netip.MustParsePrefix("10.60.1.0/24"), netip.MustParsePrefix("fd60::/64"))
		}},
		{"a controller moves", func(n *vpnk8slib.Network) { n.Controllers[0] = netip.MustParseAddrPort("10.44.0.7:17070") }},
	}
	for _, test := range tests {
		t.Run(test.summary, func(t *testing.T) {
			c, g := routed(t), gateway(t)
			client, far := plan(t, c), gatewayPlan(t, g)
			test.change(&c.Network)
			test.change(&g.Network)
			client2, far2 := plan(t, c), gatewayPlan(t, g)

			assert.NotEqual(t, client[1].Apply.Data["networks.sh"], client2[1].Apply.Data["networks.sh"])
			assert.Equal(t, client[2].Apply, client2[2].Apply, "the consumer's template")

			assert.NotEqual(t, far[0].Apply.Data["networks.sh"], far2[0].Apply.Data["networks.sh"])
			assert.NotEqual(t, far[0].Apply.Data["drop4.rules"], far2[0].Apply.Data["drop4.rules"])
			assert.Equal(t, far[1].Apply, far2[1].Apply, "the gateway's template")
		})
	}
}

// What the operator changes has its effect at once, in a new pod.
func TestWhatTheOperatorChangesRolls(t *testing.T) {
	before := gatewayPlan(t, gateway(t))
	for summary, change := range map[string]func(*vpnk8slib.Gateway){
		"another server":       func(g *vpnk8slib.Gateway) { g.Endpoint.Addr = netip.MustParseAddr("198.51.100.201") },
		"another port":         func(g *vpnk8slib.Gateway) { g.Endpoint.Ports = []uint16{1637} },
		"a server by its mark": func(g *vpnk8slib.Gateway) { g.Endpoint.Addr, g.Endpoint.Mark = netip.Addr{}, 0xca6c },
		"another overlay": func(g *vpnk8slib.Gateway) {
			g.Data.VXLANIPNetwork = vpnk8slib.FreeOverlay(vpnk8slib.Network{Pods: vpnk8slib.CIDRs{g.Data.VXLANIPNetwork.Prefix()}}, nil)
		},
	} {
		g := gateway(t)
		change(&g)
		assert.NotEqual(t, before[1].Apply, gatewayPlan(t, g)[1].Apply, summary)
	}
}

func gatewayPlan(t *testing.T, g vpnk8slib.Gateway) vpnk8slib.Plan {
	t.Helper()
	protect, err := vpnk8slib.GatewayPlans(g)
	require.NoError(t, err)
	return protect
}

// What is kept of a port is its number, for as long as the relation is the same: a workload goes on listening there while there is none,
// and a lease that is renewed writes nothing.
func TestTheLastPortIsKept(t *testing.T) {
	kept := func(c vpnk8slib.Client) string {
		protect, _, err := vpnk8slib.ClientPlans(c)
		require.NoError(t, err)
		return protect[len(protect)-1].Apply.Data["last-good.json"]
	}
	c := routed(t)
	without := kept(c)
	assert.NotContains(t, without, `"port":`)
	c.Link.Gateway.Port = &vpnk8slib.Port{Number: 40001, Since: time.Unix(1, 0), Lifetime: 60}
	with := kept(c)
	assert.Contains(t, with, `"port":40001`)
	c.Link.Gateway.Port = &vpnk8slib.Port{Number: 40001, Since: time.Unix(2, 0), Lifetime: 50}
	assert.Equal(t, with, kept(c))

	c.Last = &vpnk8slib.LastGood{Relation: c.Link.Relation, Gateway: c.Link.Gateway, Port: 40001}
	c.Link.Gateway.Port = nil
	assert.Equal(t, with, kept(c))
	c.Last.Relation = "vpn-gateway:9"
	assert.Equal(t, without, kept(c), "another relation's")
}
