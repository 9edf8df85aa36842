//go:build datapath

// Package datapath shows the data path with real pods and packets, and without Juju: what vpnk8slib's plans make of two
// StatefulSets on the lab's node. It runs in a lab of its own.
package datapath

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/charmarr/charmarr-go/tests/e2e/world"
	"github.com/charmarr/charmarr-go/vpnk8slib"
)

const (
	namespace = "datapath"
	lab       = "datapath" // its name
)

// The StatefulSets as Juju makes them, as far as the data path can tell: an agent's container first, then the workload's.
const objects = `
apiVersion: v1
kind: Namespace
metadata: {name: datapath}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: gluetun, namespace: datapath}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: client, namespace: datapath}
---
apiVersion: v1
kind: Service
metadata: {name: gluetun-endpoints, namespace: datapath}
spec: {clusterIP: None, publishNotReadyAddresses: true, selector: {app.kubernetes.io/name: gluetun}}
---
apiVersion: v1
kind: Secret
metadata: {name: vpn-key, namespace: datapath}
stringData: {wireguard_private_key: "%[1]s"}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: post-rules, namespace: datapath}
data:
  post-rules.txt: |
    iptables --flush FORWARD
    iptables -A FORWARD -i vxlan0 -o tun0 -j ACCEPT
    iptables -A FORWARD -i tun0 -o vxlan0 -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
    iptables -t mangle -A FORWARD -o tun0 -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu
    iptables -t nat --flush POSTROUTING
    iptables -t nat -A POSTROUTING -o tun0 -j MASQUERADE
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: gluetun, namespace: datapath}
spec:
  serviceName: gluetun-endpoints
  selector: {matchLabels: {app.kubernetes.io/name: gluetun}}
  template:
    metadata: {labels: {app.kubernetes.io/name: gluetun}}
    spec:
      terminationGracePeriodSeconds: 2
      serviceAccountName: gluetun
      containers:
      - {name: charm, image: "lab.local/plain:lab", imagePullPolicy: Never}
      - name: gluetun
        image: lab.local/gluetun-standin:v3.41.1
        imagePullPolicy: Never
        # Waits for the patch as the charm does.
        command: [/bin/sh, -c, "until ip link show vxlan0; do sleep 1; done; exec /gluetun-entrypoint"]
        env:
        - {name: VPN_SERVICE_PROVIDER, value: custom}
        - {name: VPN_TYPE, value: wireguard}
        - {name: WIREGUARD_ADDRESSES, value: 10.2.0.2/32}
        - {name: WIREGUARD_PUBLIC_KEY, value: "%[2]s"}
        - {name: WIREGUARD_ENDPOINT_IP, value: 198.51.100.200}
        - {name: WIREGUARD_ENDPOINT_PORT, value: "51820"}
        - {name: FIREWALL_OUTBOUND_SUBNETS, value: "10.42.0.0/16,10.43.0.0/16,10.44.0.9/32"}
        - {name: FIREWALL_INPUT_PORTS, value: "4790"}
        - {name: HEALTH_TARGET_ADDRESS, value: "203.0.113.2:80"}
        - {name: DOT, value: "off"}
        - {name: DNS_ADDRESS, value: 10.43.0.10}
        volumeMounts:
        - {name: key, mountPath: /run/secrets/wireguard_private_key, subPath: wireguard_private_key}
        - {name: post-rules, mountPath: /iptables}
      volumes:
      - {name: key, secret: {secretName: vpn-key}}
      - {name: post-rules, configMap: {name: post-rules}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: client, namespace: datapath}
spec:
  serviceName: client-endpoints
  selector: {matchLabels: {app.kubernetes.io/name: client}}
  template:
    metadata: {labels: {app.kubernetes.io/name: client}}
    spec:
      terminationGracePeriodSeconds: 2
      serviceAccountName: client
      containers:
      - {name: charm, image: "lab.local/plain:lab", imagePullPolicy: Never}
      - {name: workload, image: "lab.local/plain:lab", imagePullPolicy: Never}
`

