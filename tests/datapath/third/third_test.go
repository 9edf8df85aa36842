//go:build datapath

// Package third routes a pod by a method that the library has never heard of (vpnk8slib's TestAThirdMethod): what the library makes of it is
// carried out as a kubelet would, in a pod of nothing but namespaces.
package third

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/tests/internal/ns"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/guard"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// step is what of a plan's is carried out here.
type step struct {
	Apply *struct {
		Data map[string]string `json:"data"`
		Spec struct {
			Template struct {
				Spec struct {
					InitContainers []container `json:"initContainers"`
				} `json:"spec"`
			} `json:"template"`
		} `json:"spec"`
	}
}

type container struct {
	Name    string   `json:"name"`
	Command []string `json:"command"`
}

// plan reads the agent's configuration, and the containers that run before the workload's.
func plan(t *testing.T) (config overlay.Config, containers []container) {
	t.Helper()
	text, err := os.ReadFile("../../../vpnk8slib/testdata/carrier-pigeon.json")
	require.NoError(t, err)
	var steps []step
	require.NoError(t, json.Unmarshal(text, &steps))
	for _, s := range steps {
		if s.Apply == nil {
			continue
		}
		if file := s.Apply.Data["agent.json"]; file != "" {
			config, err = overlay.ParseConfig([]byte(file))
			require.NoError(t, err)
		}
		containers = append(containers, s.Apply.Spec.Template.Spec.InitContainers...)
	}
	return config, containers
}

// join makes a pod on a node.
func join(t *testing.T, node *ns.NS, address, name string) *ns.NS {
	t.Helper()
	pod := ns.New(t)
	ns.Veth(t, pod, "eth0", node, name)
	pod.Addr(t, "eth0", address+"/32")
	node.Addr(t, name, "169.254.1.1/32")
	node.Route(t, name, address+"/32")
	pod.Route(t, "eth0", "169.254.1.1/32")
	pod.Default(t, "eth0", "169.254.1.1")
	return pod
}

// says has somebody tell who he is, and as whom he sees who asks.
func says(t *testing.T, n *ns.NS, who string) {
	t.Helper()
	n.Own(t, "198.18.0.0/15")
	n.Listen(t, 443, func(c net.Conn) {
		_, _ = fmt.Fprint(c, who, " ", c.RemoteAddr().(*net.TCPAddr).IP)
		_ = c.Close()
	})
}

// asks is what somebody in a pod hears of the world; nothing where nobody answers.
func asks(t *testing.T, pod *ns.NS) (said string) {
	t.Helper()
	_ = pod.Do(t, func() error {
		c, err := net.DialTimeout("tcp", "198.18.0.1:443", time.Second)
		if err != nil {
			return err
		}
		defer c.Close()
		text, err := io.ReadAll(c)
		said = string(text)
		return err
	})
	return said
}

// The guard is every method's, and holds where a method has no way yet, and where its way breaks.
func TestAThirdMethodRoutes(t *testing.T) {
	node, world := ns.New(t), ns.New(t)
	node.Forward(t)
	says(t, node, "beside")
	pod, gateway := join(t, node, "10.42.0.5", "pod"), join(t, node, "10.42.0.7", "gateway")
	ns.Veth(t, gateway, "tun0", world, "tun")
	gateway.Addr(t, "tun0", "10.2.0.2/24")
	world.Addr(t, "tun", "10.2.0.1/24")
	gateway.Via(t, "tun0", "198.18.0.0/15", "10.2.0.1")
	gateway.Forward(t)
	gateway.VXLAN(t, "pigeon0", 1149, 4790, 1320, "172.16.0.1/20", "172.16.0.18", "10.42.0.5")
	gateway.Masquerade(t, "pigeon0", "tun0")
	says(t, world, "tunnel")
	require.Equal(t, "beside 10.42.0.5", asks(t, pod), "before there is anything of ours")

	config, containers := plan(t)
	var ran []string
	for _, c := range containers {
		ran = append(ran, c.Name)
		switch c.Name {
		case "vpn-guard":
			require.NoError(t, pod.Do(t, func() error { return guard.Install(config.Guard) }))
			assert.Empty(t, asks(t, pod), "LEAK: before there is a way")
		case "hatch":
			require.NoError(t, pod.Do(t, func() error {
				out, err := exec.CommandContext(t.Context(), c.Command[0], c.Command[1:]...).CombinedOutput()
				if err != nil {
					return fmt.Errorf("%w: %s", err, out)
				}
				return nil
			}))
		}
	}
	require.Equal(t, []string{"vpn-guard", "vpn-agent", "hatch"}, ran)
	require.Eventually(t, func() bool { return asks(t, pod) == "tunnel 10.2.0.2" }, 10*time.Second, 100*time.Millisecond)

	pod.Delete(t, "vxlan0")
	pod.Default(t, "eth0", "169.254.1.1")
	assert.Empty(t, asks(t, pod), "LEAK: the way is gone, and a default route is back")
	require.NoError(t, pod.Do(t, guard.Remove))
	assert.Equal(t, "beside 10.42.0.5", asks(t, pod), "it was the guard that held it")
}
