package vpnk8slib

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// Enforcement says whether the CNI enforces NetworkPolicies: measured, never assumed.
type Enforcement int

// The three answers.
const (
	EnforcementUnknown Enforcement = iota
	Enforced
	NotEnforced
)

func (e Enforcement) String() string { return [...]string{"unknown", "true", "false"}[e] }

// EnforcementProbe is the measurement: an address inside the cluster that the kill switch does not admit answered before
// the policy was there, and does not any more. An address outside is never tried: the attempt would be a leak.
type EnforcementProbe struct {
	Target  netip.AddrPort `json:"target,omitzero"`
	Before  bool           `json:"answered_before"` // while there was no policy
	Pod     string         `json:"pod,omitempty"`   // the pod address that Blocked was seen from
	Blocked bool           `json:"blocked_after"`
}

func (p EnforcementProbe) verdict() Enforcement {
	switch {
	case !p.Before || p.Pod == "":
		return EnforcementUnknown
	case p.Blocked:
		return Enforced
	default:
		return NotEnforced
	}
}

// answerTime is how long an address inside the cluster may take to answer.
const answerTime = 300 * time.Millisecond

// answers says whether anything came back. A refusal is an answer: the packet got there.
func answers(ctx context.Context, target netip.AddrPort) bool {
	d := net.Dialer{Timeout: answerTime}
	conn, err := d.DialContext(ctx, "tcp", target.String())
	if err == nil {
		_ = conn.Close()
		return true
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}

// ownAddress is this pod's first address; it changes with every new pod.
func ownAddress() string {
	i, err := net.InterfaceByName(podInterface)
	if err != nil {
		return ""
	}
	addrs, err := i.Addrs()
	if err != nil || len(addrs) == 0 {
		return ""
	}
	return addrs[0].String()
}
