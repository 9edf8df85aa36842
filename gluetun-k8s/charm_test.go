package main

import (
	"encoding/json"
	"errors"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/charms/hook"
	"github.com/charmarr/charmarr-go/charms/hook/hooktest"
	"github.com/charmarr/charmarr-go/vpnk8slib"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// ready is a hook that sees everything in place; each test breaks one thing.
func ready(t *testing.T) Observed {
	c, errs := options(t, "provider=custom", "addresses=10.2.0.2/32", "public="+publicKey, "ip=198.51.100.200", "port=51820")
	require.Empty(t, errs)
	c.VXLANID, c.VXLANPort, c.PodGatewayImage = 42, vpnk8slib.VXLANPort, vpnk8slib.PodGatewayImage
	c.RoutingMethod, c.AgentImage, c.Resolvers = "pod-gateway", vpnk8slib.AgentImage, resolvers{netip.MustParseAddrPort("9.9.9.9:53")}
	require.NoError(t, complete(c, "gluetun"))
	u := hooktest.Leader("gluetun")
	u.Gateway = true
	return Observed{
		Unit: u, Config: c, Secret: Secret{"private-key": privateKey},
		View: vpnk8slib.GatewayView{Network: hooktest.Network(t), Owner: "6f6b3c5e-0000-4000-8000-000000000001", Trials: hooktest.Proven},
		Pod:  vpnk8slib.Pod{Overlay: true}, Container: hook.Seen{Up: true, Running: true, Checks: map[string]bool{tunnelCheck: true}},
		Tunnel: Tunnel{Up: true, Seen: netip.MustParseAddr("192.0.2.2")},
		Consumers: []vpnk8slib.Consumer{{Relation: consumer, App: "qbittorrent", Data: vpnk8slib.RequirerData{
			InstanceName: "qbittorrent", RoutingMethods: vpnk8slib.RoutingMethods(),
		}}},
	}
}

const consumer = "vpn-gateway:1"

var noon = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

// In the hooks at a pod's and a unit's end nothing is looked at: what runs is stopped, whatever was seen before.
func TestLeaving(t *testing.T) {
	for _, event := range []string{"stop", "remove"} {
		o := ready(t)
		o.Event = event
		o.View, o.Tunnel, o.Consumers = vpnk8slib.GatewayView{}, Tunnel{}, nil // as observe leaves them
		d := Reconcile(o)
		require.Len(t, d.Workloads, 1, event)
		assert.Equal(t, hook.Stopped, d.Workloads[0].Mode, event)
		assert.Empty(t, d.Protect, event)
	}
}

func TestReconcile(t *testing.T) {
	old := vpnk8slib.Consumer{Relation: "vpn-gateway:1", App: "remote-1", Data: vpnk8slib.RequirerData{InstanceName: "sonarr"}}
	forbidden := &vpnk8slib.ForbiddenError{Verb: "get", Object: "ServiceAccount gluetun", Err: errors.New("forbidden")}
	tests := []struct {
		summary string
		change  func(*Observed)
		status  hook.Status
		mode    hook.Mode
	}{
		{"all in place", func(*Observed) {}, hook.Active("connected, seen as 192.0.2.2"), hook.Running},
		{"nobody could be asked who we are", func(o *Observed) { o.Tunnel.Seen = netip.Addr{} }, hook.Active("connected"), hook.Running},
		{"the tunnel is down", func(o *Observed) { o.Tunnel = Tunnel{}; o.Container.Checks[tunnelCheck] = false },
			hook.Waiting("the VPN tunnel is down; see: kubectl -n downloads logs gluetun-0 -c gluetun"), hook.Running},
		{"and gluetun has its doubts", func(o *Observed) {
			o.Tunnel, o.Config.Provider, o.Config.Type = Tunnel{}, "slickvpn", "openvpn"
			o.Container.Checks[tunnelCheck] = false
		},
			hook.Waiting("the VPN tunnel is down; see: kubectl -n downloads logs gluetun-0 -c gluetun; of slickvpn gluetun warns: its certificates are too weak for today's OpenSSL"), hook.Running},
		{"the server does not know the key", func(o *Observed) {
			o.Tunnel = Tunnel{Handshake: Handshake{Known: true}}
			o.Container.Checks[tunnelCheck] = false
		},
			hook.Waiting("the VPN tunnel is down: its server has not answered since it was made; are key and address right?; see: kubectl -n downloads logs gluetun-0 -c gluetun"), hook.Running},
		{"the server is lost", func(o *Observed) {
			o.Tunnel = Tunnel{Handshake: Handshake{true, noon, true}}
			o.Container.Checks[tunnelCheck] = false
		},
			hook.Waiting("the VPN tunnel is down: its server does not answer; it did last at 12:00:00 UTC; see: kubectl -n downloads logs gluetun-0 -c gluetun"), hook.Running},
		{"the server has just answered", func(o *Observed) {
			o.Tunnel = Tunnel{Handshake: Handshake{true, noon, false}}
			o.Container.Checks[tunnelCheck] = false
		},
			hook.Waiting("the VPN tunnel is down: its server answered at 12:00:00 UTC, and nothing comes back from behind it now; see: kubectl -n downloads logs gluetun-0 -c gluetun"), hook.Running},
		{"a handshake alone is no tunnel", func(o *Observed) { o.Tunnel = Tunnel{Handshake: Handshake{true, noon, false}} }, hook.Waiting("waiting for the VPN tunnel"), hook.Running},
		{"the tunnel has not been tried yet", func(o *Observed) { o.Tunnel = Tunnel{} }, hook.Waiting("waiting for the VPN tunnel"), hook.Running},
		{"the provider refuses user and password", func(o *Observed) {
			o.Tunnel = Tunnel{Refused: true}
			o.Config.Type, o.Config.Provider, o.Config.OpenVPNSecret = "openvpn", "private internet access", "secret:9"
		}, hook.Blocked("the server of vpn-provider=private internet access refuses the account: juju update-secret secret:9 user=<user> password=<password>; where it is right, see whether the subscription has ended or has too many connections, and: kubectl -n downloads logs gluetun-0 -c gluetun"), hook.Running},
		{"gluetun is about to start", func(o *Observed) { o.Tunnel, o.Container.Running = Tunnel{}, false }, hook.Maintenance("starting gluetun"), hook.Running},
		{"pods have no IPv4", func(o *Observed) {
			o.Config.RoutingMethod, o.Pod.Address = vpnk8slib.Overlay, netip.MustParseAddr("fd42::7")
		}, hook.Blocked("routing-method=overlay, for vpn-provider=custom, is carried over IPv4, and this pod has fd42::7: juju config gluetun routing-method=pod-gateway"), hook.AsIs},
		{"the agent cannot lay the overlay", func(o *Observed) {
			o.Config.RoutingMethod, o.Pod.Overlay = vpnk8slib.Overlay, false
			o.Pod.Agent = &overlay.Report{Guard: overlay.GuardState{Standing: true, Raw: true}, Gateway: &overlay.GatewayState{Error: "cannot make vxlan0: operation not supported"}}
		}, hook.Waiting("the overlay of this pod does not stand: cannot make vxlan0: operation not supported"), hook.Stopped},
		{"the agent cannot lead clients into a tunnel that is up", func(o *Observed) {
			o.Config.RoutingMethod, o.Consumers = vpnk8slib.Overlay, nil
			o.Pod.Agent = &overlay.Report{Guard: overlay.GuardState{Standing: true, Raw: true}, Gateway: &overlay.GatewayState{Error: "cannot lead clients into tun0: file exists"}}
		}, hook.Active("connected, seen as 192.0.2.2").With("clients are not led as they should be: cannot lead clients into tun0: file exists"), hook.Running},
		{"its kernel holds no raw sockets", func(o *Observed) {
			o.Config.RoutingMethod, o.Consumers = vpnk8slib.Overlay, nil
			o.Pod.Agent = &overlay.Report{Guard: overlay.GuardState{Standing: true, Error: "this node's kernel has no netfilter egress hook"}, Gateway: &overlay.GatewayState{}}
		}, hook.Active("connected, seen as 192.0.2.2").With("the guard of this pod stands, but does not hold raw sockets: this node's kernel has no netfilter egress hook"), hook.Running},
		{"the pod has no overlay yet: gluetun looks at the interfaces once", func(o *Observed) { o.Pod.Overlay = false },
			hook.Maintenance("restarting this pod with the gateway's end of the overlay"), hook.Stopped},
		{"the guard does not stand: gluetun is neither started nor stopped", func(o *Observed) {
			o.Config.RoutingMethod = vpnk8slib.Overlay
			o.Pod.Agent = &overlay.Report{Guard: overlay.GuardState{Error: "cannot write the table"}, Gateway: &overlay.GatewayState{}}
		}, hook.Waiting("the guard of this pod does not stand: cannot write the table"), hook.AsIs},
		{"neither does the overlay", func(o *Observed) {
			o.Config.RoutingMethod, o.Pod.Overlay = vpnk8slib.Overlay, false
			o.Pod.Agent = &overlay.Report{Guard: overlay.GuardState{Error: "cannot write the table"}, Gateway: &overlay.GatewayState{}}
		}, hook.Waiting("the guard of this pod does not stand: cannot write the table"), hook.Stopped},
		{"a wrong option: the tunnel that stands goes on", func(o *Observed) { o.ConfigErr = errors.New("cannot use option vpn-type") }, hook.Blocked("cannot use option vpn-type"), hook.AsIs},
		{"a wrong option before the first start", func(o *Observed) { o.ConfigErr, o.Pod.Overlay = errors.New("cannot use option vpn-type"), false }, hook.Blocked("cannot use option vpn-type"), hook.Stopped},
		{"the grant was taken back", func(o *Observed) { o.SecretErr = operatorError{"juju grant-secret"} }, hook.Blocked("juju grant-secret"), hook.AsIs},
		{"not trusted", func(o *Observed) { o.ViewErr, o.Pod.Overlay = forbidden, false }, hook.Blocked("cannot get ServiceAccount gluetun: not allowed; run: juju trust gluetun --scope=cluster"), hook.Stopped},
		{"the API server does not answer: no policy of ours is in its way", func(o *Observed) {
			o.ViewErr = &url.Error{Op: "Get", URL: "https://10.44.0.1", Err: errors.New("no route")}
		}, hook.Blocked("cannot reach the Kubernetes API server, and no policy of ours stands before it; see: kubectl get --raw /readyz"), hook.AsIs},
		{"its Pebble does not answer", func(o *Observed) { o.Container = hook.Seen{} }, hook.Waiting("waiting for container gluetun"), hook.AsIs},
		{"a second unit", func(o *Observed) { o.Name, o.Leader = "gluetun/1", false },
			hook.Active("standby: the leader has the tunnel; this unit takes over with the lead, in a minute or so"), hook.Stopped},
		{"a consumer that reads no port", func(o *Observed) { o.Consumers = []vpnk8slib.Consumer{old} },
			hook.Active("connected, seen as 192.0.2.2; sonarr reads no VXLAN port: juju config gluetun vxlan-port=8472"), hook.Running},
		{"the same on the kernel's port", func(o *Observed) { o.Consumers, o.Config.VXLANPort = []vpnk8slib.Consumer{old}, 8472 }, hook.Active("connected, seen as 192.0.2.2"), hook.Running},
		{"another gateway has the number that was set: what was laid goes on", func(o *Observed) {
			o.Config.VXLANID = 7
			o.View.Others = vpnk8slib.Claims{{Gateway: "vpn/gluetun", VXLANID: 7}}
			o.choose(vpnk8slib.App{Name: "gluetun", Namespace: "downloads"})
		}, hook.Blocked(`cannot use option vxlan-id="7" with vpn-provider=custom: gateway vpn/gluetun has 7: juju config gluetun vxlan-id=16713740`), hook.AsIs},
		{"another gateway has the number that was laid: both go on", func(o *Observed) {
			o.Config.VXLANID = 7
			o.View.Claim = vpnk8slib.Claim{Gateway: "downloads/gluetun", VXLANID: 7}
			o.View.Others = vpnk8slib.Claims{{Gateway: "downloads/a", VXLANID: 7}}
			o.choose(vpnk8slib.App{Name: "gluetun", Namespace: "downloads"})
		}, hook.Active("connected, seen as 192.0.2.2; vxlan-id=7: gateway downloads/a has 7 as well: juju config gluetun vxlan-id=16713740"), hook.Running},
		{"a consumer that cannot be read", func(o *Observed) {
			o.Consumers = []vpnk8slib.Consumer{{App: "sonarr", Err: &vpnk8slib.InvalidError{From: "sonarr", Err: errors.New("it is not JSON")}}}
		}, hook.Active("connected, seen as 192.0.2.2").With((&vpnk8slib.InvalidError{From: "sonarr", Err: errors.New("it is not JSON")}).Error()), hook.Running},
	}
	for _, test := range tests {
		t.Run(test.summary, func(t *testing.T) {
			o := ready(t)
			test.change(&o)
			d := Reconcile(o)
			assert.Equal(t, test.status, d.Status)
			assert.Equal(t, test.mode, d.Workloads[0].Mode)
			assert.Empty(t, d.Release, "nothing ever takes the gateway's protection away")
		})
	}
}

// OpenVPN goes on as another user, which gluetun has to become and to end; with WireGuard everything is root's, and it gets no such right.
func TestRights(t *testing.T) {
	for _, method := range vpnk8slib.RoutingMethods() {
		for _, test := range []struct {
			kind, rights string
			options      []string
			secret       map[string]string
		}{
			{"wireguard", `["NET_ADMIN","NET_RAW","CHOWN","DAC_OVERRIDE"]`, []string{"provider=nordvpn"}, map[string]string{"private-key": privateKey}},
			{"openvpn", `["NET_ADMIN","NET_RAW","CHOWN","DAC_OVERRIDE","KILL","SETGID","SETUID"]`, []string{"provider=nordvpn", "type=openvpn"}, accounted},
		} {
			c, s, errs := judged(t, test.secret, append(test.options, "overlay=192.168.77")...)
			require.Empty(t, errs)
			o := ready(t)
			c.VXLANID, c.VXLANPort, c.PodGatewayImage, c.AgentImage, c.Resolvers = o.Config.VXLANID, o.Config.VXLANPort, o.Config.PodGatewayImage, o.Config.AgentImage, o.Config.Resolvers
			o.Config, o.Secret = c, s
			o.Config.RoutingMethod, o.Config.TUN, o.View.Network.Devices = method, "squat.ai/tun", []string{"squat.ai/tun"}
			_, template := Reconcile(o).Protect.Parted()
			require.Len(t, template, 1, "%s %s", method, test.kind)
			text, err := json.Marshal(template[0].Apply)
			require.NoError(t, err)
			assert.Contains(t, string(text), `"capabilities":{"add":`+test.rights+`,"drop":["ALL"]}`, "%s %s", method, test.kind)
		}
	}
}

// Consumers are told the truth in every state, and what they were told is never taken back.
func TestPublish(t *testing.T) {
	read := func(d hook.Desired) vpnk8slib.ProviderData {
		t.Helper()
		data, err := vpnk8slib.DecodeProviderData("gluetun", d.Publish[consumer])
		require.NoError(t, err)
		return data
	}
	o := ready(t)
	data := read(Reconcile(o))
	assert.True(t, data.VPNConnected)
	assert.Equal(t, "192.0.2.2", data.ExternalIP.String())
	assert.Equal(t, "gluetun-0.gluetun-endpoints.downloads.svc.cluster.local", data.GatewayDNSName)
	assert.Equal(t, vpnk8slib.VXLANPort, data.VXLANPort)
	assert.Equal(t, "downloads/gluetun", data.Namespace+"/"+data.Application)

	o.Tunnel.Up = false // gluetun still says what it saw then
	data = read(Reconcile(o))
	assert.False(t, data.VPNConnected)
	assert.False(t, data.ExternalIP.IsValid())

	o.ConfigErr = errors.New("cannot use option vpn-type")
	assert.False(t, read(Reconcile(o)).VPNConnected, "a mistake in the options hides nothing")

	for _, option := range []string{"cluster-cidrs", "probe-targets"} {
		o.ConfigErr = errors.Join(errors.New("cannot use option vpn-type"), &hook.OptionError{Name: option})
		assert.Empty(t, Reconcile(o).Publish, "nobody knows what was meant by %s", option)
	}
	o.ConfigErr, o.ViewErr = nil, errors.New("no answer")
	assert.Empty(t, Reconcile(o).Publish, "what is not known is not said")
}

// A consumer that wants a port is told of it, and the operator why there is none.
func TestPorts(t *testing.T) {
	o := ready(t)
	o.Config.RoutingMethod = vpnk8slib.Overlay
	o.Pod.Agent = &overlay.Report{Guard: overlay.GuardState{Standing: true, Raw: true}, Gateway: &overlay.GatewayState{}}
	o.Pod.Address = netip.MustParseAddr("10.42.0.7")
	o.Leases = vpnk8slib.Leases{Blocks: []overlay.Block{{Name: "vpn-gateway-1", Addresses: netip.MustParsePrefix("172.16.0.16/28")}}, Keys: map[string]string{"vpn-gateway-1": "a key"}}
	o.Secrets = map[string]string{consumer: "secret://0b8a6c2e-0000-4000-8000-000000000001/9m4e2mr0ui3e8a215n4g"}
	told := func() *vpnk8slib.Port {
		t.Helper()
		data, err := vpnk8slib.DecodeProviderData("gluetun", Reconcile(o).Publish[consumer])
		require.NoError(t, err)
		return data.Port
	}
	const connected = "connected, seen as 192.0.2.2"
	status := func(want string) { t.Helper(); assert.Equal(t, hook.Active(want), Reconcile(o).Status) }
	lease := func(l overlay.Lease) { o.Pod.Agent.Gateway.Ports = map[string]overlay.Lease{"vpn-gateway-1": l} }
	since := time.Date(2026, 11, 27, 14, 0, 0, 5, time.UTC)
	status(connected)

	o.Consumers[0].Data.WantPort = true
	status(connected + "; qbittorrent wants a port, and nobody is known to grant one: juju config gluetun nat-pmp-server=<address in the tunnel>, or custom-overrides=<with VPN_PORT_FORWARDING_PROVIDER=<whose way it is>>")
	assert.Nil(t, told())
	o.Config.PortServer = by("10.2.0.1")
	status(connected)
	lease(overlay.Lease{Error: "cannot have a UDP port from 10.2.0.1: it does not answer"})
	status(connected + "; no port for qbittorrent: cannot have a UDP port from 10.2.0.1: it does not answer; see who grants them: juju config gluetun nat-pmp-server")
	assert.Nil(t, told())
	lease(overlay.Lease{Port: 40001, Since: since, Lifetime: 60, Until: since.Add(time.Minute)})
	status(connected)
	assert.Equal(t, &vpnk8slib.Port{Number: 40001, Since: since.Truncate(time.Second), Lifetime: 60}, told())

	o.Said = map[string]map[string]string{consumer: Reconcile(o).Publish[consumer]}
	o.ConfigErr = errors.New("cannot use option vpn-type")
	assert.NotNil(t, told(), "an option that is refused takes no port away")
	lease(overlay.Lease{})
	assert.Nil(t, told(), "but one that is lost is withdrawn all the same")
	o.ConfigErr = nil
	lease(overlay.Lease{Port: 40001, Since: since, Lifetime: 60})
	o.Consumers[0].Data.WantPort = false
	assert.Nil(t, told())

	o.Consumers[0].Data.WantPort, o.Config.RoutingMethod = true, "pod-gateway"
	status(connected + "; qbittorrent wants a port, which routing-method=overlay can have: juju config gluetun routing-method=overlay")
}

// What cannot be written to a relation is in the status: consumers go on with what they were told before.
func TestWhatCannotBePublishedIsTold(t *testing.T) {
	o := ready(t)
	assert.Equal(t, hook.Active("connected, seen as 192.0.2.2"), Reconcile(o).Status, "what can be is not")
	o.Config.VXLANPort = 53 // which the options refuse: their check is not the only one
	d := Reconcile(o)
	assert.Empty(t, d.Publish)
	assert.Equal(t, "active", d.Status.Kind)
	assert.Contains(t, d.Status.Message, "; cannot tell qbittorrent of this gateway: vxlan_port")
}

// What cannot be said anew was said before, and stays; how the tunnel is now is said in any case.
func TestPublishTheTunnelAgain(t *testing.T) {
	for summary, change := range map[string]func(*Observed){
		"the API server does not answer": func(o *Observed) { o.View, o.ViewErr = vpnk8slib.GatewayView{}, errors.New("no answer") },
		"networks are refused":           func(o *Observed) { o.ConfigErr = &hook.OptionError{Name: "cluster-cidrs"} },
		"networks overlap":               func(o *Observed) { o.Config.Overlay = overlayOf(t, "10.42.9") },
		"another port, beside a mistake": func(o *Observed) { o.Config.VXLANPort, o.ConfigErr = 8472, errors.New("cannot use option vpn-type") },
	} {
		t.Run(summary, func(t *testing.T) {
			o := ready(t)
			o.Said = Reconcile(o).Publish
			before, err := vpnk8slib.DecodeProviderData("gluetun", o.Said[consumer])
			require.NoError(t, err)
			change(&o)
			assert.Equal(t, o.Said, Reconcile(o).Publish)
			o.Tunnel = Tunnel{}
			after, err := vpnk8slib.DecodeProviderData("gluetun", Reconcile(o).Publish[consumer])
			require.NoError(t, err)
			before.VPNConnected, before.ExternalIP = false, netip.Addr{}
			assert.Equal(t, before, after)

			o.ConfigErr = errors.Join(o.ConfigErr, &hook.OptionError{Name: "probe-targets"})
			assert.Empty(t, Reconcile(o).Publish, "the tunnel was not looked at")
			o.Container.Checks[tunnelCheck] = false
			after, err = vpnk8slib.DecodeProviderData("gluetun", Reconcile(o).Publish[consumer])
			require.NoError(t, err)
			assert.Equal(t, before, after, "the check has seen that it is down")

			o.ConfigErr, o.ViewErr = nil, errors.New("no answer")
			o.Name, o.Tunnel = "gluetun/1", Tunnel{Up: true}
			after, err = vpnk8slib.DecodeProviderData("gluetun", Reconcile(o).Publish[consumer])
			require.NoError(t, err)
			assert.False(t, after.VPNConnected, "another unit's tunnel is none of the pod's that was named")
		})
	}
}

// While an option of the overlay is refused a first consumer is told nothing: what is laid and what the options say are two things.
func TestAFirstConsumerWaitsForTheOptions(t *testing.T) {
	o := ready(t)
	require.NotEmpty(t, Reconcile(o).Publish)
	o.Config.VXLANID = 7
	o.View.Claim = vpnk8slib.Claim{Gateway: "downloads/gluetun", VXLANID: 42, Network: netip.MustParsePrefix("172.16.0.0/24")}
	o.View.Others = vpnk8slib.Claims{{Gateway: "vpn/gluetun", VXLANID: 7}}
	o.Said = map[string]map[string]string{consumer: Reconcile(o).Publish[consumer]}
	o.choose(vpnk8slib.App{Name: "gluetun", Namespace: "downloads"})
	assert.True(t, refused(o, "vxlan-id"))
	assert.Equal(t, 42, o.Config.VXLANID, "what was laid")
	assert.NotEmpty(t, Reconcile(o).Publish[consumer], "who was told hears how the tunnel is")
	o.Said = nil
	assert.Empty(t, Reconcile(o).Publish)
}

// The firewall names the server's port: without it no pod is changed.
func TestPlansNeedTheServer(t *testing.T) {
	o := ready(t)
	o.Config.Overlay = overlayOf(t, "192.168.77")
	protect := Reconcile(o).Protect
	require.NotEmpty(t, protect)
	assert.Contains(t, protect[0].Apply.Data["settings.sh"], "VXLAN_IP_NETWORK='192.168.77'")
	o.ConfigErr = errors.New("set vpn-endpoint-port")
	assert.Empty(t, Reconcile(o).Protect)
}

func overlayOf(t *testing.T, text string) vpnk8slib.OverlayNetwork {
	t.Helper()
	o, err := vpnk8slib.ParseOverlayNetwork(text)
	require.NoError(t, err)
	return o
}

func TestCharmcraft(t *testing.T) {
	hooktest.Charmcraft(t, "charmcraft.yaml", Config{}, hooktest.Names{
		Containers: []string{container},
		Resources:  []string{container + "-image"},
		Provides:   map[string]string{hook.VPNEndpoint: "vpn-gateway", metricsEndpoint: "prometheus_scrape", dashboardEndpoint: "grafana_dashboard"},
		Requires:   map[string]string{loggingEndpoint: "loki_push_api", hook.TracingEndpoint: "tracing"},
		Peers:      map[string]string{unitsEndpoint: "gluetun-units"},
		Secrets:    []string{"openvpn-secret", "wireguard-private-key-secret"},
		Actions:    slices.Collect(maps.Keys(actions)),
		Params: map[string]any{
			hook.VerifyEgressAction: hook.VerifyParams{}, hook.SpeedtestAction: hook.SpeedtestParams{}, "list-servers": listParams{}, "reconnect": againParams{}, "rotate-server": againParams{},
		},
	})
}

// A grant may be long in coming: a new consumer is told meanwhile that there is no way.
func TestNewConsumersDoNotWaitForAGrant(t *testing.T) {
	o := ready(t)
	o.SecretErr, o.Config.EndpointPort = notGranted{"juju grant-secret"}, 0 // which was in the secret's file
	require.Error(t, unsettled(o))
	d := Reconcile(o)
	assert.Equal(t, container, d.Soon.Container)
	assert.Contains(t, d.Publish, consumer)
}

// An image is tried before this pod is made of it. While it is, or where it cannot be used, the tunnel goes on; and consumers keep to the
// route that this pod has, where a new one waits for the image.
func TestImages(t *testing.T) {
	o := ready(t)
	o.Said = Reconcile(o).Publish
	o.Config.PodGatewayImage = "pod-gateway:2"
	o.View.Trials.Settings = "other" // what is laid
	d := Reconcile(o)
	assert.Equal(t, hook.Waiting("trying the image pod-gateway:2 in pod "+d.Protect[1].Apply.Metadata.Name+", before this pod is made of it"), d.Status)
	assert.Equal(t, container, d.Soon.Container)
	assert.Equal(t, hook.AsIs, d.Workloads[0].Mode)
	assert.Equal(t, o.Said, d.Publish)
	assert.Equal(t, "NetworkPolicy gluetun-vpn-trial", d.Protect[0].Apply.Ref().String(), "no settings")
	said := o.Said
	o.Said = map[string]map[string]string{"vpn-gateway:9": said[consumer]}
	assert.Empty(t, Reconcile(o).Publish, "who is new waits for a moment")

	o.View.Trials.Pods = []vpnk8slib.Trial{{Pod: d.Protect[1].Apply.Metadata.Name, Why: "ErrImagePull", Says: "not found"}}
	assert.Equal(t, said, Reconcile(o).Publish, "and no longer, where it is not known for how long")
	o.Said = said
	o.Config.VXLANPort++
	assert.Equal(t, o.Said, Reconcile(o).Publish, "not what is to come")
	o.Config.VXLANPort--
	d = Reconcile(o)
	assert.Equal(t, "blocked", d.Status.Kind)
	assert.Contains(t, d.Status.Message, "cannot use the image pod-gateway:2: ErrImagePull: juju config gluetun pod-gateway-image=<image>; not found; see: kubectl -n downloads describe pod gluetun-vpn-trial-")
	assert.Empty(t, d.Soon)
	assert.Empty(t, d.Protect)

	o.View.Trials.Settings = "" // the first of all pods
	o.Pod = vpnk8slib.Pod{}
	d = Reconcile(o)
	assert.Equal(t, "blocked", d.Status.Kind)
	assert.Equal(t, hook.Stopped, d.Workloads[0].Mode)
	require.Len(t, d.Protect, 1)
	assert.Equal(t, "true", d.Protect[0].Apply.Metadata.Labels[vpnk8slib.Domain+"gateway"], "other gateways see what it takes")
}
