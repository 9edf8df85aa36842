package status

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

func TestWhoHasTheTunnel(t *testing.T) {
	tests := []struct {
		summary           string
		gateway           *overlay.GatewayState
		active, elsewhere bool
	}{
		{"the only unit", &overlay.GatewayState{}, true, true},
		{"no gateway's pod", nil, true, true},
		{"this one has it", &overlay.GatewayState{Standby: &overlay.StandbyState{Known: true, Active: true}}, true, true},
		{"another one has it, and it is up", &overlay.GatewayState{Standby: &overlay.StandbyState{Known: true, Held: overlay.Held{Tunnel: true}}}, false, true},
		{"another one has it, and it is down", &overlay.GatewayState{Tunnel: true, Standby: &overlay.StandbyState{Known: true}}, false, false},
		{"nobody knows", &overlay.GatewayState{Standby: &overlay.StandbyState{}}, false, false},
	}
	for _, test := range tests {
		t.Run(test.summary, func(t *testing.T) {
			mux := http.NewServeMux()
			turns(mux, func() overlay.Report { return overlay.Report{Gateway: test.gateway} })
			for path, holds := range map[string]bool{overlay.ActivePath: test.active, overlay.ElsewherePath: test.elsewhere} {
				r := httptest.NewRequest("GET", path, nil)
				w := httptest.NewRecorder()
				mux.ServeHTTP(w, r)
				assert.Equal(t, http.StatusNotFound, w.Code, "whoever asks from elsewhere: %s", r.RemoteAddr)
				r.RemoteAddr = "127.0.0.1:40000"
				w = httptest.NewRecorder()
				mux.ServeHTTP(w, r)
				assert.Equal(t, holds, w.Code == http.StatusOK, path)
			}
		})
	}
}

func TestTheGatewayIsHeard(t *testing.T) {
	for _, test := range []struct {
		summary string
		client  *overlay.ClientState
		heard   bool
	}{
		{"it is, and its tunnel is up", &overlay.ClientState{Tunnel: true}, true},
		{"it is not", &overlay.ClientState{Lost: true, Tunnel: true}, false},
		{"its tunnel is down", &overlay.ClientState{}, false},
		{"the way to it is not laid", &overlay.ClientState{Tunnel: true, Error: "no such device"}, false},
		{"this pod is no client", nil, false},
	} {
		mux := http.NewServeMux()
		turns(mux, func() overlay.Report { return overlay.Report{Client: test.client} })
		r := httptest.NewRequest("GET", overlay.HeardPath, nil)
		r.RemoteAddr = "127.0.0.1:40000"
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		assert.Equal(t, test.heard, w.Code == http.StatusOK, test.summary)
	}
}
