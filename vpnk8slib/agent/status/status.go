// Package status lets the charm beside an agent ask it how things are, over a socket that no other container of the pod has.
package status

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/charmarr/charmarr-go/vpnk8slib/agent/door"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/metrics"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// Serve answers with a report, and with its metrics, on a unix socket until ctx ends, and takes the overlay down for whoever asks for a
// drill; nil: this agent has none. Leaves is called when the charm says that the pod is about to end, or that it is not. A socket that an
// earlier agent left is replaced.
func Serve(ctx context.Context, socket string, report func() overlay.Report, drill Drill, leaves func(bool)) error {
	if err := os.MkdirAll(filepath.Dir(socket), 0o755); err != nil {
		return fmt.Errorf("cannot answer on %s: %w", socket, err)
	}
	if err := os.Remove(socket); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot answer on %s: %w", socket, err)
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		return fmt.Errorf("cannot answer on %s: %w", socket, err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/report", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(report()) // whoever asked has gone
	})
	mux.Handle("GET /metrics", metrics.Handler(report))
	mux.Handle("POST /v1/drill", drill)
	mux.HandleFunc("POST "+overlay.LeavePath, func(http.ResponseWriter, *http.Request) { leaves(true) })
	mux.HandleFunc("DELETE "+overlay.LeavePath, func(http.ResponseWriter, *http.Request) { leaves(false) })
	return serve(ctx, l, mux)
}

// Metrics answers with the metrics of a report, on a TCP address, until ctx ends.
func Metrics(ctx context.Context, address string, report func() overlay.Report) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("cannot answer on %s: %w", address, err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics.Handler(report))
	turns(mux, report)
	askers := door.Door{Each: askers / 4, All: askers, Free: netip.Addr.IsLoopback}
	return serve(ctx, askers.Listen(l), mux)
}

// askers is how many of the cluster may ask at once; one alone a quarter of them. Whoever asks on the loopback is not among them: by that
// Pebble, and the script that runs the VPN client, know whether this unit has the tunnel.
const askers = 16

func serve(ctx context.Context, l net.Listener, h http.Handler) error {
	s := &http.Server{Handler: h, ReadTimeout: time.Second, WriteTimeout: 5 * time.Second, MaxHeaderBytes: 8 << 10}
	s.SetKeepAlivesEnabled(false)
	defer context.AfterFunc(ctx, func() { _ = s.Close() })()
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("cannot answer on %s: %w", l.Addr(), err)
	}
	return nil
}
