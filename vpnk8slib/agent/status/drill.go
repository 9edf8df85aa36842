package status

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// Drill takes an overlay down for so long, and says until when.
type Drill func(d time.Duration) (until time.Time, err error)

// ServeHTTP takes ?seconds=N. On the TCP address of the metrics, which the workload reaches too, there is none.
func (drill Drill) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	seconds, err := strconv.Atoi(r.URL.Query().Get("seconds"))
	most := int(overlay.MaxDrill / time.Second)
	switch {
	case drill == nil:
		http.Error(w, "this agent has no overlay that it could take down", http.StatusNotImplemented)
		return
	case err != nil || seconds < 1 || seconds > most:
		http.Error(w, fmt.Sprintf("seconds must be a number from 1 to %d", most), http.StatusBadRequest)
		return
	}
	until, err := drill(time.Duration(seconds) * time.Second)
	if err != nil {
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(overlay.Drilling{Until: until}) // whoever asked has gone
}
