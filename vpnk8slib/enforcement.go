package vpnk8slib

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"time"

	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
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

// word is what the agent tells of it.
func (e Enforcement) word() overlay.Word {
	return [...]overlay.Word{overlay.Unknown, overlay.Yes, overlay.No}[e]
}

// EnforcementProbe is the measurement: an address inside the cluster that the kill switch does not admit answered before
// the policy was there, and did not any more, in a pod without our guard. An address outside is never tried: the attempt would be a leak.
type EnforcementProbe struct {
	Target  netip.AddrPort `json:"target,omitzero"`
	Before  bool           `json:"answered_before"` // while there was no policy
	Pod     string         `json:"pod,omitempty"`   // the UID of the pod that Blocked was seen from
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

// answerTime is how long an address inside the cluster may take to answer. Silence is only asked for once per pod.
const answerTime = time.Second

// answers says whether a TLS server said anything. A connection alone proves nothing: in a mesh ztunnel accepts every one
// inside the pod, and only then tries to go on.
func answers(ctx context.Context, target netip.AddrPort) bool {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", target.String())
	if err != nil {
		return false
	}
	defer conn.Close()
	heard := &listener{Conn: conn}
	// Who it is does not matter here, and nothing is told to it.
	_ = tls.Client(heard, &tls.Config{InsecureSkipVerify: true}).HandshakeContext(ctx)
	return heard.any
}

// listener notes whether anything was heard.
type listener struct {
	net.Conn
	any bool
}

func (l *listener) Read(b []byte) (int, error) {
	n, err := l.Conn.Read(b)
	l.any = l.any || n > 0
	return n, err
}
