//go:build datapath

// Package podgateway shows with packets what the rules of a gateway of pod-gateway's let in: the rules as the charm lays them, by the
// script that lays them, in a pod of nothing but namespaces.
package podgateway

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/tests/internal/ns"
	"github.com/charmarr/charmarr-go/vpnk8slib"
)

// What is hoped for may take its time on a busy machine; what is not is waited for a moment.
const patience, moment = 3 * time.Second, 300 * time.Millisecond

// stage is a gateway's pod, with the cluster at its own interface, a client at the overlay's, and the world at the tunnel's.
type stage struct {
	*testing.T
	pod                    *ns.NS
	cluster, client, world *ns.NS
}

func newStage(t *testing.T) *stage {
	s := &stage{t, ns.New(t), ns.New(t), ns.New(t), ns.New(t)}
	for i, at := range []struct {
		*ns.NS
		device string
	}{{s.cluster, "eth0"}, {s.client, "vxlan0"}, {s.world, "tun0"}} {
		ns.Veth(t, s.pod, at.device, at.NS, "pod")
		s.pod.Addr(t, at.device, fmt.Sprintf("10.42.%d.5/24", i), fmt.Sprintf("fd42:%d::5/64", i))
		at.Addr(t, "pod", fmt.Sprintf("10.42.%d.9/24", i), fmt.Sprintf("fd42:%d::9/64", i))
	}
	return s
}

// at is the pod's address by an interface.
var at = map[string][]string{"eth0": {"10.42.0.5", "fd42::5"}, "vxlan0": {"10.42.1.5", "fd42:1::5"}, "tun0": {"10.42.2.5", "fd42:2::5"}}

// gateway is what the rules are made from.
func (s *stage) gateway() vpnk8slib.Gateway {
	s.Helper()
	overlay, err := vpnk8slib.ParseOverlayNetwork("172.16.0")
	require.NoError(s, err)
	return vpnk8slib.Gateway{
		App: vpnk8slib.App{Name: "gluetun", Namespace: "vpn"}, Workload: "gluetun", Trials: vpnk8slib.Trials{Images: []string{vpnk8slib.PodGatewayImage}},
		Data: vpnk8slib.ProviderData{RoutingMethod: "pod-gateway", GatewayDNSName: "gluetun-0.gluetun-endpoints.vpn.svc.cluster.local", VXLANID: 42, VXLANIPNetwork: overlay, VXLANPort: vpnk8slib.VXLANPort},
		Network: vpnk8slib.Network{
			Services: vpnk8slib.CIDRs{netip.MustParsePrefix("10.43.0.0/16")}, Pods: vpnk8slib.CIDRs{netip.MustParsePrefix("10.42.0.0/24"), netip.MustParsePrefix("fd42::/64")},
			DNS: []netip.Addr{netip.MustParseAddr("10.43.0.10")}, Domain: "cluster.local",
			APIServers: []netip.AddrPort{netip.MustParseAddrPort("10.44.0.1:6443")}, Controllers: []netip.AddrPort{netip.MustParseAddrPort("10.44.0.7:17070")},
		},
		Endpoint: vpnk8slib.Endpoint{Addr: netip.MustParseAddr("198.51.100.200"), Ports: []uint16{51820}},
	}
}

// lay runs the script that a gateway's init container runs.
func (s *stage) lay() {
	s.Helper()
	protect, err := vpnk8slib.GatewayPlans(s.gateway())
	require.NoError(s, err)
	dir := s.TempDir()
	for name, text := range protect[0].Apply.Data {
		require.NoError(s, os.WriteFile(filepath.Join(dir, name), []byte(strings.ReplaceAll(text, "/config/", dir+"/")), 0o644))
	}
	require.NoError(s, s.pod.Do(s.T, func() error {
		out, err := exec.CommandContext(s.Context(), "/bin/bash", "-c", ". "+dir+"/drop.sh; drop_rules").CombinedOutput()
		if err != nil {
			return fmt.Errorf("cannot lay the rules: %w\n%s", err, out)
		}
		return nil
	}))
}

