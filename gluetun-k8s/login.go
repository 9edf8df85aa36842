package main

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/charmarr/charmarr-go/charms/hook"
)

// What OpenVPN says when its server does not take the account, and when its tunnel stands. gluetun's log has both (internal/openvpn/logs.go
// there), and nothing else tells of the first: for its control API the tunnel is on its way.
const (
	loginRefused = "AUTH_FAILED"
	tunnelStands = "Initialization Sequence Completed"
)

// otherwise are refusals in the same word that no other account would mend: the server is busy, or the ciphers do not go together.
var otherwise = []string{loginRefused + ",TEMP", loginRefused + ",Data channel"}

// answer is the last word of a log on an account.
type answer bool

func (r *answer) read(line string) {
	switch {
	case strings.Contains(line, tunnelStands), strings.Contains(line, otherwise[0]), strings.Contains(line, otherwise[1]):
		*r = false
	case strings.Contains(line, loginRefused):
		*r = true
	}
}

// refusedLogin says whether the provider has refused the account the last time that it was asked in this pod. A start of gluetun, which
// Pebble makes when the tunnel is down for long, changes nothing of it; another account does. A WireGuard server says nothing to a key
// that it does not know. A log that cannot be read says nothing either.
func refusedLogin(env hook.Env, o Observed) bool {
	if o.Config.Type != "openvpn" || unsettled(o) != nil {
		return false
	}
	account := fmt.Sprintf("%s %s %.16s", o.Config.Provider, o.Config.EndpointIP, apiKey(o.Secret))
	text, err := hook.Found(".account", account, func() (string, error) { return time.Now().Format(time.RFC3339Nano), nil })
	since, parsed := time.Parse(time.RFC3339Nano, text)
	if cmp.Or(err, parsed) != nil {
		return false
	}
	var last answer
	return hook.SeeLog(env, container, service, since, last.read) == nil && bool(last)
}

// otherAccount is what the operator can do about it.
func otherAccount(o Observed) string {
	_, id := o.Config.secretOption()
	return fmt.Sprintf("the server of vpn-provider=%s refuses the account: juju update-secret %s %s; where it is right, see whether the subscription has ended or has too many connections, and: %s",
		o.Config.Provider, id, o.Config.protocol().words(), itsLog(o))
}
