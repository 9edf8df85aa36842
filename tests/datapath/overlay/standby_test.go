//go:build datapath

package overlay

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// store answers as an API server that has one Lease.
type store struct {
	mu      sync.Mutex
	lease   map[string]any // its spec
	version int
	silent  bool
}

func (s *store) set(silent bool) { s.mu.Lock(); defer s.mu.Unlock(); s.silent = silent }

func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.silent {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if r.Method == http.MethodPatch {
		var patch struct {
			Metadata struct{ ResourceVersion string }
			Spec     map[string]any
		}
		if err := json.NewDecoder(r.Body).Decode(&patch); err != nil || patch.Metadata.ResourceVersion != strconv.Itoa(s.version) {
			w.WriteHeader(http.StatusConflict)
			return
		}
		for k, v := range patch.Spec {
			s.lease[k] = v
		}
		s.version++
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"metadata": map[string]any{"resourceVersion": strconv.Itoa(s.version)}, "spec": s.lease})
}

// agrees has a gateway's pod, whose agent has not begun, agree with others by a Lease.
func (s *stage) agrees(m *member) *store {
	s.Helper()
	lease := &store{lease: map[string]any{}}
	server := httptest.NewUnstartedServer(lease)
	require.NoError(s, m.Do(s.T, func() (err error) {
		_ = server.Listener.Close()
		server.Listener, err = net.Listen("tcp4", "127.0.0.1:0")
		return err
	}))
	server.StartTLS()
	s.Cleanup(server.Close)
	dir := s.TempDir()
	for name, text := range map[string][]byte{"token": []byte("a token"), "ca.crt": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})} {
		require.NoError(s, os.WriteFile(filepath.Join(dir, name), text, 0o600))
	}
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	require.NoError(s, err)
	m.Flags = []string{"--standby", dir, "--pod", "gluetun-0"}
	m.Env = []string{"KUBERNETES_SERVICE_HOST=127.0.0.1", "KUBERNETES_SERVICE_PORT=" + port}
	m.config.Gateway.Standby, m.config.Gateway.Pod = &overlay.Standby{Namespace: "downloads", Lease: "gluetun-vpn-standby"}, "gluetun-0"
	m.Configure(m.config)
	return lease
}

// One of several gateways that cannot read its configuration has its clients for as long as it has the Lease, and no longer.
func TestWhoHasLostTheLeaseForwardsNothing(t *testing.T) {
	s := newWorld(t)
	gateway := s.gatewayPod("10.42.0.7", nil)
	lease := s.agrees(gateway)
	gateway.Start()
	pod := s.clientAgent("10.42.0.5", way, qbittorrentKey)
	s.through(pod.NS)
	seen, sent := s.world.Count(t, "t0.7"), 0
	// send sends in the encapsulation, which goes on when the client has lost its gateway.
	send := func() (to string) {
		sent++
		to = fmt.Sprintf("198.18.7.%d", sent)
		s.inject(pod.NS, "10.42.0.7", frame(way.VNI, netip.AddrPortFrom(way.Address.Addr(), 5000), netip.MustParseAddrPort(to+":9000"), "x"))
		return to
	}
	forwards := func() {
		t.Helper()
		require.Positive(t, seen.Until(send()))
	}
	letsGo := func() {
		t.Helper()
		gateway.Until("it lets go", func(r overlay.Report) bool {
			g := r.Gateway
			return g != nil && g.Standby != nil && g.Standby.Known && !g.Standby.Active && len(g.Clients) == 0
		})
		to := send()
		_, err := s.ask(pod.NS, "198.18.0.7:443", moment)
		assert.Error(t, err)
		assert.Zero(t, seen.Of(to), "it forwards, and another one may have the tunnel")
	}
	holds := func(r overlay.Report) bool {
		return r.Gateway != nil && r.Gateway.Standby != nil && r.Gateway.Standby.Active && r.Gateway.Error != "" && len(r.Gateway.Clients) == 1
	}

	gateway.Write("{")
	gateway.Until("it says that it cannot read its file", holds)
	forwards()
	lease.set(true)
	letsGo()
	lease.set(false)
	gateway.Until("it has it again", holds)
	s.through(pod.NS)
	forwards()

	gateway.Kill()
	gateway.Start()
	forwards() // as the agent before it has left it
	letsGo()
}
