package vpnk8slib

// RequirerData is what a consumer publishes on the vpn-gateway relation.
type RequirerData struct {
	InstanceName string `json:"instance_name" validate:"required,label"`
	// RoutingMethods are those that the consumer can be routed with. A consumer that names none is served as charmarr-lib-vpn
	// 0.5 expects it: pod-gateway.
	RoutingMethods []string `json:"routing_methods,omitempty" validate:"dive,label"`
	// WantPort: it would have a port of the provider's lead to it, by TCP and UDP.
	WantPort    bool   `json:"want_port,omitempty"`
	Namespace   string `json:"namespace,omitempty" validate:"omitempty,label"`
	Application string `json:"application,omitempty" validate:"omitempty,label"`
}

// DecodeRequirerData reads a consumer's application databag. The error is ErrNotReady or an *InvalidError.
func DecodeRequirerData(from string, databag map[string]string) (d RequirerData, err error) {
	if err = decode(from, databag, &d); err != nil {
		return RequirerData{}, err
	}
	return d, nil
}

// Encode returns the databag, or an error that names the fields that are wrong.
func (d RequirerData) Encode() (map[string]string, error) { return encode(d) }
