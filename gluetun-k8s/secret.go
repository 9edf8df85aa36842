package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/charmarr/charmarr-go/charms/hook"
)

// Secret is what the operator's Juju secret holds.
type Secret map[string]string

// secretDir is not gluetun's own /run/secrets: what lies there it reads unasked, a key of last week's too.
const secretDir = "/run/vpn-secrets/"

// credential is a word of the secret.
type credential struct {
	env     string // gluetun's name of its file; empty: it has none
	example string // how it is given
	wrong   string // what is said of a text that is none
	good    func(string) bool
}

var credentials = map[string]credential{
	"private-key":   {"WIREGUARD_PRIVATE_KEY_SECRETFILE", "private-key=<key>", noKey, isKey},
	"preshared-key": {"WIREGUARD_PRESHARED_KEY_SECRETFILE", "preshared-key=<key>", noKey, isKey},
	"addresses":     {"WIREGUARD_ADDRESSES_SECRETFILE", "addresses=<such as 10.64.0.2/32>", "no line Address of a WireGuard file, such as 10.64.0.2/32", isAddresses},
	"user":          {"OPENVPN_USER_SECRETFILE", "user=<user>", noLine, isLine},
	"password":      {"OPENVPN_PASSWORD_SECRETFILE", "password=<password>", noLine, isLine},
	"certificate":   {"OPENVPN_CLIENTCRT_SECRETFILE", "certificate#file=client.crt", noPEM("CERTIFICATE"), isPEM("CERTIFICATE")},
	"key":           {"OPENVPN_CLIENTKEY_SECRETFILE", "key#file=client.key", noPEM("PRIVATE KEY"), isPEM("PRIVATE KEY")},
	"encrypted-key": {"OPENVPN_ENCRYPTED_KEY_SECRETFILE", "encrypted-key#file=encrypted.key", noPEM("ENCRYPTED PRIVATE KEY"), isPEM("PRIVATE KEY")},
	"passphrase":    {"OPENVPN_KEY_PASSPHRASE_SECRETFILE", "passphrase=<passphrase>", noLine, isLine},
	"public-key":    {"", "", noKey, isKey}, // these two are in a WireGuard file only, and no secrets
	"endpoint":      {"", "", "", func(string) bool { return true }},
	"config":        {"OPENVPN_CUSTOM_CONFIG", "config#file=client.ovpn", "the name of a file, not what is in it", func(s string) bool { return strings.Contains(s, "\n") }},
}

// forPorts are gluetun's names of an account's files that is for ports alone: WireGuard needs none.
var forPorts = map[string]string{"user": "VPN_PORT_FORWARDING_USERNAME_SECRETFILE", "password": "VPN_PORT_FORWARDING_PASSWORD_SECRETFILE"}

const (
	noKey  = "no WireGuard key (44 characters that end with =)"
	noLine = "more than one line"
)

func noPEM(what string) string { return "no PEM file: -----BEGIN " + what + "----- and so on" }

func isLine(s string) bool { return !strings.ContainsAny(s, "\r\n") }

func isAddresses(s string) bool {
	var a addresses
	return a.UnmarshalText([]byte(s)) == nil && len(a) > 0
}

// isPEM holds for a file whose first block is of this kind, which is all that gluetun looks at.
func isPEM(kind string) func(string) bool {
	return func(s string) bool {
		block, _ := pem.Decode([]byte(s))
		return block != nil && strings.HasSuffix(block.Type, kind)
	}
}

// words are those of the command that gives all of a secret; in brackets what there need not be.
func (p protocol) words() string {
	needs, all := p.held()
	var out []string
	for _, word := range all {
		if example := credentials[word].example; slices.Contains(needs, word) {
			out = append(out, example)
		} else {
			out = append(out, "["+example+"]")
		}
	}
	return strings.Join(out, " ")
}

// secretOption is the option that names the secret, and what it names.
func (c Config) secretOption() (option, id string) {
	if c.Type == "openvpn" {
		return "openvpn-secret", c.OpenVPNSecret
	}
	return "wireguard-private-key-secret", c.KeySecret
}

