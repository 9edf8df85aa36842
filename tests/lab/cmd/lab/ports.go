package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
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
