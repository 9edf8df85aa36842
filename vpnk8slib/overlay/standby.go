package overlay

import (
	"errors"
	"net/netip"
	"strings"
	"time"
)

// StandbyDir is where the agent of one of several units finds what it shows to the API server: a token that opens one lease, and the
// authority by which it knows the server.
const StandbyDir = "/standby"

// What the agent answers on a pod's loopback, beside its metrics: with 200 while it holds, with 503 while it does not.
const (
	ActivePath    = "/v1/active"    // this pod has the tunnel, or is the only one
	ElsewherePath = "/v1/elsewhere" // the one that has it says that packets come back
	HeardPath     = "/v1/heard"     // a client's gateway is heard, and says so
)

// Standby is how the units of a gateway agree on which of them has the tunnel: by a Lease of Kubernetes', which one of them holds.
type Standby struct {
	Namespace string `json:"namespace"`
	Lease     string `json:"lease"`
	// Free says that no pod may have the tunnel that has not heard of the lease: one that nobody has ever held is nobody's.
	Free bool `json:"free,omitempty"`
}

// Same says whether they agree by the same lease.
func (s Standby) Same(o Standby) bool { return s.Namespace == o.Namespace && s.Lease == o.Lease }

// Check says what is wrong: both are parts of a URL.
func (s Standby) Check() error {
	if !fileName(s.Namespace) || !fileName(strings.ReplaceAll(s.Lease, ".", "-")) {
		return errors.New("standby must name a lease and its namespace")
	}
	return nil
}

// Held is what the unit that holds the lease tells of itself in it, so that another one can go on where it has ended.
type Held struct {
	Pod     netip.Addr                `json:"pod,omitzero"`      // its address
	Tunnel  bool                      `json:"tunnel"`            // packets come back through it
	Turned  time.Time                 `json:"turned,omitzero"`   // since when they do, or do not, by the holder's clock: of two reports the later one counts
	Clients map[netip.Addr]netip.Addr `json:"clients,omitempty"` // the pods of clients
	Ports   map[string]Lease          `json:"ports,omitempty"`   // by the name of the block that wants one
	Since   time.Time                 `json:"since,omitzero"`    // when the ports became these, likewise
}

// StandbyState is how one of several units stands.
type StandbyState struct {
	Known   bool      `json:"known"`             // who has the tunnel; until the API server has answered nobody knows
	Active  bool      `json:"active"`            // this pod has it
	Holder  string    `json:"holder,omitempty"`  // the pod that has it, or had it last
	From    string    `json:"from,omitempty"`    // the pod that this one has taken it over from
	Held    Held      `json:"held"`              // what the one that has it tells, where that is another one
	Renewed time.Time `json:"renewed,omitzero"`  // when that one has told it, by its clock
	Error   string    `json:"error,omitempty"`   // why the lease could not be asked for, or not be renewed
	Leaving bool      `json:"leaving,omitempty"` // it was told a moment ago that its pod is about to end, and takes nothing
}
