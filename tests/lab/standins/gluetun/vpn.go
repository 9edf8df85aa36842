package main

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"golang.zx2c4.com/wireguard/conn"
	"golang.zx2c4.com/wireguard/device"
	"golang.zx2c4.com/wireguard/ipc"
	"golang.zx2c4.com/wireguard/tun"
)

const (
	mark  = "51820" // of the tunnel's own packets
	table = "51820"
)

type vpn struct {
	settings settings
	mu       sync.Mutex
	status   string // running says that the interface is configured, not that anything passes
	publicIP string // asked for once per tunnel, and kept while a peer is silently dead
	device   *device.Device
	asked    net.Listener // who asks for the device's state; nil: nobody can
	ports    []uint16     // of the provider's, that lead here
	// obtain has them granted, for so long; those that it had, if it can.
	obtain func(ctx context.Context, had []uint16) ([]uint16, time.Duration, error)
}

func (v *vpn) set(status string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.status = status
}

func (v *vpn) get() (status, ip string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.status, v.publicIP
}

// server is the provider's end.
type server struct {
	proto string // tcp of OpenVPN's in all its words, or udp
	addr  netip.Addr
	port  uint16
}

// allow opens gluetun's own firewall for the tunnel and what carries it.
func (v *vpn) allow(to server) error {
	log.Printf("INFO [firewall] allowing VPN connection...")
	proto, dev := to.proto[:3], v.settings.wireguardInterface
	return errors.Join(
		command(tables(to.addr.Is6()), "--append", "OUTPUT", "-d", to.addr.String(), "-o", podInterface, "-p", proto, "-m", proto, "--dport", fmt.Sprint(to.port), "-j", "ACCEPT"),
		command("iptables", "--append", "OUTPUT", "-o", dev, "-j", "ACCEPT"),
		command("ip6tables", "--append", "OUTPUT", "-o", dev, "-j", "ACCEPT"))
}

// errUnhealthy is a tunnel through which nothing comes back.
var errUnhealthy = errors.New("failed to pass the healthcheck")

// up brings the tunnel up and returns when it has failed or ctx has ended. An unhealthy one is made anew, without end and without back-off.
func (v *vpn) up(ctx context.Context, h *health) error {
	connect := v.overWireGuard
	if v.settings.kind == "openvpn" {
		connect = v.overOpenVPN
	}
	for {
		err := connect(ctx, h)
		v.down()
		if !errors.Is(err, errUnhealthy) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(500 * time.Millisecond):
		}
	}
}

// overWireGuard returns when the tunnel has failed, is unhealthy, or ctx has ended.
func (v *vpn) overWireGuard(ctx context.Context, h *health) error {
	s := v.settings
	at, public, err := s.picked()
	if err != nil {
		return err
	}
	if err := v.allow(server{"udp", at.Addr(), at.Port()}); err != nil {
		return err
	}
	log.Printf("INFO [wireguard] Connecting to %s", at)
	t, err := tun.CreateTUN(s.wireguardInterface, s.mtu)
	if err != nil {
		return fmt.Errorf("cannot create tunnel: %w", err)
	}
	v.device = device.NewDevice(t, conn.NewDefaultBind(), device.NewLogger(device.LogLevelError, "[wireguard] "))
	if err := v.device.IpcSet(uapi(s, at, public)); err != nil {
		return fmt.Errorf("cannot configure WireGuard: %w", err)
	}
	if err := v.device.Up(); err != nil {
		return err
	}
	if err := v.answerAbout(s.wireguardInterface); err != nil {
		return err
	}
	for _, a := range s.addresses {
		if err := command("ip", "address", "add", a.String(), "dev", s.wireguardInterface); err != nil {
			return err
		}
	}
	if err := command("ip", "link", "set", s.wireguardInterface, "up"); err != nil {
		return err
	}
	for _, f := range []string{"-4", "-6"} {
		if err := command("ip", f, "route", "replace", "default", "dev", s.wireguardInterface, "table", table); err != nil {
			return err
		}
		// Not replaced: one that a killed process left behind is an error, for ever. gluetun's own defect, kept.
		if err := command("ip", f, "rule", "add", "not", "fwmark", mark, "lookup", table, "priority", "101"); err != nil {
			return fmt.Errorf("adding rule: %w: file exists", err)
		}
		defer func() { _ = command("ip", f, "rule", "del", "priority", "101") }()
	}
	v.set("running")
	log.Println("INFO [wireguard] Wireguard setup is complete")
	return v.watch(ctx, h)
}

