//go:build bench

package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/charmarr/charmarr-go/tests/bench/internal/taken"
)

// request is one line of the API server's audit log.
type request struct {
	User     struct{ Username string }
	Agent    string `json:"userAgent"`
	Verb     string
	URI      string    `json:"requestURI"`
	Received time.Time `json:"requestReceivedTimestamp"`
}

// asked reads what a unit's charm has asked the API server for since the lab came up. The charm's calls are told from
// those of others in its pod by the name that it goes by.
func (b bench) asked(ctx context.Context, u Unit) (asked []request, err error) {
	log, err := b.Lab(ctx, "logs", "audit")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(log) {
		var r request
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			return nil, fmt.Errorf("cannot read the audit log: %w", err)
		}
		if r.User.Username == "system:serviceaccount:"+u.Model+":"+u.App && r.Agent == "charmarr" {
			asked = append(asked, r)
		}
	}
	return asked, nil
}

// during tells how often one dispatch read, and each of its writes. Juju runs one hook of a unit at a time, so what was
// asked in between is this dispatch's; whatever is not known to only read is a write.
func during(asked []request, m taken.Taken) (reads int, wrote []string) {
	for _, r := range asked {
		switch at := r.Received.UnixNano(); {
		case at < m.Began || at > m.Ended:
		case slices.Contains([]string{"get", "list", "watch"}, r.Verb):
			reads++
		default:
			wrote = append(wrote, r.Verb+" "+r.URI)
		}
	}
	return reads, wrote
}

// counts shows that a write would have been seen: every charm wrote while it was being deployed.
func (b bench) counts(ctx context.Context) error {
	for _, u := range units {
		asked, err := b.asked(ctx, u)
		if err != nil {
			return err
		}
		if _, wrote := during(asked, taken.Taken{Ended: math.MaxInt64}); len(wrote) == 0 {
			return errors.New("the audit log has no write of " + u.App + ", which made objects when it was deployed: it proves nothing")
		}
	}
	return nil
}
