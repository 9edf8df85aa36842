package hook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/charmarr/charmarr-go/vpnk8slib"
)

// VerifyEgressAction is the name of an action that every consumer of a VPN has, and every gateway.
const VerifyEgressAction = "verify-egress"

// VerifyParams are its parameters.
type VerifyParams struct {
	Address  string `json:"address-url" validate:"required,http_url"`
	Address6 string `json:"address6-url" validate:"required,http_url"`
	Name     string `json:"resolver-name" validate:"required,hostname_rfc1123"`
	STUN     string `json:"stun-server" validate:"required,hostname_port"`
	Timeout  int    `json:"timeout" validate:"min=1,max=60"` // seconds
}

// Verifiable is a unit whose egress can be verified: its way out, and what its own packets, with what stands around them, say of it.
type Verifiable struct {
	Way   vpnk8slib.Way
	Judge func(vpnk8slib.Egress) []vpnk8slib.Finding
}

// VerifyEgress makes that action: by packets of its own it shows how this unit's traffic leaves. It fails where any check does. See
// reads what a hook of the charm reads; its error is why no packet is sent.
func VerifyEgress(see func(context.Context, Env) (Verifiable, error)) Action {
	return func(ctx context.Context, p Params) (map[string]string, error) {
		params, err := ReadParams[VerifyParams](p)
		if err != nil {
			return nil, err
		}
		env, err := NewEnv()
		if err != nil {
			return nil, err
		}
		unit, err := see(ctx, env)
		if err != nil {
			return nil, fmt.Errorf("cannot verify egress: %w", err)
		}
		targets := vpnk8slib.EgressTargets{Address: params.Address, Address6: params.Address6, Name: params.Name, STUN: params.STUN}
		return findings(unit.Judge(vpnk8slib.TryEgress(ctx, unit.Way, targets, time.Duration(params.Timeout)*time.Second)))
	}
}

// VerifyVPN is VerifyEgress of a consumer.
func VerifyVPN(see func(context.Context, Env) (VPN, error)) Action {
	return VerifyEgress(func(ctx context.Context, env Env) (Verifiable, error) {
		v, err := see(ctx, env)
		if err == nil {
			err = v.verifiable()
		}
		seen := time.Now()
		return Verifiable{vpnk8slib.ByOverlay, func(e vpnk8slib.Egress) []vpnk8slib.Finding {
			return v.client().VerifyEgress(v.View, v.Pod, e, seen)
		}}, err
	})
}

// verifiable says why there is no route that could be verified.
func (v VPN) verifiable() error {
	if v.ViewErr != nil {
		return v.ViewErr
	}
	switch v.State() {
	case vpnk8slib.Routed, vpnk8slib.Held:
		return nil
	case vpnk8slib.Unprotected:
		return errors.New("unsafe-mode=true, so this unit's traffic leaves without VPN")
	default:
		return fmt.Errorf("this unit is not routed: %s", v.closed(v.client()).Message)
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
