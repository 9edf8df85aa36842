package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/charmarr/charmarr-go/charms/hook"
)

// filters are the overrides by which gluetun chooses among a provider's servers as well, and what each asks of one (its
// internal/storage/filter.go). By which servers ports are led is asked elsewhere (forwardingOnly).
var filters = map[string]func(s vpnServer, value string) bool{
	"FREE_ONLY":         onlyThose(func(s vpnServer) bool { return s.Free }),
	"MULTIHOP_ONLY":     onlyThose(func(s vpnServer) bool { return s.MultiHop }),
	"OWNED_ONLY":        onlyThose(func(s vpnServer) bool { return s.Owned }),
	"PREMIUM_ONLY":      onlyThose(func(s vpnServer) bool { return s.Premium }),
	"SECURE_CORE_ONLY":  onlyThose(func(s vpnServer) bool { return s.SecureCore }),
	"STREAM_ONLY":       onlyThose(func(s vpnServer) bool { return s.Stream }),
	"TOR_ONLY":          onlyThose(func(s vpnServer) bool { return s.Tor }),
	"ISP":               anyOf(func(s vpnServer) []string { return []string{s.ISP} }),
	"SERVER_CATEGORIES": anyOf(func(s vpnServer) []string { return s.Categories }),
	"SERVER_NAMES":      anyOf(func(s vpnServer) []string { return []string{s.Name} }),
	"SERVER_NUMBER":     anyOf(func(s vpnServer) []string { return []string{fmt.Sprint(s.Number)} }),
}

func onlyThose(is func(vpnServer) bool) func(vpnServer, string) bool {
	return func(s vpnServer, value string) bool { return off(value) || is(s) }
}

func anyOf(of func(vpnServer) []string) func(vpnServer, string) bool {
	return func(s vpnServer, value string) bool {
		wanted := hook.Words(value)
		return len(wanted) == 0 || slices.ContainsFunc(wanted, func(w string) bool {
			return slices.ContainsFunc(of(s), func(has string) bool { return strings.EqualFold(w, has) })
		})
	}
}

// filtered names the overrides that leave some servers out.
func (c Config) filtered() (names []string) {
	for name := range maps.Keys(filters) {
		if value, set := c.Overrides[name]; set && !off(value) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// passes says whether a server is left by the overrides, and by what OpenVPN is to go by.
func (c Config) passes(s vpnServer) bool {
	if c.Type == "openvpn" && s.TCP != s.UDP && s.TCP != (c.Protocol == "tcp") {
		return false
	}
	return !slices.ContainsFunc(c.filtered(), func(name string) bool { return !filters[name](s, c.Overrides[name]) })
}

// leftBy names the provider, and what has left out some of its servers.
func (c Config) leftBy(names []string) string {
	if len(names) == 0 {
		return string(c.Provider)
	}
	return fmt.Sprintf("%s that %s leave", c.Provider, strings.Join(names, ", "))
}

// filteredOut is what is said where no server passes that the options leave.
func (c Config) filteredOut(options []string, unit string) error {
	app, _, _ := strings.Cut(unit, "/")
	by, mend := c.filtered(), fmt.Sprintf("juju config %s custom-overrides=<without them>", app)
	if c.Type == "openvpn" {
		by = append(by, "openvpn-protocol="+c.Protocol)
		if len(by) == 1 {
			mend = fmt.Sprintf("juju config %s openvpn-protocol=%s", app, map[string]string{"tcp": "udp", "udp": "tcp"}[c.Protocol])
		}
	}
	return fmt.Errorf("no server of %s over %s has all of %s: %s, or choose another; see: juju run %s list-servers", c.leftBy(options), c.Type, strings.Join(by, ", "), mend, unit)
}
