package hook

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/charmarr/charmarr-go/vpnk8slib"
)

// SpeedtestAction is the name of an action that every consumer of a VPN has, and every gateway.
const SpeedtestAction = "speedtest"

// SpeedtestParams are its parameters.
type SpeedtestParams struct {
	Server    string `json:"server-url" validate:"required,http_url"`
	Megabytes int    `json:"megabytes" validate:"min=1,max=1000"`
	Seconds   int    `json:"seconds" validate:"min=1,max=20"`
}

// Speedtest makes that action: it measures how fast this unit's traffic is on its way out, and by no other. See is as for VerifyEgress.
func Speedtest(see func(context.Context, Env) (Verifiable, error)) Action {
	return Seeing(cannot("measure", see), func(ctx context.Context, _ Env, p SpeedtestParams, unit Verifiable) (map[string]string, error) {
		limits := vpnk8slib.SpeedLimits{Bytes: int64(p.Megabytes) << 20, Each: time.Duration(p.Seconds) * time.Second}
		speed, err := vpnk8slib.MeasureSpeed(ctx, unit.Way, p.Server, limits)
		return speedResults(p.Server, speed), err
	})
}

// SpeedtestVPN is Speedtest of a consumer.
func SpeedtestVPN(see func(context.Context, Env) (VPN, error)) Action {
	return Speedtest(func(ctx context.Context, env Env) (Verifiable, error) {
		v, err := see(ctx, env)
		if err == nil {
			err = v.verifiable(false)
		}
		return Verifiable{Way: vpnk8slib.ByOverlay}, err
	})
}

// speedResults are what was measured, as far as it was.
func speedResults(server string, s vpnk8slib.Speed) map[string]string {
	type way struct {
		Mbits   float64 `json:"mbit_per_s"`
		Bytes   int64   `json:"bytes"`
		Seconds float64 `json:"seconds"`
	}
	of := func(r vpnk8slib.Rate) way { return way{r.Mbits(), r.Bytes, r.In.Seconds()} }
	latency := float64(s.Latency.Microseconds()) / 1000
	text, err := json.Marshal(map[string]any{"server": server, "latency_ms": latency, "download": of(s.Down), "upload": of(s.Up)})
	if err != nil { // numbers and a text: there is none
		text = nil
	}
	out := func(name string, r vpnk8slib.Rate) string {
		return fmt.Sprintf("%-8s  %.1f Mbit/s  (%.1f MiB in %.1f s)", name, r.Mbits(), float64(r.Bytes)/(1<<20), r.In.Seconds())
	}
	return map[string]string{
		"table": fmt.Sprintf("%-8s  %.1f ms\n%s\n%s", "latency", latency, out("download", s.Down), out("upload", s.Up)), "speed": string(text),
	}
}
