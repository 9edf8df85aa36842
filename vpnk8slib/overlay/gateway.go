package overlay

import (
	"errors"
	"fmt"
	"net/netip"
)

// Gateway is the gateway pod's end of the overlay.
type Gateway struct {
	Device  string `json:"device"`  // the pod's own interface: eth0
	Overlay string `json:"overlay"` // the interface that is made: vxlan0
	Tunnel  string `json:"tunnel"`  // the VPN client's: tun0

	Address netip.Prefix `json:"address"` // this end's, with the overlay's network
	VNI     uint32       `json:"vni"`     // the overlay's identifier
	Port    uint16       `json:"port"`    // of the encapsulation, on both ends
}

// Check says what is wrong, and names the field.
func (g Gateway) Check() error {
	names := []string{g.Device, g.Overlay, g.Tunnel}
	for i, field := range []string{"device", "overlay", "tunnel"} {
		if !device(names[i]) {
			return fmt.Errorf("%s must be the name of an interface, not %q", field, names[i])
		}
		for _, other := range names[:i] {
			if other == names[i] {
				return fmt.Errorf("%s must be another interface than %s", field, other)
			}
		}
	}
	switch {
	case !g.Address.IsValid() || !g.Address.Addr().Is4() || g.Address.Bits() < 8 || g.Address.Bits() > 30 || g.Address.Masked().Addr() == g.Address.Addr():
		return fmt.Errorf("address must be an IPv4 address with its network, such as 172.16.0.1/20, not %s", g.Address)
	case g.VNI == 0 || g.VNI >= 1<<24:
		return fmt.Errorf("vni must be from 1 to %d, not %d", 1<<24-1, g.VNI)
	case g.Port == 0:
		return errors.New("port must be the port of the encapsulation, not 0")
	}
	return nil
}
