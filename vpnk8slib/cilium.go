package vpnk8slib

// ciliumAPIServer goes along with the kill switch on Cilium, where an ipBlock matches neither nodes nor the API server:
// without it the charm could not reach the API server any more to repair anything.
func ciliumAPIServer(a App) *Object {
	policy := a.own("cilium.io/v2", "CiliumNetworkPolicy", KillSwitchName(a.Name))
	policy.Spec = map[string]any{
		"endpointSelector": map[string]any{"matchLabels": a.podLabels()},
		"egress":           []any{map[string]any{"toEntities": []any{"kube-apiserver"}}},
	}
	return policy
}