// answerAbout lets the device be asked for its state, as wireguard-go's own program does, and gluetun.
func (v *vpn) answerAbout(name string) error {
	file, err := ipc.UAPIOpen(name)
	if err != nil {
		return fmt.Errorf("cannot open UAPI socket: %w", err)
	}
	defer file.Close() // the listener has its own
	asked, err := ipc.UAPIListen(name, file)
	if err != nil {
		return fmt.Errorf("cannot listen on UAPI socket: %w", err)
	}
	v.asked = asked
	device := v.device
	go func() {
		for {
			c, err := asked.Accept()
			if err != nil {
				return
			}
			go device.IpcHandle(c)
		}
	}()
	return nil
}

func (v *vpn) down() {
	v.seen("")
	v.unforward()
	if v.asked != nil {
		_ = v.asked.Close()
		v.asked = nil
	}
	if v.device != nil {
		v.device.Close()
		v.device = nil
	}
}

func uapi(s settings, at netip.AddrPort, public string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "private_key=%s\nfwmark=%s\npublic_key=%s\n", hexKey(s.key), mark, hexKey(public))
	if s.preshared != "" {
		fmt.Fprintf(&b, "preshared_key=%s\n", hexKey(s.preshared))
	}
	fmt.Fprintf(&b, "endpoint=%s\nallowed_ip=0.0.0.0/0\nallowed_ip=::/0\n", at)
	return b.String()
}

func hexKey(key string) string {
	raw, err := base64.StdEncoding.DecodeString(key)
	if err != nil {
		return ""
	}
	return hex.EncodeToString(raw)
}

// watch checks as v3.41.1 does: once when the tunnel is up, then again and again, and a dead peer is told after minutes only.
func (v *vpn) watch(ctx context.Context, h *health) error {
	ctx, cancel := context.WithCancel(ctx) // of this tunnel: what is asked through it is asked no more when it is gone
	defer cancel()
	targets := checked{v.settings.healthTargets, dial}
	if err := targets.atOnce(ctx); err != nil {
		h.set("startup check: all check tries failed: " + err.Error())
		log.Println("INFO [vpn] restarting VPN because it failed to pass the healthcheck: startup check")
		return errUnhealthy
	}
	h.set("")
	go func() {
		v.askPublicIP(ctx)
		if ctx.Err() == nil {
			v.forward(ctx)
		}
	}()
	err := targets.lasting(ctx)
	if ctx.Err() == nil {
		h.set(err.Error())
		log.Println("INFO [vpn] restarting VPN because it failed to pass the healthcheck:", err)
		err = errUnhealthy
	}
	return err
}

// asking is how long gluetun takes from a tunnel that stands to the address: it waits until names are answered, and then for all whom it asks.
const asking = 5 * time.Second

// askPublicIP asks once per tunnel, as PUBLICIP_API says: echoip#URL is an own service.
func (v *vpn) askPublicIP(ctx context.Context) {
	url, ok := strings.CutPrefix(v.settings.publicIPAPI, "echoip#")
	if !v.settings.publicIP || !ok {
		return
	}
	select {
	case <-ctx.Done():
		return
	case <-time.After(asking):
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return
	}
	r, err := (&http.Client{Timeout: 10 * time.Second}).Do(req)
	if err != nil {
		log.Println("ERROR [ip getter]", err)
		return
	}
	defer r.Body.Close()
	body, err := io.ReadAll(io.LimitReader(r.Body, 200))
	if a, parseErr := netip.ParseAddr(strings.TrimSpace(string(body))); err == nil && parseErr == nil {
		log.Println("INFO [ip getter] Public IP address is", a)
		v.seen(a.String())
	}
}

// seen keeps the address for the control API, and then writes it into its file, without a line's end; none empties it, when the tunnel
// goes (internal/publicip/fs.go). A process that is killed leaves it as it is.
func (v *vpn) seen(address string) {
	v.mu.Lock()
	v.publicIP = address
	v.mu.Unlock()
	if err := forOthers(v.settings.publicIPFile, address); err != nil {
		log.Println("ERROR [vpn] persisting public ip address:", err)
	}
}

// forOthers writes a file that others read: it is PUID's.
func forOthers(path, text string) error {
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		return err
	}
	return os.Chown(path, userID, userID)
}

// health is gluetun's health server: 200, or 500 with the reason.
type health struct {
	mu   sync.Mutex
	text string
}

func (h *health) set(text string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.text = text
}

func (h *health) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.text != "" {
		http.Error(w, h.text, http.StatusInternalServerError)
	}
}
