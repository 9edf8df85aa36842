package main

import (
	"regexp"
	"slices"

	"github.com/charmarr/charmarr-go/charms/hook"
)

// `juju status` is read by more people than the options are, and a key is soon pasted into the wrong one.

var (
	// keyLike is what no name is: so much base64 in one piece. A WireGuard key has 43 letters and its =, a line of a PEM file 64.
	keyLike = regexp.MustCompile(`[A-Za-z0-9+/]{40,}`)
	// partLike is what may be a part of one.
	partLike = regexp.MustCompile(`[A-Za-z0-9+/]{20,}=*`)
	// passwordLike is a user with a password in a URL, or a word with which one begins.
	passwordLike = regexp.MustCompile(`(?i)://[^/]*@|(password|passwd|passphrase|token|secret|apikey|api_key|api-key)[=:]`)
)

const notShown = "(not shown)"

// hide takes out of what a status says of options whatever may be a key or a password: of those into which somebody is most likely to put
// one the whole value, of all others what looks like a part of one.
func hide(err error) {
	for _, wrong := range hook.Refusals(err) {
		if slices.Contains([]string{"custom-overrides", "wireguard-public-key"}, wrong.Name) || passwordLike.MatchString(wrong.Value) {
			wrong.Value = notShown
		}
		wrong.Value, wrong.Fix = shown(wrong.Value), shown(wrong.Fix) // some of the latter repeat it
	}
}

// shown is a text without what looks like a part of a key.
func shown(text string) string { return partLike.ReplaceAllLiteralString(text, notShown) }
