package hook

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/charmarr/charmarr-go/vpnk8slib"
)

func TestSpeedResults(t *testing.T) {
	r := speedResults("http://203.0.113.200/", vpnk8slib.Speed{
		Latency: 12500 * time.Microsecond, Down: vpnk8slib.Rate{Bytes: 25 << 20, In: 2 * time.Second}, Up: vpnk8slib.Rate{Bytes: 1 << 20, In: time.Second},
	})
	assert.Equal(t, "latency   12.5 ms\ndownload  104.9 Mbit/s  (25.0 MiB in 2.0 s)\nupload    8.4 Mbit/s  (1.0 MiB in 1.0 s)", r["table"])
	assert.JSONEq(t, `{"server": "http://203.0.113.200/", "latency_ms": 12.5, "download": {"mbit_per_s": 104.8576, "bytes": 26214400, "seconds": 2},
		"upload": {"mbit_per_s": 8.388608, "bytes": 1048576, "seconds": 1}}`, r["speed"])
}
