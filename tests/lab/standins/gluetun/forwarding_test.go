package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// With what the charm writes into its environment it has ports granted, and tells them as gluetun does: in a file that is emptied when the
// tunnel goes, and by its control API, to which the charm's own roles let nobody but who may ask.
func TestForwarding(t *testing.T) {
	dir := t.TempDir()
	labPorts = filepath.Join(dir, "ports")
	file := filepath.Join(dir, "forwarded_port")
	const roles = "[[roles]]\nname = \"charm\"\nroutes = [\"GET /v1/vpn/status\"]\nauth = \"apikey\"\napikey = \"k\"\n\n[[roles]]\nname = \"ports\"\nroutes = [\"GET /v1/portforward\"]\nauth = \"none\"\n"
	all, err := parseRoles(roles)
	require.NoError(t, err)
	v := &vpn{settings: settings{forwarding: forwarding{on: true, file: file}}}
	c := &control{vpn: v, roles: all}
	asked := func(route string) (int, string) {
		w := httptest.NewRecorder()
		c.ServeHTTP(w, httptest.NewRequest(http.MethodGet, route, nil))
		return w.Code, strings.TrimSpace(w.Body.String())
	}
	told := func(answer, inFile string) {
		t.Helper()
		code, text := asked("/v1/portforward")
		assert.Equal(t, http.StatusOK, code)
		assert.Equal(t, answer, text)
		data, _ := os.ReadFile(file)
		assert.Equal(t, inFile, string(data))
	}
	told(`{"port":0}`, "")
	v.forward()
	told(`{"port":0}`, "")
	assert.NoFileExists(t, file, "the first request has failed")
	grant := func(text string) { require.NoError(t, os.WriteFile(labPorts, []byte(text), 0o600)) }
	grant("51413\n")
	v.forward()
	told(`{"port":51413}`, "51413")
	v.unforward()
	told(`{"port":0}`, "")
	assert.FileExists(t, file)
	grant("10007\n20007\n")
	v.forward()
	told(`{"ports":[10007,20007]}`, "10007\n20007")
	code, _ := asked("/v1/vpn/status")
	assert.Equal(t, http.StatusUnauthorized, code)
}
