package status

import (
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// Whoever watches is told the metrics, and nothing else.
func TestMetrics(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	at := l.Addr().String()
	require.NoError(t, l.Close())
	ctx, end := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Metrics(ctx, at, func() overlay.Report { return overlay.Report{} }) }()
	get := func(path string) (int, string, error) {
		client := http.Client{Timeout: 10 * time.Second}
		answer, err := client.Get("http://" + at + path)
		if err != nil {
			return 0, "", err
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		return answer.StatusCode, string(text), err
	}
	require.Eventually(t, func() bool { _, _, err := get("/metrics"); return err == nil }, 5*time.Second, 10*time.Millisecond)
	code, text, err := get("/metrics")
	require.NoError(t, err)
	assert.Equal(t, http.StatusOK, code)
	assert.Contains(t, text, "charmarr_vpn_guard_standing 0\n")
	code, _, err = get("/v1/report")
	require.NoError(t, err)
	assert.Equal(t, http.StatusNotFound, code, "what the charm is told is told on its socket alone")
	end()
	require.NoError(t, <-done)
}
