package hook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
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
	Port     string `json:"port-url" validate:"required,http_url"` // a port's number goes behind it
	Timeout  int    `json:"timeout" validate:"min=1,max=60"`       // seconds
	Own      own    `json:"own-addresses"`
}

// own are the addresses by which the world sees whoever uses no VPN here.
type own []netip.Prefix

// UnmarshalText reads them, or their networks; an empty text is none.
func (o *own) UnmarshalText(text []byte) (err error) {
	if *o, err = Addresses(string(text)); err != nil {
		err = errors.New("set addresses, or their networks, such as 198.51.100.7,2001:db8:7::/56")
	}
	return err
}

// DrillParams are a consumer's, whose overlay can be taken down for a while.
type DrillParams struct {
	VerifyParams
	Drill int `json:"drill" validate:"min=0,max=30"` // seconds; 0: it is left alone
}

// Verifiable is a unit whose egress can be verified: its way out, and what its own packets, with what stands around them, say of it.
type Verifiable struct {
	Way   vpnk8slib.Way
	Ports []int // of the provider's, that lead here
	Judge func(vpnk8slib.Egress) []vpnk8slib.Finding
}

func (p VerifyParams) targets(ports ...int) vpnk8slib.EgressTargets {
	t := vpnk8slib.EgressTargets{Address: p.Address, Address6: p.Address6, Name: p.Name, STUN: p.STUN}
	for _, port := range ports {
		t.Ports = append(t.Ports, p.Port+strconv.Itoa(port))
	}
	return t
}

// each is how long one check may take.
func (p VerifyParams) each() time.Duration { return time.Duration(p.Timeout) * time.Second }

func (p VerifyParams) try(ctx context.Context, by vpnk8slib.Way, targets vpnk8slib.EgressTargets) vpnk8slib.Egress {
	shown := vpnk8slib.TryEgress(ctx, by, targets, p.each())
	shown.Own = p.Own
	return shown
}

// VerifyEgress makes that action: by packets of its own it shows how this unit's traffic leaves. It fails where any check does. See
// reads what a hook of the charm reads; its error is why no packet is sent.
func VerifyEgress(see func(context.Context, Env) (Verifiable, error)) Action {
	return Seeing(cannot("verify egress", see), func(ctx context.Context, _ Env, p VerifyParams, unit Verifiable) (map[string]string, error) {
		return findings(unit.Judge(p.try(ctx, unit.Way, p.targets(unit.Ports...))))
	})
}

// VerifyVPN is VerifyEgress of a consumer, with a drill for whoever asks for one.
func VerifyVPN(see func(context.Context, Env) (VPN, error)) Action {
	return Seeing(cannot("verify egress", see), func(ctx context.Context, env Env, p DrillParams, v VPN) (map[string]string, error) {
		err := v.verifiable(p.Drill > 0)
		if err == nil {
			err = v.lookAtPolicies(ctx, env)
		}
		if err != nil {
			return nil, fmt.Errorf("cannot verify egress: %w", err)
		}
		seen, targets := time.Now(), p.targets()
		if port := v.client().Link.Gateway.Port; port != nil {
			targets = p.targets(port.Number)
		}
		all := v.client().VerifyEgress(v.View, v.Pod, p.try(ctx, vpnk8slib.ByOverlay, targets), seen)
		if p.Drill > 0 {
			all = drill(all, func() []vpnk8slib.Finding { return vpnk8slib.Drill(ctx, targets, p.each(), p.Drill) })
		}
		return findings(all)
	})
}

// drill adds one's findings to those of before, of which none may have failed: a pod that nothing protects would leak in it, and what
// does not get out anyway shows nothing.
func drill(before []vpnk8slib.Finding, do func() []vpnk8slib.Finding) []vpnk8slib.Finding {
	if failed := vpnk8slib.Failed(before); len(failed) > 0 {
		return append(before, vpnk8slib.Finding{Check: "drill", Verdict: vpnk8slib.Unknown, Detail: "not done, and the overlay left alone, because of " + strings.Join(failed, ", ")})
	}
	return append(before, do()...)
}

// lookAtPolicies does so where this unit has looked at the cluster: the leader does.
func (v *VPN) lookAtPolicies(ctx context.Context, env Env) error {
	if v.View.Owner == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, Look)
	defer cancel()
	return v.View.LookAtPolicies(ctx, env.Reader, v.App)
}

// verifiable says why there is no route that could be verified, or none that could be taken down for a drill.
func (v VPN) verifiable(drill bool) error {
	if v.ViewErr != nil {
		return v.ViewErr
	}
	switch v.State() {
	case vpnk8slib.Routed, vpnk8slib.Held:
		if drill {
			return v.Pod.MayDrill()
		}
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
