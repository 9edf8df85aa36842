package main

import (
	"fmt"
	"strings"
)

// summary is what the real one prints of WireGuard, and of ports, at its start (its internal/configuration/settings, wireguard.go and
// portforward.go): keys and passwords shortened, the addresses and the account's name in full.
func (s settings) summary() string {
	lines := []string{"Settings summary:"}
	if s.kind == "wireguard" {
		lines = append(lines, "├── VPN settings:", "|   └── Wireguard settings:", "|       ├── Private key: "+shortened(s.key))
		if s.preshared != "" {
			lines = append(lines, "|       ├── Pre-shared key: "+shortened(s.preshared))
		}
		lines = append(lines, "|       ├── Interface addresses:")
		for _, a := range s.addresses {
			lines = append(lines, "|       |   ├── "+a.String())
		}
		lines = append(lines, fmt.Sprintf("|       └── Network interface: %s", s.wireguardInterface))
	}
	if f := s.forwarding; f.on && f.user != "" {
		lines = append(lines, "├── Automatic port forwarding settings:", "|   └── Credentials:", "|       ├── Username: "+f.user, "|       └── Password: "+shortened(f.password))
	}
	return strings.Join(lines, "\n")
}

func shortened(key string) string { return key[:min(3, len(key))] + "..." + key[max(0, len(key)-3):] }
