package vpnk8slib

import (
	"net/netip"
	"slices"
	"strconv"
)

// ciliumAPIServer goes along with the kill switch on Cilium, where an ipBlock matches neither nodes nor the API server:
// without it the charm could not reach the API server any more to repair anything. The entity is the machines that the API
// server runs on, so it is held to the ports of its endpoints: Cilium looks after the Service's address is translated.
func ciliumAPIServer(a App, n Network) *Object {
	policy := a.own("cilium.io/v2", "CiliumNetworkPolicy", KillSwitchName(a.Name))
	endpoints := slices.DeleteFunc(slices.Clone(n.APIServers), func(s netip.AddrPort) bool { return n.Services.Contains(s.Addr()) })
	if len(endpoints) == 0 { // they stand in a network that was told as the Services'
		endpoints = n.APIServers
	}
	var ports []any
	for _, p := range portsOf(endpoints) {
		ports = append(ports, map[string]any{"port": strconv.Itoa(int(p)), "protocol": "TCP"})
	}
	policy.Spec = map[string]any{
		"endpointSelector": map[string]any{"matchLabels": a.podLabels()},
		"egress": []any{map[string]any{
			"toEntities": []any{"kube-apiserver"},
			"toPorts":    []any{map[string]any{"ports": ports}},
		}},
	}
	return policy
}

// portsOf is each port once, sorted.
func portsOf(addrs []netip.AddrPort) (ports []uint16) {
	for _, a := range addrs {
		ports = append(ports, a.Port())
	}
	slices.Sort(ports)
	return slices.Compact(ports)
}
