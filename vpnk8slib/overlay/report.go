package overlay

import (
	"net/netip"
	"time"
)

// Report is what the agent of a pod answers to the charm beside it.
type Report struct {
	// Namespace is the inode of the network namespace that the agent is in: an answer counts for the pod that has the same.
	Namespace uint64     `json:"namespace"`
	Guard     GuardState `json:"guard"`
	Names     string     `json:"names_error,omitempty"` // why names are not resolved in this pod
	// Asked are the questions for names that were answered here, by who was asked: one of the Asked constants.
	Asked   map[string]uint64 `json:"asked,omitempty"`
	Client  *ClientState      `json:"client,omitempty"`
	Gateway *GatewayState     `json:"gateway,omitempty"`
}

// Who was asked for a name.
const (
	AskedCluster = "cluster" // the cluster's resolver
	AskedTunnel  = "tunnel"  // one behind the tunnel
	AskedNobody  = "nobody"  // nobody: there is no such name, or no way to who knows it
)

// GuardState is how a pod's guard stands.
type GuardState struct {
	Standing bool              `json:"standing"`          // it is in force
	Raw      bool              `json:"raw"`               // raw sockets are held as well
	Since    time.Time         `json:"since,omitzero"`    // when it was first laid
	Repairs  int               `json:"repairs"`           // how often it was laid again because somebody else had changed it
	Dropped  map[string]uint64 `json:"dropped,omitempty"` // packets, by reason
	Kinds    []Kind            `json:"kinds,omitempty"`   // of those that would have left, by what they were
	Error    string            `json:"error,omitempty"`   // why it does not stand, or not as it should
}

// Kind is how many packets of a family and a protocol there were.
type Kind struct {
	Family   string `json:"family"`   // ipv4, ipv6, other
	Protocol string `json:"protocol"` // tcp, udp, icmp, other
	Packets  uint64 `json:"packets"`
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

// Through says whether what is sent into the overlay may come back: the gateway is heard, and says that its tunnel is up.
func (c ClientState) Through() bool { return !c.Lost && c.Tunnel && c.Error == "" }

// GatewayState is how the gateway's end stands.
type GatewayState struct {
	Tunnel  bool                      `json:"tunnel"`               // packets come back through it
	Link    *TunnelLink               `json:"link,omitempty"`       // the tunnel's interface; nil: there is none
	Lost    map[string]uint64         `json:"lost,omitempty"`       // how often the tunnel was lost and came back, by how it was lost
	Exit    netip.Addr                `json:"exit,omitzero"`        // whom the world sees, as the charm has heard; zero: not known
	Country string                    `json:"country,omitempty"`    // that the exit is in, as the charm has heard
	Listed  time.Time                 `json:"listed,omitzero"`      // of when the servers are that the VPN client chooses from; zero: not known
	Refused bool                      `json:"refused,omitempty"`    // the provider does not take the account, as the charm has heard
	IPv6    bool                      `json:"ipv6"`                 // clients' IPv6 is led into it
	NoIPv6  string                    `json:"ipv6_error,omitempty"` // why it is not, where the tunnel has IPv6
	Clients map[netip.Addr]ClientSeen `json:"clients"`
	Ports   map[string]Lease          `json:"ports,omitempty"`      // by the name of the block that wants one
	Since   time.Time                 `json:"ports_since,omitzero"` // when the ports became these
	Foreign uint64                    `json:"foreign"`              // heartbeats that nobody with a key here has made
	Stale   uint64                    `json:"stale"`                // heartbeats that were late, or sent a second time
	Dropped map[string]uint64         `json:"dropped,omitempty"`
	Standby *StandbyState             `json:"standby,omitempty"` // nil: there is one unit
	Error   string                    `json:"error,omitempty"`
}

// ClientSeen is a client as its gateway knows it.
type ClientSeen struct {
	Pod   netip.Addr `json:"pod"`
	Heard time.Time  `json:"heard,omitzero"` // zero: not since this gateway began
	Name  string     `json:"name,omitempty"` // of its application's block
	App   string     `json:"app,omitempty"`  // of its application, as it calls itself
	Unit  int        `json:"unit"`           // the number of its unit
	Said  Said       `json:"said,omitzero"`  // of its pod, when it was heard last
}

// TunnelLink is the tunnel's interface, as the kernel has it.
type TunnelLink struct {
	MTU       int        `json:"mtu"`
	Received  uint64     `json:"received"` // bytes, since the interface was made
	Sent      uint64     `json:"sent"`
	WireGuard bool       `json:"wireguard,omitempty"` // the kernel's, or the VPN client's own
	Shaken    time.Time  `json:"handshake,omitzero"`  // WireGuard's last handshake; zero: none, or it is none of WireGuard's
	Server    netip.Addr `json:"server,omitzero"`     // whom WireGuard talks to; zero: not known, or not chosen by the VPN client
}

// How a tunnel was lost.
const (
	LostSilent = "silent" // nothing came back
	LostGone   = "gone"   // its interface was taken away or down
)
