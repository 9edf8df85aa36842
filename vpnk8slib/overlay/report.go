package overlay

import (
	"net/netip"
	"time"
)

// Report is what the agent of a pod answers to the charm beside it.
type Report struct {
	// Namespace is the inode of the network namespace that the agent is in: an answer counts for the pod that has the same.
	Namespace uint64        `json:"namespace"`
	Guard     GuardState    `json:"guard"`
	Names     string        `json:"names_error,omitempty"` // why names are not resolved in this pod
	Client    *ClientState  `json:"client,omitempty"`
	Gateway   *GatewayState `json:"gateway,omitempty"`
}

// GuardState is how a pod's guard stands.
type GuardState struct {
	Standing bool              `json:"standing"`          // it is in force
	Raw      bool              `json:"raw"`               // raw sockets are held as well
	Since    time.Time         `json:"since,omitzero"`    // when it was first laid
	Repairs  int               `json:"repairs"`           // how often it was laid again because somebody else had changed it
	Dropped  map[string]uint64 `json:"dropped,omitempty"` // packets, by reason
	Error    string            `json:"error,omitempty"`   // why it does not stand, or not as it should
}

// ClientState is how a pod's end of the overlay stands.
type ClientState struct {
	Peer    netip.Addr `json:"peer,omitzero"`   // the gateway's pod
	Heard   time.Time  `json:"heard,omitzero"`  // when it was heard last
	Lost    bool       `json:"lost"`            // it is not heard now
	Tunnel  bool       `json:"tunnel"`          // it said that packets come back through its tunnel
	IPv6    bool       `json:"ipv6"`            // it said that IPv6 may go through its tunnel too
	Moves   int        `json:"moves"`           // how often the overlay was led to another pod
	Foreign uint64     `json:"foreign"`         // heartbeats that no gateway with this key has made
	Stale   uint64     `json:"stale"`           // heartbeats that were late, or sent a second time
	Drill   time.Time  `json:"drill,omitzero"`  // until when it is down, because the charm asked for that
	Error   string     `json:"error,omitempty"` // why it is not as it should be
}

// GatewayState is how the gateway's end stands.
type GatewayState struct {
	Tunnel  bool                      `json:"tunnel"`               // packets come back through it
	IPv6    bool                      `json:"ipv6"`                 // clients' IPv6 is led into it
	NoIPv6  string                    `json:"ipv6_error,omitempty"` // why it is not, where the tunnel has IPv6
	Clients map[netip.Addr]ClientSeen `json:"clients"`
	Ports   map[string]Lease          `json:"ports,omitempty"` // by the name of the block that wants one
	Foreign uint64                    `json:"foreign"`         // heartbeats that nobody with a key here has made
	Stale   uint64                    `json:"stale"`           // heartbeats that were late, or sent a second time
	Dropped map[string]uint64         `json:"dropped,omitempty"`
	Error   string                    `json:"error,omitempty"`
}

// ClientSeen is a client as its gateway knows it.
type ClientSeen struct {
	Pod   netip.Addr `json:"pod"`
	Heard time.Time  `json:"heard,omitzero"` // zero: not since this gateway began
}