// readSecret takes the credentials out of a Juju secret's content. Errors never repeat them. `juju update-secret` replaces the
// whole content, so that each command names all of it.
func readSecret(c Config, app string, content map[string]string) (Secret, error) {
	_, id := c.secretOption()
	w := c.protocol()
	whole, how := c.Type == "wireguard" && content["config"] != "", w.words()
	needs, all := w.held()
	account := slices.DeleteFunc(slices.Clone(needs), func(word string) bool { return forPorts[word] == "" })
	if c.provider().borrows { // it may be there before somebody's way is named, and after: both cannot change at once
		all = append(all, slices.Collect(maps.Keys(forPorts))...)
	}
	if whole {
		how = strings.TrimSpace("config#file=wg0.conf " + protocol{needs: strings.Join(account, " ")}.words())
	}
	wrong := func(format string, args ...any) (Secret, error) {
		return nil, fmt.Errorf("%s, for vpn-provider=%s: juju update-secret %s %s", fmt.Sprintf(format, args...), c.Provider, id, how)
	}
	s := Secret{}
	if whole {
		file, err := readWireGuard(content["config"])
		if err != nil {
			return wrong("the secret's config cannot be used: %v", err)
		}
		for word, value := range content {
			switch {
			case word == "config":
			case forPorts[word] == "" || !slices.Contains(all, word):
				return wrong("the secret has config, which is all of it, and more")
			default:
				file[word] = value
			}
		}
		content, all = file, slices.Concat(all, []string{"preshared-key", "addresses", "public-key", "endpoint"})
	}
	for _, word := range slices.Sorted(maps.Keys(content)) {
		value := strings.TrimSpace(content[word])
		switch {
		case value == "":
		case !slices.Contains(all, word) && credentials[word].example == "":
			return wrong("the secret has words that nobody reads") // one of them may be a key whose name was forgotten
		case !slices.Contains(all, word):
			return wrong("the secret's %s cannot be used with vpn-type=%s", word, c.Type)
		case !credentials[word].good(value):
			return wrong("the secret's %s is %s", word, credentials[word].wrong)
		default:
			s[word] = value
		}
	}
	for _, word := range needs {
		if s[word] == "" && !(word == "password" && w.alone != nil && w.alone.MatchString(s["user"])) {
			return wrong("the secret has no %s", word)
		}
	}
	if whole && !w.server { // of its own servers gluetun knows more than the file
		delete(s, "public-key")
		delete(s, "endpoint")
	}
	if s["endpoint"] != "" {
		if _, err := endpointOf(s["endpoint"]); err != nil {
			return wrong("the secret's config cannot be used: %v", err)
		}
		for _, o := range []struct {
			name string
			set  bool
		}{{"vpn-endpoint-ip", c.EndpointIP.IsValid()}, {"vpn-endpoint-port", c.EndpointPort != 0}, {"wireguard-public-key", c.PublicKey != ""}} {
			if o.set {
				return wrong("the secret's config names the server, and so does %s", o.name)
			}
		}
	}
	if s["config"] != "" {
		f, err := readOpenVPN(s["config"])
		if err != nil {
			return wrong("the secret's config cannot be used: %v", err)
		}
		if c.Protocol == "tcp" && f.protocol != "tcp" {
			return nil, fmt.Errorf("the secret's config speaks %s for vpn-provider=%s, and openvpn-protocol is tcp: juju config %s --reset openvpn-protocol", f.protocol, c.Provider, app)
		}
		if f.asks && (s["user"] == "" || s["password"] == "") {
			return wrong("the secret's config asks for a user and a password")
		}
	}
	if c.Type == "wireguard" && len(account) == 0 { // then it is nobody's business
		maps.DeleteFunc(s, func(word, _ string) bool { return forPorts[word] != "" })
	}
	return s, nil
}

// with is the configuration with what the secret says of the server and of this end.
func (c Config) with(s Secret) Config {
	if s["addresses"] != "" {
		_ = c.own.UnmarshalText([]byte(s["addresses"])) // it was read before
	}
	if s["public-key"] != "" {
		c.PublicKey = key(s["public-key"])
	}
	if s["endpoint"] != "" {
		a, _ := endpointOf(s["endpoint"])
		c.EndpointIP, c.EndpointPort = server{a.Addr()}, int(a.Port())
	}
	if s["config"] != "" {
		f, _ := readOpenVPN(s["config"])
		c.EndpointIP, c.Protocol = server{f.server.Addr()}, f.protocol
		if c.EndpointPort == 0 {
			c.EndpointPort = int(f.server.Port())
		}
	}
	return c
}

// secretFiles are the files from which gluetun reads the secret.
func secretFiles(c Config, s Secret, own addresses) (out []hook.File) {
	for _, word := range slices.Sorted(maps.Keys(s)) {
		content := s[word]
		if word == "addresses" {
			content = own.String()
		}
		if credentials[word].env == "" {
			continue
		}
		out = append(out, hook.File{Path: secretDir + word, Content: content + "\n", Mode: 0o600})
	}
	return out
}

// apiKey is the control API's: made from the secret, so that it needs no place of its own and changes with it.
func apiKey(s Secret) string {
	var all string
	for _, word := range slices.Sorted(maps.Keys(s)) {
		if s["private-key"] == "" || forPorts[word] == "" { // an account for ports alone comes and goes
			all += s[word]
		}
	}
	mac := hmac.New(sha256.New, []byte(all))
	mac.Write([]byte("gluetun control API"))
	return fmt.Sprintf("%x", mac.Sum(nil))
}

// errNoServer is of a file whose server cannot be known before the tunnel is up.
var errNoServer = errors.New("it needs a line `remote <address> <port>`; a name could be looked up only beside the tunnel")

// errOperator is behind what the operator has to mend in the secret.
var errOperator = errors.New("the operator's turn")

// operatorError has words of its own and errOperator behind them.
type operatorError struct{ text string }

func (e operatorError) Error() string { return e.text }
func (operatorError) Unwrap() error   { return errOperator }

// notGranted is an operatorError of whose mending Juju tells nobody.
type notGranted operatorError

func (e notGranted) Error() string { return e.text }
func (notGranted) Unwrap() error   { return errOperator }

// secret reads the credentials. No secret named is no error here: the configuration says so.
func secret(c Config, app string) (Secret, error) {
	option, id := c.secretOption()
	if id == "" {
		return nil, nil
	}
	content, err := hook.Secret(id)
	if errors.Is(err, hook.ErrNoSecret) {
		return nil, notGranted{fmt.Sprintf("cannot read %s for vpn-provider=%s: juju grant-secret %s %s", option, c.Provider, id, app)}
	}
	if err != nil {
		return nil, err
	}
	s, err := readSecret(c, app, content)
	if err != nil {
		return nil, operatorError{err.Error()}
	}
	return s, nil
}
