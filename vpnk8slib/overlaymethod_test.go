package vpnk8slib_test

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/vpnk8slib"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

var related = vpnk8slib.Consumer{Relation: "vpn-gateway:3", App: "qbittorrent", Data: vpnk8slib.RequirerData{
	InstanceName: "qbittorrent", RoutingMethods: vpnk8slib.RoutingMethods(),
}}

const secretURI = "secret://0b8a6c2e-0000-4000-8000-000000000001/9m4e2mr0ui3e8a215n4g"

// byOverlay is a gateway that routes by the overlay, with one consumer.
func byOverlay(t *testing.T) vpnk8slib.Gateway {
	t.Helper()
	g := gateway(t)
	g.App.Unit, g.TUN = "gluetun/0", "squat.ai/tun"
	g.Data.RoutingMethod = vpnk8slib.Overlay
	g.Pod, g.MTU = netip.MustParseAddr("10.42.0.7"), 1320
	g.Probes, g.Resolvers = []netip.AddrPort{netip.MustParseAddrPort("1.1.1.1:443")}, []netip.AddrPort{netip.MustParseAddrPort("9.9.9.9:53")}
	g.Leases = vpnk8slib.Leases{
		Blocks: []overlay.Block{{Name: "vpn-gateway-3", Addresses: netip.MustParsePrefix("172.16.0.16/28")}},
		Keys:   map[string]string{"vpn-gateway-3": "0123456789abcdef0123456789abcdef"},
		Seen:   map[netip.Addr]netip.Addr{netip.MustParseAddr("172.16.0.16"): netip.MustParseAddr("10.42.0.5")},
	}
	return g
}

// offered is what that gateway publishes to its consumer.
func offered(t *testing.T, g vpnk8slib.Gateway) map[string]string {
	t.Helper()
	d, err := g.Offer(related, secretURI)
	require.NoError(t, err)
	bag, err := d.Encode()
	require.NoError(t, err)
	return bag
}

// routedByOverlay is a consumer of that gateway.
func routedByOverlay(t *testing.T) vpnk8slib.Client {
	t.Helper()
	c := routed(t)
	c.Network.Sidecars = true
	c.Link = vpnk8slib.ReadLink("qbittorrent", []vpnk8slib.Relation{{ID: "vpn-gateway:3", App: "gluetun", Remote: offered(t, byOverlay(t))}})
	require.NoError(t, c.Link.Err)
	c.App.Unit, c.Ports, c.Key = "qbittorrent/0", []int{8080}, "0123456789abcdef0123456789abcdef"
	return c
}

func TestGoldenOverlay(t *testing.T) {
	protect, _, err := vpnk8slib.ClientPlans(routedByOverlay(t))
	require.NoError(t, err)
	require.Len(t, protect, 6)
	for n, name := range []string{"", "overlay-client-config.yaml", "overlay-client-keys.yaml", "overlay-client-statefulset.yaml", "overlay-client-pod.yaml", ""} {
		if name != "" {
			golden(t, name, protect[n].Apply)
		}
	}
	// Where some node knows no sidecars the guard comes first all the same, and the agent that stays is a container beside the workload's.
	plain := routedByOverlay(t)
	plain.Network.Sidecars = false
	protect, _, err = vpnk8slib.ClientPlans(plain)
	require.NoError(t, err)
	golden(t, "overlay-client-statefulset-plain.yaml", protect[3].Apply)
	protect, err = vpnk8slib.GatewayPlans(byOverlay(t))
	require.NoError(t, err)
	require.Len(t, protect, 4)
	for n, name := range []string{"overlay-gateway-config.yaml", "overlay-gateway-keys.yaml", "overlay-gateway-statefulset.yaml", "overlay-gateway-pod.yaml"} {
		golden(t, name, protect[n].Apply)
	}
	goldenText(t, "overlay-provider.json", offered(t, byOverlay(t))["config"]+"\n")
}

// A second unit: the leader lays by what their agents agree, before they are told of it, and wakes every unit's kubelet.
func TestGoldenStandby(t *testing.T) {
	g := byOverlay(t)
	g.Standby = vpnk8slib.Standby{Units: []string{"gluetun/1"}, Asked: true, Token: true}
	protect, err := vpnk8slib.GatewayPlans(g)
	require.NoError(t, err)
	require.Len(t, protect, 5+4+1)
	var objects []any
	for _, step := range protect[:5] {
		objects = append(objects, step.Apply)
	}
	golden(t, "overlay-standby.yaml", objects)
	config, err := overlay.ParseConfig([]byte(protect[5].Apply.Data["agent.json"]))
	require.NoError(t, err)
	assert.Equal(t, &overlay.Standby{Namespace: "downloads", Lease: "gluetun-vpn-standby", Free: true}, config.Gateway.Standby)
	assert.Equal(t, "gluetun-0", config.Gateway.Pod, "who begins")
	assert.Equal(t, []string{"gluetun-0", "gluetun-1"}, []string{protect[8].Apply.Metadata.Name, protect[9].Apply.Metadata.Name})
	assert.Equal(t, protect[8].Apply.Metadata.Annotations, protect[9].Apply.Metadata.Annotations)
	alone, err := vpnk8slib.GatewayPlans(byOverlay(t))
	require.NoError(t, err)
	assert.Equal(t, alone[2], protect[7], "no pod is rolled")

	g.Standby.Token = false
	protect, err = vpnk8slib.GatewayPlans(g)
	require.NoError(t, err)
	assert.Equal(t, alone[0], protect[5], "the agents are told when they can ask")

	g.Standby, g.Data.RoutingMethod = vpnk8slib.Standby{Units: []string{"gluetun/1"}, Token: true}, "pod-gateway"
	protect, err = vpnk8slib.GatewayPlans(g)
	require.NoError(t, err)
	assert.Len(t, protect, 2, "whose gateway has no agent")
}

