package hook

import (
	"encoding/json"
	"os"
	"slices"
	"strings"

	"github.com/charmarr/charmarr-go/vpnk8slib"
)

const joinedFile = ".joined.json"

// Joined are the relations of an endpoint that an application does as well without, such as those of whoever watches it. Juju is asked
// in a pod's first hook and in the endpoint's own: nothing else changes them, and each question is a process, in most deployments
// to hear of none.
func Joined(endpoint string) ([]string, error) {
	known := map[string][]string{}
	if text, err := os.ReadFile(inPod(joinedFile)); err == nil {
		_ = json.Unmarshal(text, &known) // an unreadable cache is an empty one
	}
	event := environment().Event
	if ids, ok := known[endpoint]; ok && !strings.HasPrefix(event, endpoint+"-relation-") {
		return ids, nil
	}
	ids, err := relationIDs(endpoint)
	if err != nil {
		return nil, err
	}
	if before, ok := known[endpoint]; !ok || !slices.Equal(before, ids) {
		known[endpoint] = ids
		if text, err := json.Marshal(known); err == nil {
			_ = os.WriteFile(inPod(joinedFile), text, 0o600) // without it the next hook asks again
		}
	}
	return ids, nil
}

// JoinedRelations are those with what the other application published in each, as Relations has them. A hook tool for each.
func JoinedRelations(endpoint string) ([]vpnk8slib.Relation, error) {
	ids, err := Joined(endpoint)
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	return readRelations(endpoint, ids)
}
