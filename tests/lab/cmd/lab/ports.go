package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/charmarr/charmarr-go/tests/lab/internal/node"
	"github.com/charmarr/charmarr-go/tests/lab/internal/vpn"
	"github.com/charmarr/charmarr-go/tests/lab/internal/where"
)

func grant(_ context.Context, lab where.Lab, args []string) error {
	if len(args) == 1 {
		if n, err := strconv.Atoi(args[0]); args[0] == "none" || err == nil && n > 0 && n < 65536 {
			return os.WriteFile(vpn.GrantFile(lab), []byte(args[0]+"\n"), 0o644)
		}
	}
	return errors.New("usage: lab grant PORT|none")
}

func peer(ctx context.Context, lab where.Lab, args []string) error {
	if len(args) != 1 {
		return errors.New("usage: lab peer ADDRESS:PORT")
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd, err := node.Enter(ctx, lab, "ip", "netns", "exec", "inet", self, "peering", args[0])
	if err != nil {
		return err
	}
	return attach(cmd)
}

// holding opens a connection as a torrent client does (BEP 3), from an address of the world's, and holds it for a time.
func holding(_ context.Context, _ where.Lab, args []string) error {
	usage := errors.New("usage: lab holding ADDRESS:PORT FROM INFOHASH DURATION")
	if len(args) != 4 {
		return usage
	}
	torrent, err := hex.DecodeString(args[2])
	length, wrong := time.ParseDuration(args[3])
	if err != nil || wrong != nil || len(torrent) != 20 {
		return usage
	}
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(args[1])}, Timeout: 5 * time.Second}
	c, err := dialer.Dial("tcp", args[0])
	if err != nil {
		return fmt.Errorf("cannot connect as a peer: %w", err)
	}
	defer c.Close()
	hello := slices.Concat([]byte("\x13BitTorrent protocol"), make([]byte, 8), torrent, []byte("-LB0001-000000000000"))
	if _, err := c.Write(hello); err != nil {
		return fmt.Errorf("cannot greet: %w", err)
	}
	time.Sleep(length)
	return nil
}

// synUTP opens a connection of uTP, which torrent clients speak over UDP (BEP 29): version 1, no extension, any identifier.
var synUTP = []byte{0x41, 0, 0x12, 0x34, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 1, 0, 0}

func peering(_ context.Context, _ where.Lab, args []string) error {
	if len(args) != 1 {
		return errors.New("usage: lab peering ADDRESS:PORT")
	}
	const patience = 2 * time.Second
	var said struct {
		TCP  bool   `json:"tcp"`
		UDP  bool   `json:"udp"`
		From string `json:"from"`
	}
	if c, err := net.DialTimeout("tcp", args[0], patience); err == nil {
		said.TCP = true
		_ = c.Close()
	}
	c, err := net.Dial("udp", args[0])
	if err != nil {
		return fmt.Errorf("cannot send to %s: %w", args[0], err)
	}
	defer c.Close()
	said.From = c.LocalAddr().(*net.UDPAddr).IP.String()
	buf := make([]byte, 256)
	for range 3 {
		_ = c.SetReadDeadline(time.Now().Add(patience / 2))
		if _, err := c.Write(synUTP); err != nil {
			continue
		}
		if n, err := c.Read(buf); err == nil && n >= len(synUTP) && buf[0]&0x0f == 1 {
			said.UDP = true
			break
		}
	}
	return json.NewEncoder(os.Stdout).Encode(said)
}
