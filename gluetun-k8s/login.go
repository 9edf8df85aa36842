package main

import (
	"fmt"
	"strings"

	"github.com/charmarr/charmarr-go/charms/hook"
)

// What OpenVPN says when its server does not take the account, and when its tunnel stands. gluetun's log has both (internal/openvpn/logs.go
// there), and nothing else tells of the first: for its control API the tunnel is on its way.
const (
	loginRefused = "AUTH_FAILED"
	tunnelStands = "Initialization Sequence Completed"
)

// refusedLogin says whether the provider has refused the account the last time that it was asked, since gluetun was started. A WireGuard
// server says nothing to a key that it does not know.
func refusedLogin(env hook.Env, c Config) (refused bool, err error) {
	if c.Type != "openvpn" {
		return false, nil
	}
	err = hook.SeeLog(env, container, "gluetun", func(line string) {
		switch {
		case strings.Contains(line, loginRefused):
			refused = true
		case strings.Contains(line, tunnelStands):
			refused = false
		}
	})
	return refused, err
}

// otherAccount is what the operator can do about it.
func otherAccount(c Config) string {
	_, id := c.secretOption()
	return fmt.Sprintf("vpn-provider=%s refuses what the secret has, or the subscription has ended: juju update-secret %s %s", c.Provider, id, c.protocol().words())
}