// The tests run twice: outside, where they bring a lab up and start themselves inside it, and inside, where the API server is.
func TestMain(m *testing.M) {
	if os.Getenv("DATAPATH_INSIDE") != "" {
		os.Exit(m.Run())
	}
	os.Exit(outside())
}

func outside() int {
	ctx := context.Background()
	w, err := world.New(lab)
	if err == nil {
		err = w.Up(ctx)
	}
	if err == nil {
		_ = os.Setenv("DATAPATH_INSIDE", "1")
		self, _ := os.Executable()
		err = w.Attach(ctx, append([]string{"exec", "--net", "--", self}, os.Args[1:]...)...)
	}
	if err = errors.Join(err, w.Down(ctx)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

type path struct {
	world.World
	t       *testing.T
	kube    vpnk8slib.Kube
	outside world.Outside
}

func TestTheFourFlows(t *testing.T) {
	w, err := world.New(lab)
	require.NoError(t, err)
	p := &path{World: w, t: t}
	info, err := p.Info(t.Context())
	require.NoError(t, err)
	var config *rest.Config
	config, err = clientcmd.BuildConfigFromFlags("", info.Kubeconfig)
	require.NoError(t, err)
	p.kube, err = vpnk8slib.NewKube(config)
	require.NoError(t, err)
	key, err := os.ReadFile(info.VPN.Subscriptions[0].KeyFile)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "objects.yaml")
	require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, objects, strings.TrimSpace(string(key)), info.VPN.PublicKey), 0o600))
	p.kubectl("apply", "-f", file)

	network, err := vpnk8slib.Discover(t.Context(), p.kube, vpnk8slib.Overrides{
		ResolvConf: "search svc.cluster.local\nnameserver 10.43.0.10\n", Controllers: []netip.AddrPort{netip.MustParseAddrPort("10.44.0.9:17070")}})
	require.NoError(t, err)
	overlay, err := vpnk8slib.ParseOverlayNetwork("172.16.0")
	require.NoError(t, err)
	data := vpnk8slib.ProviderData{RoutingMethod: "pod-gateway", GatewayDNSName: "gluetun-0.gluetun-endpoints." + namespace + ".svc.cluster.local",
		VXLANID: 42, VXLANIPNetwork: overlay, VXLANPort: vpnk8slib.VXLANPort, ClusterCIDRs: network.Cluster(), ClusterDNSIP: network.DNS[0],
		VPNConnected: true, InstanceName: "gluetun", Namespace: namespace, Application: "gluetun"}
	client := vpnk8slib.Client{App: vpnk8slib.App{Name: "client", Namespace: namespace}, Network: network, Workloads: []string{"workload"},
		Image: info.Images["pod-gateway-image"], AgentImage: info.Images["vpn-agent-image"], Link: vpnk8slib.Link{Relation: "vpn-gateway:1", Gateway: data}}

	client.Trials.Images = []string{client.Image, client.AgentImage} // the node has them

	// The client comes first and its gateway is not there: its pod starts all the same, closed.
	protect, _, err := vpnk8slib.ClientPlans(client)
	require.NoError(t, err)
	require.NoError(t, vpnk8slib.Reconcile(t.Context(), p.kube, protect))
	p.kubectl("-n", namespace, "rollout", "status", "statefulset/client", "--timeout=90s")
	p.blocked("there is no gateway")
	p.internal("there is no gateway")

	// The gateway comes: the client finds it by itself.
	gateway := vpnk8slib.Gateway{App: vpnk8slib.App{Name: "gluetun", Namespace: namespace}, Data: data, Network: network, Workload: "gluetun", TUN: vpnk8slib.Privileged,
		Image: info.Images["pod-gateway-image"], Trials: client.Trials, Endpoint: vpnk8slib.Endpoint{Addr: netip.MustParseAddr(info.VPN.Endpoint), Ports: []uint16{uint16(info.VPN.Port)}}}
	protect, err = vpnk8slib.GatewayPlans(gateway)
	require.NoError(t, err)
	require.NoError(t, vpnk8slib.Reconcile(t.Context(), p.kube, protect))
	p.kubectl("-n", namespace, "rollout", "status", "statefulset/gluetun", "--timeout=90s")
	p.external("gateway there")
	p.internal("gateway there")

	// The route breaks.
	_, err = p.Lab(t.Context(), "exec", "--pod", namespace+"/client-0", "--", "ip", "link", "del", "vxlan0")
	require.NoError(t, err)
	p.confined("vxlan0 gone") // until it is made anew, which is soon
	p.internal("vxlan0 gone")
	p.external("vxlan0 made anew")

	// The tunnel goes down.
	_, err = p.Lab(t.Context(), "tunnel", "down")
	require.NoError(t, err)
	p.blocked("tunnel down")
	p.internal("tunnel down")
	_, err = p.Lab(t.Context(), "tunnel", "up")
	require.NoError(t, err)
	p.external("tunnel up again")

	// The gateway moves.
	p.kubectl("-n", namespace, "delete", "pod", "gluetun-0")
	p.external("gateway moved")
}