// answer says a word to everybody on every address, by TCP and by UDP.
func (s *stage) answer(n *ns.NS, port int) {
	s.Helper()
	n.Listen(s.T, port, func(c net.Conn) {
		_, _ = c.Write([]byte("here"))
		_ = c.Close()
	})
	require.NoError(s, n.Do(s.T, func() error {
		u, err := net.ListenUDP("udp", &net.UDPAddr{Port: port})
		if err != nil {
			return err
		}
		s.Cleanup(func() { _ = u.Close() })
		go func() {
			for b := make([]byte, 9); ; {
				_, from, err := u.ReadFromUDPAddrPort(b)
				if err != nil { // closed: the test has ended
					return
				}
				_, _ = u.WriteToUDPAddrPort([]byte("here"), from)
			}
		}()
		return nil
	}))
}

// hears says whether whoever asks from inside a namespace is answered.
func (s *stage) hears(n *ns.NS, protocol, host string, port int, wait time.Duration) bool {
	s.Helper()
	return n.Do(s.T, func() error {
		c, err := net.DialTimeout(protocol, net.JoinHostPort(host, fmt.Sprint(port)), wait)
		if err != nil {
			return err
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(wait))
		if _, err := c.Write([]byte("hello")); err != nil {
			return err
		}
		_, err = c.Read(make([]byte, 4))
		return err
	}) == nil
}

// Whatever listens in the pod, on all addresses: the cluster comes to the encapsulation and to what tells the kubelet of the Pebbles'
// health, a client to its addresses and names, the world to nothing. Without the rules each of them comes to all of it.
func TestWhoComesToTheGatewaysOwnPorts(t *testing.T) {
	s := newStage(t)
	ports := []int{53, 67, 4790, 8000, 8388, 8888, 9999, 38812, 38813, 38814, 51820}
	for _, p := range ports {
		s.answer(s.pod, p)
	}
	s.answer(s.cluster, 17070)
	open := map[string][]string{
		"eth0":   {"udp 4790", "tcp 38812", "tcp 38813"},
		"vxlan0": {"udp 53", "udp 67", "tcp 53"},
	}
	all := func(laid bool) {
		t.Helper()
		var asking sync.WaitGroup
		defer asking.Wait()
		for device, from := range map[string]*ns.NS{"eth0": s.cluster, "vxlan0": s.client, "tun0": s.world} {
			for _, protocol := range []string{"tcp", "udp"} {
				for _, port := range ports {
					what := fmt.Sprint(protocol, " ", port)
					want, wait := !laid, patience
					for _, o := range open[device] {
						want = want || o == what
					}
					if !want {
						wait = moment
					}
					for _, host := range at[device] {
						asking.Go(func() {
							assert.Equal(t, want, s.hears(from, protocol, host, port, wait), "%s by %s to %s; with the rules: %t", what, device, host, laid)
						})
					}
				}
			}
		}
	}
	all(false)
	if t.Failed() {
		return // what could not be reached before proves nothing
	}
	s.lay()
	all(true)

	for _, host := range []string{"10.42.0.9", "fd42::9"} {
		assert.True(t, s.hears(s.pod, "tcp", host, 17070, patience), "what the pod's agent asks the cluster at %s is answered", host)
	}
	for _, host := range []string{"127.0.0.1", "::1", "10.42.0.5", "fd42::5"} {
		assert.True(t, s.hears(s.pod, "tcp", host, 8000, patience), "the pod itself comes to what listens in it at %s", host)
	}
	for device, from := range map[string]*ns.NS{"eth0": s.cluster, "vxlan0": s.client} {
		require.NoError(t, from.Do(t, func() error {
			out, err := exec.CommandContext(t.Context(), "ping", "-c", "1", "-W", "3", at[device][0]).CombinedOutput()
			assert.NoError(t, err, "a ping by %s, by which clients find that the gateway is there: %s", device, out)
			return nil
		}))
	}
	all(true) // who was answered a moment ago has opened nothing for others
}
