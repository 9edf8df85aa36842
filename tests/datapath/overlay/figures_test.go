//go:build datapath

package overlay

// Spread of a figure, in seconds.
type Spread struct {
	Median float64 `json:"median"`
	Max    float64 `json:"max"`
	N      int     `json:"n"`
}

// Figures are bench.json's "overlay". What is said of twenty clients at once is of the last of them, too.
type Figures struct {
	// Recover is from the start of a new gateway's agent until a client is answered; in Away the gateway was gone for a minute.
	Recover   Spread `json:"recover_s"`
	Recover20 Spread `json:"recover_20_s"`
	Away20    Spread `json:"recover_20_after_60s"`
	Detect    Spread `json:"detect_gateway_s"`
	// DetectTunnel is from the world's last answer until the client knows that the tunnel leads nowhere.
	DetectTunnel Spread `json:"detect_tunnel_s"`
	Reinit       Spread `json:"reinit_s"`
	// Setup is from before a new pod's guard is laid until its client is answered, of twenty from before the first one's.
	Setup   Spread `json:"setup_s"`
	Setup20 Spread `json:"setup_20_s"`
	// VSVXLAN is the overlay's throughput to the world, over that of a VXLAN without a rule, the same way; the median of pairs.
	VSVXLAN float64 `json:"vs_vxlan"`
	// VSMasquerade is the same against a VXLAN whose gateway masquerades, and forwards nothing else: what any gateway must do.
	VSMasquerade float64 `json:"vs_vxlan_masqueraded"`
	// VSHandmade is that through an encrypted tunnel, and VSTunnel over what the gateway alone sends through it.
	VSHandmade float64 `json:"vs_handmade"`
	VSTunnel   float64 `json:"vs_tunnel"`
	// Fragments are those of both encapsulations meanwhile, where pods have 1450 bytes.
	Fragments int `json:"fragments"`
	// Resets are how often one client took a gateway for lost that was there, or was led to another pod, in five minutes on a network
	// that loses three packets of a hundred.
	Resets int `json:"resets_at_loss"`
	// Of fifty clients and their gateway, when nothing is sent.
	ClientPrivate   float64 `json:"client_private_mib"`
	GatewayPrivate  float64 `json:"gateway_private_mib"`
	ClientResident  float64 `json:"client_resident_mib"`
	GatewayResident float64 `json:"gateway_resident_mib"`
	ClientCPU       float64 `json:"client_idle_cpu"` // of a core; the median client, and the busiest
	ClientCPUMax    float64 `json:"client_idle_cpu_max"`
	GatewayCPU      float64 `json:"gateway_idle_cpu"`
	ImageMB         float64 `json:"image_mb"` // unpacked
}
