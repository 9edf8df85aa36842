package overlay

// Word is what somebody says of a thing that he alone can know.
type Word byte

// The words. An agent that is older than a question says nothing to it.
const (
	Unsaid Word = iota
	Yes
	No
	Unknown
)

var words = [...]string{Unsaid: "", Yes: "yes", No: "no", Unknown: "unknown"}

// WordFor is yes or no.
func WordFor(holds bool) Word {
	if holds {
		return Yes
	}
	return No
}

func (w Word) String() string { return words[w&3] }

// MarshalText writes it.
func (w Word) MarshalText() ([]byte, error) { return []byte(w.String()), nil }

// UnmarshalText reads it. A word that is newer than the reader is not known to it, and no reason to refuse what it stands in.
func (w *Word) UnmarshalText(text []byte) error {
	*w = Unknown
	for known, name := range words {
		if name == string(text) {
			*w = Word(known)
		}
	}
	return nil
}

// Said is what the agent of a client's pod says of it to its gateway: its own numbers are nobody's outside of the pod.
type Said struct {
	Guard  Word `json:"guard,omitzero"`  // it is in force
	Policy Word `json:"policy,omitzero"` // the cluster enforces NetworkPolicies, as the pod's charm has measured
	Leaves Word `json:"leaves,omitzero"` // something in the pod goes on trying to leave beside the overlay, and is dropped
}
