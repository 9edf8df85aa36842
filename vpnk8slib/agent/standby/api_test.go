package standby

import (
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// What is asked and written is what Kubernetes has under these names; a real API server is asked in tests/integration.
func TestAPI(t *testing.T) {
	var asked, body string
	status, answer := http.StatusOK, ""
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		asked, body = r.Method+" "+r.URL.Path+" "+r.Header.Get("Content-Type")+" "+r.Header.Get("Authorization"), string(text)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}))
	defer server.Close()
	dir := t.TempDir()
	file := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	a := &api{server: strings.TrimPrefix(server.URL, "https://"), dir: dir}

	_, err := a.read(t.Context(), *rule)
	require.ErrorContains(t, err, "cannot read Lease gluetun-vpn-standby: ", "there is no token yet")
	file("token", "a token\n")
	file("ca.crt", "")
	_, err = a.read(t.Context(), *rule)
	require.ErrorContains(t, err, "there is no certificate")
	file("ca.crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))

	const path = " /apis/coordination.k8s.io/v1/namespaces/downloads/leases/gluetun-vpn-standby application/merge-patch+json Bearer a token"
	answer = `{"metadata": {"resourceVersion": "7", "annotations": {"another": "one"}}, "spec": {}}`
	l, err := a.read(t.Context(), *rule)
	require.NoError(t, err)
	assert.Equal(t, "GET"+path, asked)
	assert.Equal(t, lease{version: "7"}, l)

	held := overlay.Held{Pod: netip.MustParseAddr("10.42.0.7"), Tunnel: true, Clients: map[netip.Addr]netip.Addr{netip.MustParseAddr("172.16.0.16"): netip.MustParseAddr("10.42.0.5")}}
	now := time.Date(2026, 11, 27, 20, 30, 0, 1000, time.UTC)
	answer = `{"metadata": {"resourceVersion": "8", "annotations": {"vpn.charmarr.io/held": "{\"pod\":\"10.42.0.7\",\"tunnel\":true,\"clients\":{\"172.16.0.16\":\"10.42.0.5\"}}"}},
		"spec": {"holderIdentity": "gluetun-0_a", "acquireTime": "2026-11-27T20:30:00.000001Z", "renewTime": "2026-11-27T20:30:00.000001Z", "leaseTransitions": 1}}`
	l, err = a.write(t.Context(), *rule, l, "gluetun-0_a", held, now)
	require.NoError(t, err)
	assert.Equal(t, "PATCH"+path, asked)
	var sent object
	require.NoError(t, json.Unmarshal([]byte(body), &sent))
	assert.Equal(t, "7", sent.Metadata.ResourceVersion, "only of the one that was read")
	assert.Equal(t, lease{holder: "gluetun-0_a", taken: true, renewed: "2026-11-27T20:30:00.000001Z", times: 1, held: held, version: "7"}, sent.lease())
	assert.Equal(t, lease{holder: "gluetun-0_a", taken: true, renewed: "2026-11-27T20:30:00.000001Z", times: 1, held: held, version: "8"}, l)

	_, err = a.write(t.Context(), *rule, l, "gluetun-0_a", held, now.Add(time.Second))
	require.NoError(t, err)
	assert.NotContains(t, body, "acquireTime", "it is the same one's still")
	_, err = a.write(t.Context(), *rule, l, "", overlay.Held{}, now)
	require.NoError(t, err)
	assert.JSONEq(t, `{"metadata": {"resourceVersion": "8"}, "spec": {"holderIdentity": null, "renewTime": "2026-11-27T20:30:00.000001Z"}}`, body)

	status = http.StatusConflict
	_, err = a.write(t.Context(), *rule, l, "gluetun-0_a", held, now)
	require.ErrorIs(t, err, errConflict)
	status = http.StatusForbidden
	_, err = a.read(t.Context(), *rule)
	require.EqualError(t, err, "cannot read Lease gluetun-vpn-standby: the API server says 403 Forbidden")
	status, answer = http.StatusOK, `{"metadata": {"annotations": {"vpn.charmarr.io/held": "{\"tunnel\":true,\"clients\":7}"}}, "spec": {}}`
	l, err = a.read(t.Context(), *rule)
	require.NoError(t, err)
	assert.Equal(t, overlay.Held{}, l.held, "half of what somebody wrote is nothing")

	file("ca.crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: httptest.NewTLSServer(nil).Certificate().Raw[:8]})))
	_, err = a.read(t.Context(), *rule)
	require.Error(t, err, "a server that the authority does not know is told nothing")
}
