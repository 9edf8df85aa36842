package main

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/charmarr/charmarr-go/charms/hook"
)

// overrides are settings of gluetun's own that no option of the charm covers.
type overrides map[string]string

// override is a setting that may be given, and what gluetun takes for one: what it does not take ends it at each start, in its log alone.
type override struct {
	good   func(string) bool
	such   string
	filter bool // servers are chosen by it: not every provider has data for it
}

var (
	someNames = override{good: func(s string) bool { return len(hook.Words(s)) > 0 && notNames(s) == nil }, such: "names separated by commas", filter: true}
	onOrOff   = override{like(`(?i)on|yes|true|enabled|off|no|false|disabled`), "on or off", false}
	onlySome  = override{onOrOff.good, onOrOff.such, true}
)

// like holds for a text that is all of this pattern.
func like(pattern string) func(string) bool {
	return regexp.MustCompile(`^(?:` + pattern + `)$`).MatchString
}

// each holds for a list of which each word is good, and that has one.
func each(good func(string) bool) func(string) bool {
	return func(s string) bool {
		all := hook.Words(s)
		return len(all) > 0 && !slices.ContainsFunc(all, func(w string) bool { return !good(w) })
	}
}

// number holds for one from the least to the most.
func number(least, most uint64) func(string) bool {
	return func(s string) bool {
		n, err := strconv.ParseUint(s, 10, 64)
		return err == nil && n >= least && n <= most
	}
}

// lasting holds for a time as Go writes it, from the least to the most, and for 0, which is none.
func lasting(least, most time.Duration) func(string) bool {
	return func(s string) bool {
		d, err := time.ParseDuration(s)
		return err == nil && (d == 0 || d >= least && d <= most)
	}
}

// algorithm holds for a name of one, as OpenVPN has it. Doing nothing has names as well: with the cipher "none" the tunnel is clear text, and with
// that digest anybody can change what no cipher of its own protects.
func algorithm(value string) bool {
	return like(`(?i)[a-z0-9-]{1,20}`)(value) && !strings.EqualFold(value, "none") && !strings.Contains(strings.ToLower(value), "null")
}

// off holds for what gluetun takes for no.
func off(value string) bool {
	return slices.Contains([]string{"", "off", "no", "false", "disabled"}, strings.ToLower(value))
}

// mayOverride are those that neither the firewall, nor the routes, nor the keys, nor the way this charm learns how the
// tunnel is, depend on. A list of what is allowed: what a later version adds is refused until somebody has looked at it. What
// each takes is from gluetun (internal/configuration/settings, internal/publicip/api), from v3.40 to master.
var mayOverride = map[string]override{
	"FREE_ONLY": onlySome, "MULTIHOP_ONLY": onlySome, "OWNED_ONLY": onlySome, "PORT_FORWARD_ONLY": onlySome, "PREMIUM_ONLY": onlySome,
	"SECURE_CORE_ONLY": onlySome, "STREAM_ONLY": onlySome, "TOR_ONLY": onlySome,
	"ISP": someNames, "SERVER_CATEGORIES": someNames, "SERVER_NAMES": someNames,
	"SERVER_NUMBER":     {each(number(0, 65535)), "numbers up to 65535, such as 12,345", true},
	"LOG_LEVEL":         {like(`(?i)debug|info|warn|error`), "debug, info, warn or error", false},
	"OPENVPN_AUTH":      {algorithm, "a digest such as SHA256", false},
	"OPENVPN_CIPHERS":   {each(algorithm), "ciphers separated by commas, such as AES-256-GCM,AES-128-GCM", false},
	"OPENVPN_MSSFIX":    {number(0, 10000), "a number up to 10000, such as 1400", false},
	"OPENVPN_VERBOSITY": {number(0, 6), "a number from 0 to 6", false},
	"OPENVPN_VERSION":   {like(`2\.[56]`), "2.5 or 2.6", false},
	encryption:          {like(`normal|strong`), "normal or strong", false},
	"PUBLICIP_API": {each(like(`(?i)cloudflare|ifconfigco|ipinfo|ip2location|echoip#https?://[a-z0-9.:/\[\]_-]+`)),
		"cloudflare, ifconfigco, ip2location, ipinfo or echoip# with a URL, such as echoip#https://ifconfig.co", false},
	"PUBLICIP_ENABLED":         onOrOff,
	"TZ":                       {like(`[A-Za-z][A-Za-z0-9_+-]{0,31}(/[A-Za-z0-9_+-]{1,31}){0,2}`), "a time zone such as Europe/Berlin", false},
	"UPDATER_PERIOD":           {lasting(time.Minute, 365*24*time.Hour), "a time from 1m, such as 24h, or 0", false},
	forwarding:                 onOrOff,
	wayOf:                      {like(`private internet access|perfect privacy|privatevpn`), "private internet access, perfect privacy or privatevpn; protonvpn grants ports by the option nat-pmp-server=10.2.0.1", false},
	"WIREGUARD_IMPLEMENTATION": {like(`auto|userspace|kernelspace`), "auto, userspace or kernelspace", false},
	// The least of IPv4's, which the overlay asks of its gateway as well; gluetun reads two bytes.
	"WIREGUARD_MTU": {number(576, 65535), "a number from 576 to 65535, such as 1400", false},
	// The kernel has two bytes of seconds for it.
	"WIREGUARD_PERSISTENT_KEEPALIVE_INTERVAL": {lasting(time.Second, 65535*time.Second), "a time from 1s to 65535s, such as 25s, or 0", false},
}