// Units are told that the lease is free where no pod may have the tunnel that has not heard of it: they take it in a moment then.
func TestWhetherALeaseIsFree(t *testing.T) {
	alone := &overlay.Gateway{Pod: "gluetun-0"}
	told := func(free bool) *overlay.Gateway {
		return &overlay.Gateway{Pod: "gluetun-0", Standby: &overlay.Standby{Namespace: "downloads", Lease: "gluetun-vpn-standby", Free: free}}
	}
	for _, test := range []struct {
		summary     string
		before      *overlay.Gateway
		runs, heard bool
		free        bool
	}{
		{"several units from the start", nil, false, false, true},
		{"a second one, and the first has the tunnel", alone, true, false, false},
		{"a second one, and the first has not begun", alone, false, false, true},
		{"another pod was alone, which led before", &overlay.Gateway{Pod: "gluetun-1"}, false, false, false},
		{"another pod was alone, and somebody has the lease by now", &overlay.Gateway{Pod: "gluetun-1"}, false, true, true},
		{"the first has not heard of it yet", told(false), true, false, false},
		{"it does not run, and may have a moment ago", told(false), false, false, false},
		{"it has heard", told(false), true, true, true},
		{"it had heard before its agent began anew", told(true), true, false, true},
	} {
		g := byOverlay(t)
		g.Leases.Before = test.before
		g.Standby = vpnk8slib.Standby{Units: []string{"gluetun/1"}, Asked: true, Token: true, Runs: test.runs, Heard: test.heard}
		protect, err := vpnk8slib.GatewayPlans(g)
		require.NoError(t, err)
		gone := vpnk8slib.Step{Delete: vpnk8slib.Ref{Kind: "Lease", Name: "gluetun-vpn-standby", Namespace: "downloads"}}
		was := test.before != nil && test.before.Standby == nil
		assert.Equal(t, was, slices.ContainsFunc(protect, func(s vpnk8slib.Step) bool { return s.Apply == nil && s == gone }), "%s: one of an earlier time ends", test.summary)
		if was {
			require.Equal(t, gone, protect[0], "before it is laid anew")
			protect = protect[1:]
		}
		config, err := overlay.ParseConfig([]byte(protect[5].Apply.Data["agent.json"]))
		require.NoError(t, err)
		assert.Equal(t, test.free, config.Gateway.Standby.Free, test.summary)
		begins := "gluetun-0"
		if test.before != nil && !test.heard {
			begins = test.before.Pod
		}
		assert.Equal(t, begins, config.Gateway.Pod, "%s: who has the tunnel begins", test.summary)
	}
}

// Both ends read what the library wrote for them, and agree.
func TestBothEndsAgree(t *testing.T) {
	protect, _, err := vpnk8slib.ClientPlans(routedByOverlay(t))
	require.NoError(t, err)
	client, err := overlay.ParseConfig([]byte(protect[1].Apply.Data["agent.json"]))
	require.NoError(t, err)
	protect, err = vpnk8slib.GatewayPlans(byOverlay(t))
	require.NoError(t, err)
	gateway, err := overlay.ParseConfig([]byte(protect[0].Apply.Data["agent.json"]))
	require.NoError(t, err)

	unit, err := client.Client.Of("qbittorrent-3")
	require.NoError(t, err)
	block, ok := gateway.Gateway.Of(unit.Address.Addr())
	require.True(t, ok)
	assert.Equal(t, "vpn-gateway-3", block.Name)
	assert.Equal(t, gateway.Gateway.Address.Addr(), unit.Gateway)
	assert.Equal(t, gateway.Gateway.Address.Bits(), unit.Address.Bits())
	assert.Equal(t, []any{gateway.Gateway.VNI, gateway.Gateway.Port, gateway.Gateway.Beats, gateway.Gateway.MTU}, []any{unit.VNI, unit.Port, unit.Beats, unit.MTU})
	assert.Equal(t, []netip.AddrPort{netip.AddrPortFrom(unit.Gateway, gateway.Gateway.Names)}, client.Names.Outside)
	assert.Empty(t, client.Guard.Gateways, "only who proves to be the gateway is let in")
	_, err = client.Client.Of("qbittorrent-16")
	assert.ErrorContains(t, err, "an application has 16: juju scale-application")
}

