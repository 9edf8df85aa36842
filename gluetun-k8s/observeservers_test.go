package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime/multipart"
	"net"
	"net/http"
	"net/netip"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/charms/hook"
	"github.com/charmarr/charmarr-go/charms/hook/hooktest"
	"github.com/charmarr/charmarr-go/vpnk8slib"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// fileServer stands in for a Pebble whose container has one file, and counts how often it is read.
type fileServer struct {
	path, text string
	modified   time.Time
	reads      int

	written string   // is there when gluetun's program was asked for it
	ran     []string // what was
}

func (f *fileServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer := func(code int, result any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(map[string]any{"type": map[bool]string{true: "sync", false: "error"}[code == 200], "status-code": code, "result": result})
	}
	query := r.URL.Query()
	there := f.text != "" && (query.Get("path") == f.path)
	switch {
	case r.URL.Path == "/v1/exec":
		var exec struct{ Command []string }
		_ = json.NewDecoder(r.Body).Decode(&exec)
		f.ran, f.text = append(f.ran, strings.Join(exec.Command, " ")), f.written
		answer(500, map[string]any{"message": "its output is not told"})
	case r.URL.Path == "/v1/plan":
		answer(200, "services: {}")
	case r.URL.Path != "/v1/files":
		answer(200, []any{}) // services, checks
	case query.Get("action") == "list" && there:
		answer(200, []any{map[string]any{
			"path": f.path, "name": filepath.Base(f.path), "type": "file", "size": len(f.text), "permissions": "644", "last-modified": f.modified.Format(time.RFC3339),
		}})
	case query.Get("action") == "read" && there:
		f.reads++
		parts := multipart.NewWriter(w)
		w.Header().Set("Content-Type", parts.FormDataContentType())
		file, _ := parts.CreatePart(textproto.MIMEHeader{"Content-Disposition": {`form-data; name="files"; filename="` + f.path + `"`}})
		_, _ = file.Write([]byte(f.text))
		response, _ := parts.CreateFormField("response")
		_ = json.NewEncoder(response).Encode(map[string]any{"type": "sync", "status-code": 200, "result": []any{map[string]any{"path": f.path}}})
		_ = parts.Close()
	default:
		answer(404, map[string]any{"message": "no such file", "kind": "not-found"})
	}
}

// serving has a file where this pod's hooks find gluetun's container.
func serving(t *testing.T, path, text string) *fileServer {
	t.Helper()
	f := &fileServer{path: path, text: text, modified: time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)}
	dir, err := os.MkdirTemp("", "pebble") // a socket's path is short
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	t.Setenv("CHARM_CONTAINERS", dir)
	require.NoError(t, os.Mkdir(filepath.Join(dir, container), 0o755))
	l, err := net.Listen("unix", filepath.Join(dir, container, "pebble.socket"))
	require.NoError(t, err)
	s := &http.Server{Handler: f}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close() })
	return f
}

// A city that the provider does not have is refused once its list is there; the list is read when it or the options have changed, and not
// in every hook.
func TestObserveByTheProvidersServers(t *testing.T) {
	mullvad := map[string]any{"vpn-provider": "mullvad", "wireguard-private-key-secret": "secret:1", "server-cities": "Zurick"}
	_, see := inPod(t, "nameserver 10.43.0.10\n", mullvad)
	list := serving(t, serversFile, "")
	const ask = "/gluetun-entrypoint format-servers -mullvad -output /dev/null"
	require.NoError(t, see().ConfigErr, "gluetun has not started yet, and its program cannot be asked")
	asked := filepath.Join(os.Getenv("JUJU_CHARM_DIR"), ".asked")
	require.NoFileExists(t, asked)
	require.NoError(t, os.WriteFile(asked, []byte("mullvad\n"), 0o600))
	require.NoError(t, see().ConfigErr)
	assert.Equal(t, []string{ask}, list.ran, "a program that has ended without one is not asked again in this pod")
	require.NoError(t, os.Remove(asked))

	list.written = serversJSON
	for range 3 {
		assert.EqualError(t, see().ConfigErr, "server-cities has Zurick, and mullvad has no such server over wireguard, but Zurich: juju config gluetun server-cities='Zurich'")
	}
	assert.Equal(t, 1, list.reads)
	assert.Equal(t, []string{ask, ask}, list.ran, "once more, and then the list is there")
	list.text = ""
	assert.Error(t, see().ConfigErr, "gluetun's container is another one, without a list: it is asked again")
	list.modified = list.modified.Add(time.Hour) // another image's
	assert.Error(t, see().ConfigErr)
	assert.Equal(t, 2, list.reads)

	mullvad["server-cities"] = "zurich"
	_, see = inPod(t, "nameserver 10.43.0.10\n", mullvad)
	list = serving(t, serversFile, serversJSON)
	assert.NoError(t, see().ConfigErr)
	assert.Equal(t, 1, list.reads)
	list.text, list.modified = serversJSON[:200], list.modified.Add(time.Hour)
	assert.NoError(t, see().ConfigErr, "gluetun is writing it")

	delete(mullvad, "server-cities")
	_, see = inPod(t, "nameserver 10.43.0.10\n", mullvad)
	list = serving(t, serversFile, serversJSON)
	assert.NoError(t, see().ConfigErr)
	assert.Zero(t, list.reads, "nothing is chosen")
}

