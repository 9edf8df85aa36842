package vpnk8slib

import (
	"errors"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
)

// TUN is how a VPN client's container gets /dev/net/tun, which a userspace tunnel is made with: by a device plugin's resource, such as
// squat.ai/tun, by Privileged, or, empty, not at all.
type TUN string

// Privileged is a container with all of the node's devices, and every right there is.
const Privileged TUN = "privileged"

// UnmarshalText refuses what is neither.
func (t *TUN) UnmarshalText(text []byte) error {
	name := strings.TrimSpace(string(text))
	*t = TUN(name)
	if name == "" || *t == Privileged {
		return nil
	}
	// What has no domain, and what is Kubernetes' own, is no device's (Kubernetes, pkg/apis/core/helper, IsExtendedResourceName).
	domain, _, ok := strings.Cut(name, "/")
	if !ok || domain == "kubernetes.io" || strings.HasSuffix(domain, ".kubernetes.io") || len(validation.IsQualifiedName(name)) > 0 {
		return errors.New("set the resource of a device plugin, such as squat.ai/tun, or privileged")
	}
	return nil
}

// rights are what a VPN client needs, and nothing else: routes, rules and tunnels; raw sockets for its pings, and for the older iptables; to
// give files to another user, and to write them again. One that goes on as another user itself (drops): to become that one, and to end it.
func (t TUN) rights(drops bool) *securityContext {
	if t == Privileged {
		return &securityContext{Privileged: ptr(true)}
	}
	add := []string{"NET_ADMIN", "NET_RAW", "CHOWN", "DAC_OVERRIDE"}
	if drops {
		add = append(add, "KILL", "SETGID", "SETUID")
	}
	return &securityContext{
		AllowPrivilegeEscalation: ptr(false), SeccompProfile: &seccompProfile{"RuntimeDefault"},
		Capabilities: &capabilities{Add: add, Drop: []string{"ALL"}},
	}
}

func (t TUN) limits() map[string]string {
	if t == "" || t == Privileged {
		return nil
	}
	return map[string]string{string(t): "1"}
}

// At says whether a pod that wants it can run: a node has such a device, or this pod has it already.
func (t TUN) At(n Network, pod []string) bool {
	return t.limits() == nil || slices.Contains(n.Devices, string(t)) || slices.Contains(pod, string(t))
}

// devices are the resources of which any node has some that are not Kubernetes' own.
func devices(nodes []seenNode) (names []string) {
	for _, n := range nodes {
		for name, count := range n.Status.Allocatable {
			if strings.Contains(name, "/") && count != "0" && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return names
}