// What changes by itself rolls no pod: the kubelet is woken, and the agent reads its files again.
func TestNothingOfTheOverlayRollsAPod(t *testing.T) {
	template := func(change func(*vpnk8slib.Client)) (set, pod string) {
		c := routedByOverlay(t)
		change(&c)
		protect, _, err := vpnk8slib.ClientPlans(c)
		require.NoError(t, err)
		text := func(kind string) string {
			i := slices.IndexFunc(protect, func(s vpnk8slib.Step) bool { return s.Apply.Kind == kind })
			require.GreaterOrEqual(t, i, 0)
			b, err := json.Marshal(protect[i].Apply)
			require.NoError(t, err)
			return string(b)
		}
		return text("StatefulSet"), text("Pod")
	}
	set, pod := template(func(*vpnk8slib.Client) {})
	for summary, change := range map[string]func(*vpnk8slib.Client){
		"the gateway's pod moves": func(c *vpnk8slib.Client) { c.Link.Gateway.Overlay.Pod = netip.MustParseAddr("10.42.0.9") },
		"another key":             func(c *vpnk8slib.Client) { c.Key = "fedcba9876543210fedcba9876543210" },
		"the key comes late":      func(c *vpnk8slib.Client) { c.Key = "" },
		"the API server moves":    func(c *vpnk8slib.Client) { c.Network.APIServers[0] = netip.MustParseAddrPort("10.44.0.2:6443") },
		"another port":            func(c *vpnk8slib.Client) { c.Ports = []int{9090} },
	} {
		same, woken := template(change)
		assert.Equal(t, set, same, summary)
		assert.NotEqual(t, pod, woken, summary)
	}
}

func TestBadOverlayData(t *testing.T) {
	good := offered(t, byOverlay(t))["config"]
	tests := []struct{ from, to, err string }{
		{`"network":"172.16.0.0/20"`, `"network":"172.16.0.0/33"`, "overlay"},
		{`"network":"172.16.0.0/20"`, `"network":"100.64.0.0/20"`, "overlay: network must be a private IPv4 network, such as 172.16.0.0/20, not 100.64.0.0/20"},
		{`"network":"172.16.0.0/20"`, `"network":"172.16.0.0/11"`, "network must be a private IPv4 network"},
		{`"network":"172.16.0.0/20"`, `"network":"192.168.0.0/15"`, "network must be a private IPv4 network"},
		{`"network":"172.16.0.0/20"`, `"network":"fd00::/20"`, "network must be a private IPv4 network"},
		{`"network":"172.16.0.0/20"`, `"network":"172.17.0.0/20"`, "block must be in the overlay's network 172.17.0.0/20"},
		{`"gateway":"172.16.0.1"`, `"gateway":"172.17.0.1"`, "gateway must be another address in 172.16.0.0/20"},
		{`"gateway":"172.16.0.1"`, `"gateway":"172.16.0.17"`, "units must not reach over"},
		{`"block":"172.16.0.16/28"`, `"block":"172.16.0.0/28"`, "units must not reach over"},
		{`"block":"172.16.0.16/28"`, `"block":"$(reboot)"`, "overlay"},
		{`"gateway_pod":"10.42.0.7"`, `"gateway_pod":"172.16.0.7"`, "peer must not be in the overlay"},
		{`"gateway_pod":"10.42.0.7"`, `"gateway_pod":"fe80::1%$(reboot)"`, "gateway_pod must be an IP address without a zone"},
		{`"heartbeat_port":4791`, `"heartbeat_port":4790`, "beats must be another port"},
		{`"heartbeat_port":4791`, `"heartbeat_port":0`, "heartbeat_port must be at least 1"},
		{`"mtu":1320`, `"mtu":10`, "mtu must be from 576"},
		{`"overlay":`, `"x":`, "overlay is required with routing_method overlay"},
	}
	for _, test := range tests {
		require.Contains(t, good, test.from)
		link := vpnk8slib.ReadLink("qbittorrent", []vpnk8slib.Relation{{ID: "vpn-gateway:3", App: "gluetun", Remote: map[string]string{"config": strings.Replace(good, test.from, test.to, 1)}}})
		var invalid *vpnk8slib.InvalidError
		if assert.ErrorAs(t, link.Err, &invalid, test.to) {
			assert.ErrorContains(t, link.Err, test.err, test.to)
		}
	}
}

// Who cannot be routed by the overlay is told what it understands, and that there is no way for it.
func TestAnOldConsumerOfAnOverlay(t *testing.T) {
	g := byOverlay(t)
	old := related
	old.Data.RoutingMethods = nil
	d, err := g.Offer(old, secretURI)
	require.NoError(t, err)
	assert.Equal(t, "pod-gateway", d.RoutingMethod)
	assert.False(t, d.VPNConnected)
	assert.Nil(t, d.Overlay)

	_, err = g.Offer(related, "")
	assert.ErrorIs(t, err, vpnk8slib.ErrNotReady, "the key is not there yet")
	g.Leases.Blocks = nil
	_, err = g.Offer(related, secretURI)
	assert.EqualError(t, err, "cannot give qbittorrent addresses: all of 172.16.0.0/20 are taken: remove the relation of another consumer, or relate it to another gateway")
}
