package overlay

import "time"

// Report is what the agent of a pod answers to the charm beside it.
type Report struct {
	// Namespace is the inode of the network namespace that the agent is in: an answer counts for the pod that has the same.
	Namespace uint64     `json:"namespace"`
	Guard     GuardState `json:"guard"`
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