// That there will be no list is known of a program that has ended by itself, and of no other.
func TestNoList(t *testing.T) {
	ended := fmt.Errorf("cannot list: %w", &hook.ExecError{Command: "/gluetun-entrypoint", Status: 1})
	assert.True(t, serverList{}.none(nil))
	assert.True(t, serverList{}.none(ended))
	assert.False(t, serverList{}.none(errors.New("timed out")))
	there := serverList{seen: hook.FileSeen{Size: 1}}
	assert.False(t, there.none(nil))
	assert.False(t, there.none(ended))
}

// Later versions of gluetun write a file for each provider.
func TestObserveByOneProvidersOwnFile(t *testing.T) {
	const own = `{
  "version": 2,
  "timestamp": 1790000000,
  "servers": [{"vpn": "wireguard", "country": "Switzerland", "city": "Zurich", "hostname": "ch-zrh-wg-001", "wgpubkey": "x", "ips": ["192.0.2.10"]}]
}
`
	_, see := inPod(t, "nameserver 10.43.0.10\n", map[string]any{
		"vpn-provider": "mullvad", "wireguard-private-key-secret": "secret:1", "server-cities": "Zurick",
	})
	list := serving(t, "/gluetun/servers/mullvad.json", own)
	for range 2 {
		assert.EqualError(t, see().ConfigErr, "server-cities has Zurick, and mullvad has no such server over wireguard, but Zurich: juju config gluetun server-cities='Zurich'")
	}
	assert.Equal(t, 1, list.reads)

	env := hook.Env{Pebble: hook.ContainerPebble}
	found, err := findList(env, "mullvad")
	require.NoError(t, err)
	all, err := found.servers(env, "mullvad")
	require.NoError(t, err)
	assert.Equal(t, []vpnServer{{VPN: "wireguard", Country: "Switzerland", City: "Zurich", Hostname: "ch-zrh-wg-001", Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.10")}}}, all)
	o := Observed{Unit: hook.Unit{Leader: true}, Watchers: Watchers{Metrics: []string{"metrics-endpoint:4"}}, Config: Config{Provider: "mullvad", RoutingMethod: vpnk8slib.Overlay}}
	assert.Equal(t, time.Unix(1790000000, 0).UTC(), listedAt(env, o))

	found, err = findList(env, "nordvpn")
	require.NoError(t, err)
	assert.False(t, found.there(), "each provider has its own")
	list.text, list.modified = own[:60], list.modified.Add(time.Hour)
	assert.NoError(t, see().ConfigErr, "gluetun is writing it")
}

// Where the options leave no server that leads ports, a consumer that wants one brings nothing down: the status says why there is none.
func TestAWishLeavesTheTunnel(t *testing.T) {
	const list = `{"private internet access": {"servers": [
		{"vpn": "openvpn", "udp": true, "region": "CA Toronto", "server_name": "toronto1", "hostname": "ca.example", "port_forward": true},
		{"vpn": "openvpn", "udp": true, "region": "US Seattle", "server_name": "seattle1", "hostname": "us.example"}]}}`
	inPod(t, "nameserver 10.43.0.10\n", nil)
	file := serving(t, serversFile, list)
	env := hook.Env{Pebble: hook.ContainerPebble}
	planned := map[string]string{}
	var agent *overlay.Report
	fit := func(options ...string) Observed {
		var o Observed
		o.Unit, o.Pod.Agent = hooktest.Leader("gluetun"), agent
		o.Config, o.Secret = pia(t, options...)
		o.Config.wanted = true
		require.NoError(t, o.fitServers(t.Context(), env, planned))
		return o
	}
	for range 3 {
		o := fit("regions=US Seattle")
		assert.NoError(t, o.ConfigErr)
		assert.False(t, o.Config.forwards())
		assert.EqualError(t, o.Config.portless, "no server of private internet access that server-regions leave leads ports: juju config gluetun server-regions='<such as CA Toronto>'; see: juju run gluetun/0 list-servers")
	}
	assert.Equal(t, 2, file.reads, "with and without, and not in every hook")
	o := fit("regions=CA Toronto")
	assert.NoError(t, errors.Join(o.ConfigErr, o.Config.portless))
	assert.True(t, o.Config.forwards())
	assert.ErrorContains(t, fit("regions=Sweden").ConfigErr, "has no such server", "what is wrong without a wish is refused all the same")
	assert.ErrorContains(t, fit("regions=US Seattle", "overrides=VPN_PORT_FORWARDING=on").ConfigErr, "gluetun takes no other", "an operator who asks for ports is told")

	// Nobody knows whether there is one: what runs goes on.
	file.text, file.modified = list[:60], file.modified.Add(time.Hour)
	o = fit("regions=US Seattle")
	assert.NoError(t, o.ConfigErr)
	assert.False(t, o.Config.forwards())
	assert.ErrorContains(t, o.Config.portless, "cannot be read now")
	planned[forwarding] = "on"
	assert.True(t, fit("regions=US Seattle").Config.forwards())
	planned[forwarding] = ""
	agent = &overlay.Report{Gateway: &overlay.GatewayState{Standby: &overlay.StandbyState{Known: true, Holder: "gluetun-1"}}}
	assert.True(t, fit("regions=US Seattle").Config.forwards(), "another unit's gluetun runs, and its port is not taken away")
	agent = nil
	file.text, file.modified = list, file.modified.Add(time.Hour)
	assert.True(t, fit("regions=CA Toronto").Config.forwards(), "and it is asked for as soon as that is known")
}