// insteadOf is what gluetun's names are that have an option here, or belong into the secret.
var insteadOf = map[string]string{
	"VPN_SERVICE_PROVIDER": "set the option vpn-provider", "VPN_TYPE": "set the option vpn-type",
	"SERVER_COUNTRIES": "set the option server-countries", "SERVER_REGIONS": "set the option server-regions", "SERVER_CITIES": "set the option server-cities",
	"SERVER_HOSTNAMES":      "set the option server-hostnames",
	"WIREGUARD_ENDPOINT_IP": "set the option vpn-endpoint-ip", "WIREGUARD_ENDPOINT_PORT": "set the option vpn-endpoint-port",
	"OPENVPN_ENDPOINT_IP": "set the option vpn-endpoint-ip", "OPENVPN_ENDPOINT_PORT": "set the option vpn-endpoint-port",
	"OPENVPN_PROTOCOL": "set the option openvpn-protocol", "WIREGUARD_PUBLIC_KEY": "set the option wireguard-public-key",
	"WIREGUARD_PRIVATE_KEY":   inSecret("wireguard-private-key-secret", "private-key"),
	"WIREGUARD_PRESHARED_KEY": inSecret("wireguard-private-key-secret", "preshared-key"),
	"WIREGUARD_ADDRESSES":     inSecret("wireguard-private-key-secret", "addresses"),
	"OPENVPN_USER":            inSecret("openvpn-secret", "user"), "OPENVPN_PASSWORD": inSecret("openvpn-secret", "password"),
	"OPENVPN_CERT": inSecret("openvpn-secret", "certificate"), "OPENVPN_KEY": inSecret("openvpn-secret", "key"),
	"OPENVPN_ENCRYPTED_KEY": inSecret("openvpn-secret", "encrypted-key"), "OPENVPN_KEY_PASSPHRASE": inSecret("openvpn-secret", "passphrase"),
	"OPENVPN_CUSTOM_CONFIG":        inSecret("openvpn-secret", "config"),
	"VPN_PORT_FORWARDING_USERNAME": besideTunnels,
	"VPN_PORT_FORWARDING_PASSWORD": besideTunnels,
}

// besideTunnels is where the account goes that ports are granted to.
const besideTunnels = "put user and password into the secret of the tunnel's credentials, beside them (juju update-secret <id> ... user=<user> password=<password>)"

// inEither says how one is given of which nobody knows what it is.
var inEither = fmt.Sprintf("put it into the secret of wireguard-private-key-secret (juju add-secret vpn-key %s), or over OpenVPN of openvpn-secret (juju add-secret vpn-key %s %s)",
	credentials["private-key"].example, credentials["user"].example, credentials["password"].example)

// inSecret says how a credential is given.
func inSecret(option, word string) string {
	return fmt.Sprintf("put it into the secret of %s (juju add-secret vpn-key %s)", option, credentials[word].example)
}

// UnmarshalText reads a NAME=VALUE for each line. Errors repeat no name that is none of gluetun's: it might be half of a key.
func (o *overrides) UnmarshalText(text []byte) error {
	*o = nil
	for _, line := range strings.Split(string(text), "\n") {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if n := len(value) - 1; n > 0 && value[0] == value[n] && (value[0] == '"' || value[0] == '\'') { // as people write them for a shell
			value = value[1:n]
		}
		may, can := mayOverride[name]
		switch {
		case insteadOf[name] != "":
			return fmt.Errorf("for %s, %s", name, insteadOf[name])
		case !ok || !can:
			return fmt.Errorf("each line is NAME=VALUE, with a NAME among %s", strings.Join(slices.Sorted(maps.Keys(mayOverride)), ", "))
		case strings.Contains(value, "-----BEGIN") || keyLike.MatchString(value):
			return fmt.Errorf("the value of %s looks like a key: %s", name, inEither)
		case passwordLike.MatchString(value):
			return fmt.Errorf("the value of %s looks as if it had a password or a token in it, which every reader of the options would see: leave that out; what the provider wants of you, %s", name, inEither)
		case value == "": // as if it were not there, to gluetun too
			continue
		case !may.good(value):
			return fmt.Errorf("the value of %s must be %s", name, may.such)
		}
		if *o == nil {
			*o = overrides{}
		}
		(*o)[name] = value
	}
	return nil
}