func (p *path) kubectl(args ...string) {
	p.t.Helper()
	_, err := p.Kubectl(p.t.Context(), args...)
	require.NoError(p.t, err)
}

// external waits until the world sees the VPN's address, and saw no other on the way.
func (p *path) external(when string) {
	p.t.Helper()
	start := time.Now()
	err := world.Until(p.t.Context(), 2*time.Minute, func() string {
		dst := p.outside.Next()
		seen, err := p.Probe(p.t.Context(), namespace+"/client-0", "workload", "http", dst)
		if err != nil {
			return err.Error()
		}
		n, err := p.OnUplink(p.t.Context(), dst)
		require.NoError(p.t, err)
		require.Zero(p.t, n[dst], "LEAK, %s: packets to %s left outside the tunnel, seen as %s", when, dst, seen)
		if seen.Source == world.VPNAddress {
			return ""
		}
		return fmt.Sprintf("the world sees %s", seen)
	})
	require.NoError(p.t, err, when)
	p.t.Logf("%s: through the tunnel after %.1f s", when, time.Since(start).Seconds())
}

// blocked shows that nothing leaves.
func (p *path) blocked(when string) {
	p.t.Helper()
	for _, pair := range p.confined(when) {
		require.Falsef(p.t, pair.Seen.Answered(), "%s: got out: %s", when, pair)
	}
}

// confined shows that nothing leaves outside the tunnel, and that an unprotected pod's same probe does.
func (p *path) confined(when string) []*world.Pair {
	p.t.Helper()
	pairs, err := p.Pairs(p.t.Context(), namespace+"/client-0", "workload", world.Target{Kind: "http", Dst: p.outside.Next()},
		world.Target{Kind: "udp", Dst: p.outside.Next()}, world.Target{Kind: "icmp", Dst: p.outside.Next()})
	require.NoError(p.t, err)
	for _, pair := range pairs {
		require.Falsef(p.t, pair.Leaked(), "LEAK, %s: %s", when, pair)
		require.Truef(p.t, pair.Sighted(), "%s: the control is blind: %s", when, pair)
	}
	return pairs
}

func (p *path) internal(when string) {
	p.t.Helper()
	for _, probe := range []struct{ kind, dst string }{{"dns", "kubernetes.default.svc.cluster.local"}, {"http", "http://10.43.0.10:8080/health"}} {
		if probe.kind == "http" {
			out, err := p.Kubectl(p.t.Context(), "-n", "kube-system", "get", "pods", "-l", "k8s-app=kube-dns", "-o", "jsonpath={.items[0].status.podIP}")
			require.NoError(p.t, err)
			probe.dst = "http://" + out + ":8080/health"
		}
		seen, err := p.Probe(p.t.Context(), namespace+"/client-0", "workload", probe.kind, probe.dst)
		require.NoError(p.t, err)
		require.Empty(p.t, seen.Err, "%s: %s %s", when, probe.kind, probe.dst)
	}
}
