// Package vpn is the lab's VPN provider: a WireGuard server with two subscriptions, by wireguard-go, and OpenVPN's beside it.
package vpn

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"

	"golang.zx2c4.com/wireguard/conn"
	"golang.zx2c4.com/wireguard/device"
	"golang.zx2c4.com/wireguard/tun"

	"github.com/charmarr/charmarr-go/tests/lab/internal/openvpn"
	"github.com/charmarr/charmarr-go/tests/lab/internal/where"
)

const tunnel = "wg0"

// Subscription is what a subscriber has.
type Subscription struct{ name, Address, Address6 string }

// Subscriptions are those that the provider knows: a tunnel each.
var Subscriptions = []Subscription{{"client", where.VPNClient, where.VPNClient6}, {"second", where.VPNSecond, where.VPNSecond6}}

// KeyFile is where its private key is kept.
func (s Subscription) KeyFile(lab where.Lab) string { return lab.Path("vpn", s.name+".key") }

// PublicFile is where the server's public key is kept.
func PublicFile(lab where.Lab) string { return lab.Path("vpn", "server.pub") }

// ServerKey is the same in every lab, so that gluetun's list can have it, as it has those of real servers.
func ServerKey() (*ecdh.PrivateKey, error) {
	sum := sha256.Sum256([]byte("the lab's VPN server"))
	return ecdh.X25519().NewPrivateKey(sum[:])
}

// Serve makes new keys for subscribers, writes the subscriber's part down, and serves until ctx ends.
func Serve(ctx context.Context, lab where.Lab) error {
	server, err := ServerKey()
	if err != nil {
		return err
	}
	t, err := tun.CreateTUN(tunnel, 1420)
	if err != nil {
		return fmt.Errorf("cannot make the tunnel: %w", err)
	}
	dev := device.NewDevice(t, conn.NewDefaultBind(), device.NewLogger(device.LogLevelError, "wireguard: "))
	defer dev.Close()
	if err := os.MkdirAll(lab.Path("vpn"), 0o700); err != nil {
		return err
	}
	config := fmt.Sprintf("private_key=%s\nlisten_port=%d\n", hex.EncodeToString(server.Bytes()), where.VPNPort)
	for _, s := range Subscriptions {
		key, err := ecdh.X25519().GenerateKey(rand.Reader)
		if err != nil {
			return err
		}
		config += fmt.Sprintf("public_key=%s\nallowed_ip=%s/32\nallowed_ip=%s/128\n", hex.EncodeToString(key.PublicKey().Bytes()), s.Address, s.Address6)
		if err := write(s.KeyFile(lab), key.Bytes()); err != nil {
			return err
		}
	}
	if err := dev.IpcSet(config); err != nil {
		return fmt.Errorf("cannot configure WireGuard: %w", err)
	}
	if err := dev.Up(); err != nil {
		return err
	}
	for _, argv := range [][]string{
		{"ip", "addr", "add", where.VPNServer + "/24", "dev", tunnel},
		{"ip", "addr", "add", where.VPNServer6 + "/64", "dev", tunnel},
		{"ip", "link", "set", tunnel, "up"},
	} {
		if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("cannot run %v: %w: %s", argv, err, out)
		}
	}
	if err := write(PublicFile(lab), server.PublicKey().Bytes()); err != nil {
		return err
	}
	errs := make(chan error, 2)
	go func() { errs <- openvpn.Serve(ctx, lab) }()
	go func() { errs <- grant(ctx, lab) }()
	return <-errs
}

// write writes a key as WireGuard's programs do, for its owner alone.
func write(path string, key []byte) error {
	return os.WriteFile(path, []byte(base64.StdEncoding.EncodeToString(key)+"\n"), 0o600)
}
