package standby

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// What the units agree by is kept where the pod's life ends. So an agent that starts anew, and cannot read its configuration, knows that
// what the one before it has left in force may be another unit's by now.

var errBlind = errors.New("the configuration that names the lease cannot be read")

const agreement = "agreement"

// Resume says that this agent takes over from one that this pod may have had before.
func (k *Keeper) Resume() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.began = time.Now()
	var before overlay.Standby
	text, err := os.ReadFile(filepath.Join(k.Folder, agreement))
	if err == nil && json.Unmarshal(text, &before) == nil {
		k.before = &before
	}
}

// keep keeps a rule for whoever resumes.
func (k *Keeper) keep(rule *overlay.Standby) {
	if !sameRule(rule, k.before) {
		k.before = nil
	}
	path := filepath.Join(k.Folder, agreement)
	err := os.Remove(path)
	if rule != nil {
		var text []byte
		if text, err = json.Marshal(rule); err == nil {
			if err = os.MkdirAll(k.Folder, 0o755); err == nil {
				err = os.WriteFile(path, text, 0o600)
			}
		}
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		k.Log.Warn("cannot keep what the units agree by", "error", err)
	}
}

func sameRule(a, b *overlay.Standby) bool {
	return (a == nil) == (b == nil) && (a == nil || a.Same(*b))
}

// blind says whether this one could not read yet what an earlier one has read.
func (k *Keeper) blind() bool { return !k.told && k.before != nil }

// overdue says whether a pod that has not heard from the API server whose the lease is may not wait for that any longer. An earlier agent
// may have renewed it until this one began; who was alone is given time by the others.
func (k *Keeper) overdue() bool {
	switch {
	case k.known:
		return false
	case k.blind(), k.rule != nil && sameRule(k.rule, k.before):
		return time.Since(k.began) >= Safe
	default:
		return k.rule != nil && time.Since(k.asked) >= hears
	}
}
