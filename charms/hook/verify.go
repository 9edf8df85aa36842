package hook

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/charmarr/charmarr-go/vpnk8slib"
)

// VerifyEgressAction is the name of the action that every consumer of a VPN has.
const VerifyEgressAction = "verify-egress"

// VerifyParams are its parameters.
type VerifyParams struct {
	Address  string         `json:"address-url" validate:"required,http_url"`
	Address6 string         `json:"address6-url" validate:"required,http_url"`
	Name     string         `json:"resolver-name" validate:"required,hostname_rfc1123"`
	UDP      netip.AddrPort `json:"udp-resolver" validate:"required"`
	Timeout  int            `json:"timeout" validate:"min=1,max=60"` // seconds
}

// VerifyEgress makes it: by packets of its own, and by what stands around
// them, it shows how this unit's traffic leaves. It fails where any check fails. See reads what a hook of the charm reads.
func VerifyEgress(see func(context.Context, Env) (VPN, error)) Action {
	return func(ctx context.Context, p Params) (map[string]string, error) {
		params, err := ReadParams[VerifyParams](p)
		if err != nil {
			return nil, err
		}
		env, err := NewEnv()
		if err != nil {
			return nil, err
		}
		vpn, err := see(ctx, env)
		if err != nil {
			return nil, err
		}
		if err := vpn.verifiable(); err != nil {
			return nil, err
		}
		egress := vpnk8slib.TryEgress(ctx, vpnk8slib.EgressTargets{Address: params.Address, Address6: params.Address6, Name: params.Name, UDP: params.UDP}, time.Duration(params.Timeout)*time.Second)
		return findings(vpn.client().VerifyEgress(vpn.View, vpn.Pod, egress, time.Now()))
	}
}

// verifiable says why no packet is sent: the unit has no route that could be verified.
func (v VPN) verifiable() error {
	if v.ViewErr != nil {
		return fmt.Errorf("cannot verify egress: %w", v.ViewErr)
	}
	switch state := v.State(); state {
	case vpnk8slib.Routed, vpnk8slib.Held:
		return nil
	case vpnk8slib.Unprotected:
		return fmt.Errorf("cannot verify egress: unsafe-mode=true, so this unit's traffic leaves without VPN")
	default:
		return fmt.Errorf("cannot verify egress: this unit is not routed: %s", v.closed(v.client()).Message)
	}
}

// findings are an action's results.
func findings(all []vpnk8slib.Finding) (map[string]string, error) {
	text, err := json.Marshal(all)
	if err != nil {
		return nil, err
	}
	results := map[string]string{"table": vpnk8slib.Table(all), "findings": string(text)}
	if failed := vpnk8slib.Failed(all); len(failed) > 0 {
		return results, fmt.Errorf("not all is as it should be: %s", strings.Join(failed, ", "))
	}
	return results, nil
}
