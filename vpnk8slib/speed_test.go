package vpnk8slib

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// onLoopback is a way that tests have.
var onLoopback = Way{device: "lo"}

// libreSpeed is a server of LibreSpeed's, which counts what it sends and takes.
func libreSpeed(t *testing.T, sent, taken *atomic.Int64) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/backend/garbage.php":
			assert.Equal(t, "1", r.URL.Query().Get("ckSize"))
			n, _ := w.Write(make([]byte, 1<<20))
			sent.Add(int64(n))
		case "/backend/empty.php":
			n, _ := io.Copy(io.Discard, r.Body)
			taken.Add(n)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func TestMeasureSpeed(t *testing.T) {
	var sent, taken atomic.Int64
	s := libreSpeed(t, &sent, &taken)
	l := SpeedLimits{Bytes: 10 << 20, Each: 10 * time.Second}
	speed, err := MeasureSpeed(t.Context(), onLoopback, s.URL+"/backend/", l)
	require.NoError(t, err)
	assert.EqualValues(t, 10<<20, speed.Down.Bytes)
	assert.EqualValues(t, 10<<20, speed.Up.Bytes)
	assert.EqualValues(t, 10<<20, sent.Load())
	assert.EqualValues(t, 10<<20, taken.Load(), "no more than it may")
	assert.Positive(t, speed.Latency)
	assert.Positive(t, speed.Down.Mbits())
	assert.InDelta(t, 80, Rate{10e6, time.Second}.Mbits(), 0.01)
	assert.Zero(t, Rate{}.Mbits())
}

// A slow way is measured for as long as there is time, by the little that gets through; and whoever is no such server is told so.
func TestMeasureSpeedOfWhatIsSlowOrWrong(t *testing.T) {
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for r.URL.Path == "/garbage.php" && r.Context().Err() == nil {
			_, _ = w.Write(make([]byte, 8<<10))
			_ = http.NewResponseController(w).Flush()
			time.Sleep(100 * time.Millisecond)
		}
		for n := int64(1); n > 0; {
			n, _ = io.CopyN(io.Discard, r.Body, 8<<10)
			time.Sleep(50 * time.Millisecond)
		}
	}))
	defer slow.Close()
	began := time.Now()
	speed, err := MeasureSpeed(t.Context(), onLoopback, slow.URL, SpeedLimits{Bytes: 1 << 40, Each: time.Second})
	require.NoError(t, err)
	assert.Less(t, time.Since(began), 10*time.Second)
	for _, r := range []Rate{speed.Down, speed.Up} {
		assert.Positive(t, r.Bytes)
		assert.Less(t, r.Bytes, int64(1<<20))
	}

	little := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("192.0.2.2\n")) }))
	defer little.Close()
	_, err = MeasureSpeed(t.Context(), onLoopback, little.URL, SpeedLimits{Bytes: 1 << 20, Each: 5 * time.Second})
	assert.ErrorContains(t, err, "it is no server of LibreSpeed's")

	var sent, taken atomic.Int64
	_, err = MeasureSpeed(t.Context(), onLoopback, libreSpeed(t, &sent, &taken).URL+"/elsewhere", SpeedLimits{Bytes: 1 << 20, Each: 5 * time.Second})
	assert.ErrorContains(t, err, "404")
	_, err = MeasureSpeed(t.Context(), ByOverlay, little.URL, SpeedLimits{Bytes: 1 << 20, Each: 5 * time.Second})
	assert.ErrorContains(t, err, "no such device", "there is no overlay here, and it takes no other way")
}
