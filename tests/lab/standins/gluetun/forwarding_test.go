package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// With what the charm writes into its environment it has ports granted, and tells them as gluetun does: in a file that is emptied when the
// tunnel goes, and by its control API, to which the charm's own roles let nobody but who may ask.
func TestForwarding(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "forwarded_port")
	const roles = "[[roles]]\nname = \"charm\"\nroutes = [\"GET /v1/vpn/status\"]\nauth = \"apikey\"\napikey = \"k\"\n\n[[roles]]\nname = \"ports\"\nroutes = [\"GET /v1/portforward\"]\nauth = \"none\"\n"
	all, err := parseRoles(roles)
	require.NoError(t, err)
	var granted []uint16
	v := &vpn{settings: settings{forwarding: forwarding{on: true, file: file}}, obtain: func(context.Context, []uint16) ([]uint16, time.Duration, error) {
		if len(granted) == 0 {
			return nil, 0, errors.New("the provider grants none")
		}
		return granted, time.Hour, nil
	}}
	ended, end := context.WithCancel(t.Context())
	end()
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
	v.forward(ended)
	told(`{"port":0}`, "")
	assert.NoFileExists(t, file, "the first request has failed")
	granted = []uint16{51413}
	v.forward(ended)
	told(`{"port":51413}`, "51413")
	v.unforward()
	told(`{"port":0}`, "")
	assert.FileExists(t, file)
	granted = []uint16{10007, 20007}
	v.forward(ended)
	told(`{"ports":[10007,20007]}`, "10007\n20007")
	code, _ := asked("/v1/vpn/status")
	assert.Equal(t, http.StatusUnauthorized, code)
}
