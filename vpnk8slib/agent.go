package vpnk8slib

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"

	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// AgentImage is the image of the agent's containers where the operator names no other.
const AgentImage = "ghcr.io/charmarr/vpn-agent:v0.1.0"

const (
	agentFile    = "agent.json"
	keysVolume   = "vpn-keys"
	keysMount    = "/keys"
	socketVolume = "vpn-agent"
	ownWireGuard = "vpn-wireguard"
	guardName    = "vpn-guard"
	residentName = "vpn-agent"
	charmName    = "charm" // the container that Juju runs the charm in
	namesPort    = 4793    // of the agent's resolver, on a pod's loopback
)

// Ports on which every pod of Juju's is asked from outside: the kubelet asks each container's Pebble for its health, and a mesh
// brings what it carries.
const (
	PebblePort = 38812 // of the charm's own Pebble; each workload's has the next one
	hbonePort  = 15008
)

// withAgent adds the agent's containers to a fragment: one that lays the guard before any container but Juju's own has run, and
// one that stays: a sidecar that is there before every other container and until the last has ended, where each node knows such.
// The one that stays shares a socket with the charm and nobody else. The file and the keys are read again while they run, so
// that nothing in them rolls a pod.
func (f fragment) withAgent(n Network, image, command string, c overlay.Config, keys map[string]string) (fragment, error) {
	text, err := json.Marshal(c)
	if err != nil {
		return f, fmt.Errorf("cannot write the agent's configuration: %w", err)
	}
	if _, err := overlay.ParseConfig(text); err != nil { // what the agent would refuse is told here, where somebody reads it
		return f, fmt.Errorf("cannot configure the agent: %w", err)
	}
	if f.live == nil {
		f.live = map[string]string{}
	}
	f.live[agentFile] = string(text)
	f.keys = keys
	once := []string{"guard", "--once"}
	if !n.Sidecars {
		once = append(once, "--root-asks") // the next containers look for the gateway by its name
	}
	guard, resident := agent(guardName, image, once...), agent(residentName, image, command)
	f.volumes = append(f.volumes, volume{Name: socketVolume, EmptyDir: &struct{}{}})
	socket := volumeMount{socketVolume, overlay.SocketDir, false}
	resident.VolumeMounts = append([]volumeMount{socket}, f.shared...)
	if f.keysName != "" {
		// Optional: without it the agent closes the pod and says so; a pod that waits for it could not be repaired from inside.
		f.volumes = append(f.volumes, volume{Name: keysVolume, Secret: &secretName{f.keysName, ptr(true)}})
		resident.VolumeMounts = append(resident.VolumeMounts, volumeMount{keysVolume, keysMount, true})
	}
	if n.Sidecars {
		resident.RestartPolicy = "Always"
		f.init = append([]container{guard, resident}, f.init...)
	} else {
		f.init = append([]container{guard}, f.init...)
		f.containers = append([]container{resident}, f.containers...)
	}
	f.charm = []volumeMount{socket}
	return f, nil
}

func agent(name, image string, args ...string) container {
	command := append([]string{"/agent"}, args...)
	return container{
		Name: name, Image: cmp.Or(image, AgentImage), Command: command, try: append(slices.Clone(command), "--help"), option: "vpn-agent-image",
		Env: []envVar{{Name: overlay.PodVariable, ValueFrom: &envSource{FieldRef: fieldRef{"metadata.name"}}}},
		SecurityContext: &securityContext{
			AllowPrivilegeEscalation: ptr(false), ReadOnlyRootFilesystem: ptr(true), RunAsUser: ptr(int64(0)),
			Capabilities:   &capabilities{Add: []string{"NET_ADMIN"}, Drop: []string{"ALL"}},
			SeccompProfile: &seccompProfile{"RuntimeDefault"},
		},
	}
}

// rules are the guard's, of any pod: what it reaches over its own interface, and on which ports it is asked.
func (n Network) rules(way string, port uint16, workloads int, ports []int) overlay.Guard {
	g := overlay.Guard{Device: podInterface, Overlay: way, Cluster: n.Cluster(), Port: port, Inbound: []uint16{hbonePort}}
	for i := range workloads + 1 {
		g.Inbound = append(g.Inbound, uint16(PebblePort+i))
	}
	for _, p := range ports {
		g.Inbound = append(g.Inbound, uint16(p))
	}
	g.Streams = slices.Concat(n.APIServers, n.Controllers)
	g.Outside = slices.Concat(g.Streams, n.DNSOutside)
	return g
}

// split are the names: the cluster's own stay in it, and all others are asked for behind the overlay.
func (n Network) split(a App, outside ...netip.AddrPort) *overlay.Names {
	names := &overlay.Names{Port: namesPort, Zones: []string{n.Domain}, Namespace: a.Namespace, Outside: outside, Networks: n.Cluster()}
	for _, a := range n.DNS {
		names.Cluster = append(names.Cluster, netip.AddrPortFrom(a, 53))
	}
	return names
}
