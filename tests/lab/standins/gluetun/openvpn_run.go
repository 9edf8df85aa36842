package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"

	provider "github.com/charmarr/charmarr-go/tests/lab/internal/openvpn"
	"github.com/charmarr/charmarr-go/tests/lab/internal/where"
)

const (
	openvpnConfig = "/etc/openvpn/target.ovpn"
	openvpnAuth   = "/etc/openvpn/auth.conf"
	// openvpnUser is who OpenVPN goes on as when it stands: gluetun makes one for PUID, whatever OPENVPN_PROCESS_USER says (cmd/gluetun/main.go).
	openvpnUser = "nonrootuser"
	userID      = 1000 // PUID and PGID
)

// completed is what OpenVPN says when its tunnel is there.
const completed = "Initialization Sequence Completed"

// overOpenVPN runs OpenVPN itself until it ends, or the tunnel is unhealthy: as gluetun does, with what it takes from its provider's code or
// from a file of one's own, as a process group of its own, which is left behind where this process is killed.
func (v *vpn) overOpenVPN(ctx context.Context, h *health) error {
	lines, server, err := v.settings.openvpnLines()
	if err != nil {
		return err
	}
	if err := v.writeOpenVPN(lines); err != nil {
		return err
	}
	if err := v.allow(server); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := exec.CommandContext(ctx, "openvpn"+v.settings.openvpn.version, append([]string{"--config", openvpnConfig}, v.settings.openvpn.flags...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	v.set("running") // the process, not the tunnel
	stands := make(chan struct{}, 1)
	ended := make(chan error, 2)
	go func() {
		tellOpenVPN(out, stands)
		ended <- fmt.Errorf("OpenVPN has ended: %w", errors.Join(errEnded, cmd.Wait()))
	}()
	watched := false
	for {
		select {
		case <-stands: // again, where it has connected anew by itself
			if !watched {
				watched = true
				go func() { ended <- v.watch(ctx, h) }()
			}
		case err := <-ended:
			return err
		}
	}
}

var errEnded = errors.New("exit")

// tellOpenVPN is OpenVPN's log among gluetun's.
func tellOpenVPN(out io.Reader, stands chan<- struct{}) {
	for lines := bufio.NewScanner(out); lines.Scan(); {
		line, level := lines.Text(), "INFO"
		for prefix, of := range map[string]string{"NOTE: ": "INFO", "WARNING: ": "WARN", "ERROR: ": "ERROR", "Options error: ": "ERROR"} {
			if rest, ok := strings.CutPrefix(line, prefix); ok {
				line, level = rest, of
			}
		}
		if line == "AUTH: Received control message: AUTH_FAILED" {
			line, level = line+"\n\nYour credentials might be wrong 🤨\n\n", "ERROR"
		}
		log.Println(level, "[openvpn]", line)
		if strings.Contains(line, completed) {
			select {
			case stands <- struct{}{}:
			default:
			}
		}
	}
}

// openvpnLines are OpenVPN's settings and the server that they name. Of a provider with a list the lab's one server stands for all.
func (s settings) openvpnLines() (lines []string, server server, err error) {
	o := s.openvpn
	text, list := "", s.provider != "custom"
	if list {
		text, err = provider.File(o.protocol)
	} else {
		var data []byte
		data, err = os.ReadFile(o.config)
		text = string(data)
	}
	if err != nil {
		return nil, server, err
	}
	server.proto = "udp"
	own := []string{"mute-replay-warnings", "auth-nocache", `pull-filter ignore "auth-token"`, "auth-retry nointeract", "suppress-timestamps", "persist-tun", "persist-key"}
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		f := strings.Fields(line)
		switch {
		case len(f) == 0 || slices.Contains(own, line):
		case slices.Contains([]string{"verb", "auth-user-pass", "user", "dev"}, f[0]):
		case f[0] == "proto" && len(f) > 1:
			server.proto = f[1]
		case f[0] == "remote" && len(f) > 1:
			if server.addr.IsValid() {
				continue
			}
			server.addr, err = netip.ParseAddr(f[1])
			if err != nil {
				return nil, server, err
			}
			if len(f) > 2 {
				port, err := strconv.ParseUint(f[2], 10, 16)
				if err != nil {
					return nil, server, err
				}
				server.port = uint16(port)
			}
		default:
			lines = append(lines, line)
		}
	}
	if s.provider == "protonvpn" && server.proto == "udp" {
		server.port = where.OpenVPNOtherUDP
	}
	if s.endpoint.IsValid() {
		server.addr = s.endpoint
	}
	if s.port != 0 {
		server.port = s.port
	}
	lines = append(lines, "proto "+server.proto, fmt.Sprintf("remote %s %d", server.addr, server.port), "dev "+s.wireguardInterface, "verb "+o.verbosity)
	lines = append(lines, own...)
	lines = append(lines, "user "+openvpnUser)
	if list {
		lines = append(lines, "nobind", "tls-exit", "reneg-sec 0", "mssfix 1320")
		if server.proto == "udp" {
			lines = append(lines, "explicit-exit-notify")
		}
	}
	if o.user != "" {
		lines = append(lines, "auth-user-pass "+openvpnAuth)
	}
	if own := ownAddresses(); !own[true].IsValid() {
		lines = append(lines, `pull-filter ignore "route-ipv6"`, `pull-filter ignore "ifconfig-ipv6"`)
	}
	return lines, server, nil
}

// writeOpenVPN writes what OpenVPN reads, and who it goes on as.
func (v *vpn) writeOpenVPN(lines []string) error {
	if err := os.MkdirAll("/etc/openvpn", 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(openvpnConfig, []byte(strings.Join(append(lines, ""), "\n")), 0o644); err != nil {
		return err
	}
	if o := v.settings.openvpn; o.user != "" {
		_ = os.Remove(openvpnAuth)
		if err := os.WriteFile(openvpnAuth, []byte(o.user+"\n"+o.password), 0o400); err != nil {
			return err
		}
	}
	for _, path := range []string{openvpnConfig, openvpnAuth} {
		if err := os.Chown(path, userID, userID); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	users, err := os.ReadFile("/etc/passwd")
	if err != nil || strings.Contains(string(users), openvpnUser) {
		return err
	}
	return os.WriteFile("/etc/passwd", fmt.Appendf(users, "%s:x:%d:%d::/:/sbin/nologin\n", openvpnUser, userID, userID), 0o644)
}
