package main

import (
	"fmt"
	"net"
	"net/http"
	"time"
)

// serve answers every request with the address it came from, and nothing else, so that `fetch` of it tells how the
// caller was seen. It ends only with an error.
func serve(address string) error {
	server := &http.Server{Addr: address, Handler: http.HandlerFunc(echo), ReadHeaderTimeout: 5 * time.Second}
	return fmt.Errorf("cannot serve on %s: %w", address, server.ListenAndServe())
}

func echo(w http.ResponseWriter, r *http.Request) {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/plain")
	fmt.Fprintln(w, host)
}
