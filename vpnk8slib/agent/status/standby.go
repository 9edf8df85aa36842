package status

import (
	"net/http"

	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// standby answers Pebble's checks of one of several gateways, which bring its charm a hook when anything of this turns: whether this
// one has the tunnel, and, where another one has it, whether that one's is up.
func standby(mux *http.ServeMux, report func() overlay.Report) {
	check := func(path string, holds func(overlay.StandbyState) bool) {
		mux.HandleFunc("GET "+path, onLoopback(func(w http.ResponseWriter, _ *http.Request) {
			if g := report().Gateway; g != nil && g.Standby != nil && !holds(*g.Standby) {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		}))
	}
	check(overlay.ActivePath, func(s overlay.StandbyState) bool { return s.Active })
	check(overlay.ElsewherePath, func(s overlay.StandbyState) bool { return s.Active || s.Held.Tunnel })
}
