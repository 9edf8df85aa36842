package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/charmarr/charmarr-go/tests/lab/internal/where"
)

// forwarding are the settings by which gluetun has ports of the provider's granted (settings/portforward.go).
type forwarding struct {
	on             bool
	provider       string // whose way is taken; empty: the one in use
	file           string // where the ports are told
	user, password string
}

func (r *reader) forwarding() (f forwarding) {
	f.on = r.boolean("VPN_PORT_FORWARDING", false)
	f.provider = strings.ToLower(r.get("VPN_PORT_FORWARDING_PROVIDER", ""))
	f.file = r.get("VPN_PORT_FORWARDING_STATUS_FILE", "/tmp/gluetun/forwarded_port")
	f.user = r.get("VPN_PORT_FORWARDING_USERNAME", r.get("OPENVPN_USER", ""))
	f.password = r.get("VPN_PORT_FORWARDING_PASSWORD", r.get("OPENVPN_PASSWORD", ""))
	return f
}

// validate refuses what gluetun refuses.
func (f forwarding) validate(provider string) error {
	if f.provider != "" {
		provider = f.provider
	}
	switch {
	case !f.on:
		return nil
	case !slices.Contains([]string{"perfect privacy", "private internet access", "privatevpn", "protonvpn"}, provider):
		return fmt.Errorf("VPN provider settings: port forwarding: port forwarding cannot be enabled: value is not one of the possible choices: %s", provider)
	case provider == "private internet access" && f.user == "":
		return errors.New("VPN provider settings: port forwarding: port forwarding username is empty")
	case provider == "private internet access" && f.password == "":
		return errors.New("VPN provider settings: port forwarding: port forwarding password is empty")
	}
	return nil
}

// forward has ports granted when the tunnel is up, and keeps them. What fails the first time is tried no more before the tunnel is made
// anew; another one that it is given later it tells.
func (v *vpn) forward(ctx context.Context) {
	if !v.settings.forwarding.on {
		return
	}
	log.Println("INFO [port forwarding] starting")
	granted, kept, err := v.obtain(ctx, nil)
	if err == nil {
		err = v.tell(granted)
	}
	if err != nil {
		log.Println("ERROR [vpn] starting port forwarding service: port forwarding for the first time:", err)
		return
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(kept / 3):
		}
		again, _, err := v.obtain(ctx, granted)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			log.Println("ERROR [port forwarding]", err)
			_ = v.tell(nil)
			return
		}
		if !slices.Equal(again, granted) {
			granted = again
			_ = v.tell(granted)
		}
	}
}

// granter stands in the place of the providers' own ways: it is the lab's provider, in the tunnel, by NAT-PMP (RFC 6886).
var granter = net.JoinHostPort(where.VPNServer, "5351")

// obtain has a port granted that leads here by its own number, for both protocols: what is one port here is one there. had is the one that
// is to be kept.
func obtain(ctx context.Context, had []uint16) ([]uint16, time.Duration, error) {
	if len(had) == 0 {
		port, _, err := mapped(ctx, tcp, 1, lifetime) // says which one it is
		if err != nil {
			return nil, 0, err
		}
		_, _, _ = mapped(ctx, tcp, 1, 0)
		had = []uint16{port}
	}
	var seconds uint32
	for _, protocol := range []byte{udp, tcp} {
		port, lasts, err := mapped(ctx, protocol, had[0], lifetime)
		if err != nil {
			return nil, 0, err
		}
		if port != had[0] {
			return obtain(ctx, []uint16{port})
		}
		seconds = lasts
	}
	return had, time.Duration(seconds) * time.Second, nil
}

const (
	udp, tcp = 1, 2 // NAT-PMP's
	lifetime = 60   // seconds asked for; the provider says how long it is
)

// mapped has a port of this end's mapped to one of the provider's, or no more where it is for no time.
func mapped(ctx context.Context, protocol byte, port uint16, seconds uint32) (external uint16, granted uint32, err error) {
	request := binary.BigEndian.AppendUint16([]byte{0, protocol, 0, 0}, port)
	request = binary.BigEndian.AppendUint32(append(request, 0, 0), seconds)
	answer, err := ask(ctx, request)
	if err != nil {
		return 0, 0, err
	}
	external, granted = binary.BigEndian.Uint16(answer[10:]), binary.BigEndian.Uint32(answer[12:])
	if code := binary.BigEndian.Uint16(answer[2:]); code != 0 || external == 0 {
		return 0, 0, fmt.Errorf("the provider grants none: code %d", code)
	}
	return external, granted, nil
}

func ask(ctx context.Context, request []byte) ([]byte, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, "udp4", granter)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	answer := make([]byte, 64)
	for range 3 {
		_ = c.SetDeadline(time.Now().Add(time.Second))
		if _, err = c.Write(request); err != nil {
			continue
		}
		var n int
		if n, err = c.Read(answer); err == nil && n == 16 && answer[1] == request[1]|128 {
			return answer[:n], nil
		}
	}
	return nil, fmt.Errorf("the provider does not answer: %w", err)
}

// unforward gives them back before the tunnel goes. The file is emptied, and stays.
func (v *vpn) unforward() {
	if len(v.forwarded()) == 0 {
		return
	}
	log.Println("INFO [port forwarding] stopping")
	if err := v.tell(nil); err != nil {
		log.Println("ERROR [port forwarding] clearing port file:", err)
	}
}

// tell writes them down, without a line's end, and keeps them for the control API.
func (v *vpn) tell(ports []uint16) error {
	words := make([]string, len(ports))
	for i, p := range ports {
		words[i] = fmt.Sprint(p)
	}
	err := forOthers(v.settings.forwarding.file, strings.Join(words, "\n"))
	if err != nil {
		ports = nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.ports = ports
	return err
}

func (v *vpn) forwarded() []uint16 {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.ports
}

// portAnswer is what the control API tells of them: of one and of none in other words than of several.
func portAnswer(ports []uint16) any {
	switch len(ports) {
	case 0:
		return map[string]uint16{"port": 0}
	case 1:
		return map[string]uint16{"port": ports[0]}
	}
	return map[string][]uint16{"ports": ports}
}
