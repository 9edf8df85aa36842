package main

import (
	"fmt"
	"strings"
)

// summary is what the real one prints of WireGuard at its start (its internal/configuration/settings/wireguard.go): keys shortened, the
// addresses in full.
func (s settings) summary() string {
	if s.kind != "wireguard" {
		return "Settings summary:"
	}
	lines := []string{"Settings summary:", "├── VPN settings:", "|   └── Wireguard settings:", "|       ├── Private key: " + shortened(s.key)}
	if s.preshared != "" {
		lines = append(lines, "|       ├── Pre-shared key: "+shortened(s.preshared))
	}
	lines = append(lines, "|       ├── Interface addresses:")
	for _, a := range s.addresses {
		lines = append(lines, "|       |   ├── "+a.String())
	}
	return strings.Join(append(lines, fmt.Sprintf("|       └── Network interface: %s", s.wireguardInterface)), "\n")
}

func shortened(key string) string { return key[:min(3, len(key))] + "..." + key[max(0, len(key)-3):] }
