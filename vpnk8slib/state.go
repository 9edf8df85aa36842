package vpnk8slib

import "errors"

// State is a consumer's state. Only Unprotected is open.
type State string

const (
	// Unprotected: no relation, and the operator asked for no protection.
	Unprotected State = "unprotected"
	// Locked: no relation.
	Locked State = "locked"
	// Protected: related, but the gateway is silent, unreadable or has not been connected yet; or a relation is breaking.
	Protected State = "protected"
	// Routed: related, the data is good, and the gateway has been connected.
	Routed State = "routed"
	// Held: routed before through this relation, and now the gateway is silent or unreadable, or another relation is breaking.
	Held State = "held"
)

// LastGood is the data that last led to Routed. It counts for the relation that it came by and no other: whoever removed
// that relation did so on purpose.
type LastGood struct {
	Relation string       `json:"relation"`
	Gateway  ProviderData `json:"gateway"`
	Port     int          `json:"port,omitempty"` // the last that led here; 0: none has
}

// Client is everything that a consumer's protection is decided from.
type Client struct {
	App       App
	Link      Link
	Unsafe    bool      // the operator's unsafe-mode; it counts only without a relation
	Breaking  bool      // relations are on their way: this is the hook that breaks one of them, or one in which Juju lists none yet; see State
	Last      *LastGood // nil: never routed
	Network   Network
	Probe     EnforcementProbe // what is known of the CNI's enforcement, to be kept
	Workloads []string         // containers that run what must be protected
	Ports     []int            // TCP, on which the workload is asked over the pod's own interface
	Key       string           // of the overlay; empty: not known
	Trials    Trials
	// Images of the routing containers and of the agent's; from the consumer's own charm, never from relation data.
	Image, AgentImage string
}

// State decides. It reads nothing.
//
// In the hook that breaks a relation nothing is decided that changes the pod template: a new pod ends that hook before
// Juju has noted it, the first hook in the new pod still finds the relation, lays the old route again, and so on for ever. The
// hook after it opens the pod, or takes another gateway's route.
func (c Client) State() State {
	unrelated := errors.Is(c.Link.Err, ErrNotRelated)
	switch {
	case unrelated && !c.Unsafe:
		return Locked
	case c.Breaking && c.routedBefore():
		return Held
	case c.Breaking:
		return Protected
	case unrelated:
		return Unprotected
	case c.Link.Err == nil && (c.Link.Gateway.VPNConnected || c.routedBefore()):
		return Routed
	case c.routedBefore():
		return Held
	default:
		return Protected
	}
}

func (c Client) routedBefore() bool {
	return c.Last != nil && c.Last.Relation != "" && c.Last.Relation == c.Link.Relation
}

// MayStart says whether the workload may be started in this pod: it is routed, and the guard of this very pod answers. A pod
// that was made without our patch is therefore never open.
func (c Client) MayStart(p Pod) bool {
	switch c.State() {
	case Unprotected:
		return true
	case Routed, Held:
		return p.Guarded() && p.Overlay
	default:
		return false
	}
}

// MayKeep says whether a workload that runs may go on: without internet perhaps, but in a closed pod. One that an older charm has
// closed has no guard yet, and routes that say so.
func (c Client) MayKeep(p Pod) bool {
	switch c.State() {
	case Unprotected:
		return true
	case Routed, Held:
		return p.Holds()
	default:
		return false
	}
}
