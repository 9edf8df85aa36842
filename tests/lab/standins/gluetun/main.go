// Command gluetun-standin stands in for gluetun v3.41.1, whose image cannot be had on the lab's machines. It reads gluetun's
// environment names and secret files, refuses what gluetun refuses, really brings up WireGuard, or Debian's
// OpenVPN, and a firewall in gluetun's order, and speaks its control API. What it does not do: real providers' servers (it writes a list
// of made-up ones; by OpenVPN the lab's stands for each), its DNS server, proxies.
package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	log.SetFlags(log.LstdFlags)
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "healthcheck":
			healthcheck()
		case "format-servers": // of a provider, of whom nothing is shown here: with the real one the list is written as well
			if err := writeServers(); err != nil {
				log.Fatalln("ERROR", err)
			}
			return
		case "--help", "-h":
			fmt.Println("gluetun-standin: a stand-in for gluetun v3.41.1 in the lab; see the package documentation\nusage: gluetun-entrypoint [healthcheck|format-servers]")
			return
		}
	}
	log.Println("STAND-IN for gluetun v3.41.1: not the real program")
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx); err != nil {
		log.Println("ERROR", err)
		os.Exit(1)
	}
	log.Println("Shutdown successful")
}

func run(ctx context.Context) error {
	// What cannot be parsed ends it before the firewall is up, what makes no sense after: so the real one.
	s, err := readSettings(os.Getenv, os.ReadFile)
	if err != nil {
		return err
	}
	if err := enableFirewall(s); err != nil {
		return err
	}
	log.Println("INFO [firewall] enabled successfully")
	if err := writeServers(); err != nil {
		return fmt.Errorf("cannot write the servers: %w", err)
	}
	if err := s.validate(os.ReadFile); err != nil {
		return err
	}
	log.Println("INFO", s.summary())
	if err := os.MkdirAll("/tmp/gluetun", 0o644); err != nil {
		return err
	}
	v := &vpn{settings: s, status: "starting", obtain: obtain}
	control, err := newControl(s, v)
	if err != nil {
		return err
	}
	health := &health{text: "healthcheck did not run yet"}
	go serve(s.controlAddress, control)
	go serve(s.healthAddress, health)
	if err := os.WriteFile("/etc/resolv.conf", []byte("nameserver "+s.dns.String()+"\n"+searchLines()), 0o644); err != nil {
		return fmt.Errorf("cannot rewrite resolv.conf: %w", err)
	}
	for delay := 15 * time.Second; ; delay *= 2 {
		err := v.up(ctx, health)
		if ctx.Err() != nil {
			return nil
		}
		// A crash, such as over a rule that an earlier process left behind, is tried again later and later.
		v.set("crashed")
		log.Printf("ERROR [vpn] %v; retrying in %v", err, delay)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(delay):
		}
	}
}

func serve(address string, h http.Handler) {
	log.Printf("INFO [http server] http server listening on %s", address)
	if err := http.ListenAndServe(address, h); err != nil {
		log.Println("ERROR", err)
	}
}

func healthcheck() {
	c := http.Client{Timeout: 10 * time.Second}
	r, err := c.Get("http://127.0.0.1:9999")
	if err != nil || r.StatusCode != http.StatusOK {
		fmt.Println("unhealthy")
		os.Exit(1)
	}
	os.Exit(0)
}
