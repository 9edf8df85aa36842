package openvpn

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"github.com/charmarr/charmarr-go/tests/lab/internal/where"
)

// File is a client's, as providers hand it out: for who has an account there.
func File(protocol string) (string, error) {
	ca, err := Authority()
	port := map[string]int{"udp": where.OpenVPNUDP, "tcp": where.OpenVPNTCP}[protocol]
	return fmt.Sprintf("client\ndev tun\nproto %s\nremote %s %d\nremote-cert-tls server\ncipher AES-256-CBC\nauth SHA256\nauth-user-pass\n<ca>\n%s</ca>\n",
		protocol, where.VPNEndpoint, port, ca), err
}

// FilePath is where a client's file lies for whoever wants to come with it, by UDP.
func FilePath(lab where.Lab) string { return lab.Path("vpn", "client.ovpn") }

// Serve serves by UDP and by TCP until ctx ends.
func Serve(ctx context.Context, lab where.Lab) error {
	file, err := File("udp")
	if err != nil {
		return err
	}
	if err := os.WriteFile(FilePath(lab), []byte(file), 0o600); err != nil {
		return err
	}
	ca, err := Authority()
	if err != nil {
		return err
	}
	certificate, key, err := server()
	if err != nil {
		return err
	}
	login := lab.Path("vpn", "login.sh")
	script := fmt.Sprintf("#!/bin/sh\n[ \"$(cat \"$1\")\" = '%s\n%s' ]\n", where.OpenVPNUser, where.OpenVPNPassword)
	if err := os.WriteFile(login, []byte(script), 0o700); err != nil {
		return err
	}
	ended := make(chan error, 2)
	for i, by := range []struct {
		proto             string
		port              int
		network, network6 string
	}{
		{"udp", where.OpenVPNUDP, "10.2.0.64", "fd10:2::1:0/112"},
		{"tcp-server", where.OpenVPNTCP, "10.2.0.128", "fd10:2::2:0/112"},
	} {
		text := fmt.Sprintf("dev tun%d\nproto %s\nlocal %s\nport %d\n", i, by.proto, where.VPNEndpoint, by.port) +
			fmt.Sprintf("topology subnet\nserver %s 255.255.255.192\nserver-ipv6 %s\n", by.network, by.network6) +
			"push \"redirect-gateway def1 ipv6\"\nkeepalive 10 60\n" +
			"dh none\ndata-ciphers AES-256-GCM:AES-256-CBC\ncipher AES-256-CBC\nauth SHA256\nverb 3\n" +
			"verify-client-cert none\nusername-as-common-name\nduplicate-cn\nscript-security 2\nauth-user-pass-verify " + login + " via-file\n" +
			fmt.Sprintf("<ca>\n%s</ca>\n<cert>\n%s</cert>\n<key>\n%s</key>\n", ca, certificate, key)
		path := lab.Path("vpn", fmt.Sprintf("server%d.conf", i))
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return err
		}
		cmd := exec.CommandContext(ctx, "openvpn", "--config", path)
		cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := cmd.Start(); err != nil {
			return fmt.Errorf("cannot start the OpenVPN server: %w; run: tests/lab/deps.sh", err)
		}
		go func() { ended <- cmd.Wait() }()
	}
	err = <-ended
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("the OpenVPN server has ended: %w", err)
}
