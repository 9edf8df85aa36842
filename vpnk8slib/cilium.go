package vpnk8slib

import (
	metav1 "k8s.io/client-go/applyconfigurations/meta/v1"
)

// ciliumPolicy is a CiliumNetworkPolicy (cilium.io/v2), as far as one is needed here.
type ciliumPolicy struct {
	metav1.TypeMetaApplyConfiguration    `json:",inline"`
	*metav1.ObjectMetaApplyConfiguration `json:"metadata,omitempty"`
	Spec                                 map[string]any `json:"spec,omitempty"`
}

// IsApplyConfiguration makes it a runtime.ApplyConfiguration.
func (ciliumPolicy) IsApplyConfiguration() {}

// ciliumAPIServer goes along with the kill switch on Cilium, where an ipBlock matches neither nodes nor the API server:
// without it the charm could not reach the API server any more to repair anything.
func ciliumAPIServer(a App) ciliumPolicy {
	kind, version := "CiliumNetworkPolicy", "cilium.io/v2"
	meta := metav1.ObjectMeta().WithName(KillSwitchName(a.Name)).WithNamespace(a.Namespace).
		WithLabels(a.labels()).WithOwnerReferences(a.owner()...)
	return ciliumPolicy{
		TypeMetaApplyConfiguration:   metav1.TypeMetaApplyConfiguration{Kind: &kind, APIVersion: &version},
		ObjectMetaApplyConfiguration: meta,
		Spec: map[string]any{
			"endpointSelector": map[string]any{"matchLabels": a.podLabels()},
			"egress":           []any{map[string]any{"toEntities": []any{"kube-apiserver"}}},
		},
	}
}
