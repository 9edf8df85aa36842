package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const tunnelDevice = "tun0"

// Tunnel is how it is now. Up: a packet came back through it in this very hook; gluetun's own word for its state is
// older than that, and stays good for minutes after the other end has died.
type Tunnel struct {
	Up      bool
	Seen    netip.Addr // what the world sees, as gluetun asked it once
	Country string     // that it sees it in, in somebody else's words
	Refused bool       // it is not up, because the provider does not take the account
	Handshake
}

// seeTunnel tries all targets at once, for at most a second and a half, which a hook can wait. The charm's container shares the pod's network.
func seeTunnel(ctx context.Context, t targets, apiKey string) (out Tunnel) {
	probing, cancel := context.WithTimeout(ctx, 1500*time.Millisecond)
	defer cancel()
	answers := make(chan bool, len(t))
	for _, target := range t {
		go func() { answers <- leads(tunnelDevice, target) && reach(probing, tunnelDevice, target) }()
	}
	for range t {
		if <-answers {
			out.Up = true
			break
		}
	}
	if out.Up {
		seen := seenBy(ctx, control, apiKey)
		out.Seen, out.Country = seen.Address, seen.Country
	}
	return out
}

// leads says whether a packet that is bound to nothing would take an interface: the address that the kernel gives it is the interface's.
// What is bound needs no route, and is answered through a tunnel that has lost its own.
func leads(device string, target netip.AddrPort) bool {
	conn, err := net.Dial("udp", target.String()) // sends nothing
	if err != nil {
		return false
	}
	defer conn.Close()
	link, err := net.InterfaceByName(device)
	if err != nil {
		return false
	}
	addresses, err := link.Addrs()
	from := conn.LocalAddr().(*net.UDPAddr).IP
	return err == nil && slices.ContainsFunc(addresses, func(a net.Addr) bool {
		own, ok := a.(*net.IPNet)
		return ok && own.IP.Equal(from)
	})
}

// reach makes a connection that can leave through one interface only: bound to it. A refusal has come back as well.
func reach(ctx context.Context, device string, target netip.AddrPort) bool {
	dialer := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		if control := c.Control(func(fd uintptr) { err = unix.BindToDevice(int(fd), device) }); control != nil {
			return control
		}
		if errors.Is(err, unix.EPERM) {
			return nil // an old kernel; beside the tunnel nothing gets out of this pod
		}
		return err
	}}
	conn, err := dialer.DialContext(ctx, "tcp", target.String())
	if err == nil {
		_ = conn.Close()
	}
	return err == nil || errors.Is(err, unix.ECONNREFUSED)
}

// exit is where the world sees this tunnel.
type exit struct {
	Address netip.Addr `json:"public_ip"`
	Country string     `json:"country"`
}

// seenBy asks gluetun, who asked the world once when the tunnel came up. No answer is none.
func seenBy(ctx context.Context, control, apiKey string) (out exit) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+control+"/v1/publicip/ip", nil)
	if err != nil {
		return out
	}
	req.Header.Set("X-API-Key", apiKey)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return out
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return out
	}
	if json.NewDecoder(io.LimitReader(resp.Body, 1<<16)).Decode(&out) != nil {
		return exit{}
	}
	return out
}
