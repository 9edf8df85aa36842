package status

import (
	"net/http"
	"net/netip"

	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// turns answers Pebble's checks, which bring the charm a hook when anything of this turns: whether this one of several gateways has the
// tunnel, and, where another one has it, whether that one's is up; and whether a client's gateway is heard and says that its own is.
func turns(mux *http.ServeMux, report func() overlay.Report) {
	check := func(path string, holds func(overlay.Report) bool) {
		mux.HandleFunc("GET "+path, onLoopback(func(w http.ResponseWriter, _ *http.Request) {
			if !holds(report()) {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		}))
	}
	standby := func(path string, holds func(overlay.StandbyState) bool) {
		check(path, func(r overlay.Report) bool {
			return r.Gateway == nil || r.Gateway.Standby == nil || holds(*r.Gateway.Standby)
		})
	}
	standby(overlay.ActivePath, func(s overlay.StandbyState) bool { return s.Active })
	standby(overlay.ElsewherePath, func(s overlay.StandbyState) bool { return s.Active || s.Held.Tunnel })
	check(overlay.HeardPath, func(r overlay.Report) bool { return r.Client != nil && r.Client.Through() })
}

// onLoopback answers nobody else.
func onLoopback(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		at, err := netip.ParseAddrPort(r.RemoteAddr)
		if err != nil || !at.Addr().Unmap().IsLoopback() {
			http.NotFound(w, r)
			return
		}
		h(w, r)
	}
}
