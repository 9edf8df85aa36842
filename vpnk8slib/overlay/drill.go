package overlay

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// MaxDrill is how long an overlay may be down because somebody asked for it.
const MaxDrill = 30 * time.Second

// Drilling is an agent's answer to whoever asks for a drill.
type Drilling struct {
	Until time.Time `json:"until"` // then the agent lays the overlay again, whatever has become of who asked
}

// Drill asks the agent behind a socket to take its overlay down for so long, in whole seconds. It is down when the answer comes.
func Drill(ctx context.Context, socket string, seconds int) (d Drilling, err error) {
	err = call(ctx, socket, http.MethodPost, fmt.Sprintf("/v1/drill?seconds=%d", seconds), &d)
	return d, err
}
