package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/charmarr/charmarr-go/charms/hook"
)

// Where gluetun writes the servers that it chooses from, at each start and before it judges any setting, and whatever its program is asked of
// them: v3.40 and v3.41 into one file, all
// providers'; later ones into one for each, named like it (gluetun, internal/storage/flush.go), and they take the first one away.
const (
	serversFile   = "/gluetun/servers.json"
	serversFolder = "/gluetun/servers/"
)

// serverList is the file that has the servers of a provider in this image.
type serverList struct {
	path string
	own  bool // it has no other's
	seen hook.FileSeen
}

// findList finds it; there may be none yet.
func findList(env hook.Env, of providerName) (l serverList, err error) {
	for _, l = range []serverList{{path: serversFile}, {path: serversFolder + string(of) + ".json", own: true}} {
		if l.seen, err = hook.SeeFile(env, container, l.path); err != nil || l.seen.Size > 0 {
			return l, err
		}
	}
	return l, nil
}

func (l serverList) there() bool { return l.seen.Size > 0 }

// writing is how long gluetun's program may take to write some megabytes.
const writing = 10 * time.Second

// writtenList is the list, which gluetun's program is asked to write where there is none yet. Asked is why it did not; then there is none.
func writtenList(ctx context.Context, env hook.Env, of providerName) (l serverList, asked, err error) {
	if l, err = findList(env, of); err != nil || l.there() {
		return l, nil, err
	}
	_, asked = hook.Exec(ctx, env, container, writing, hook.ExecAs{}, "/gluetun-entrypoint", "format-servers", "-"+strings.ReplaceAll(string(of), " ", "-"), "-output", "/dev/null")
	l, err = findList(env, of)
	return l, asked, err
}

// askedOnce is writtenList for hooks: a program that writes none would be waited for in each of them. What is kept outlives gluetun's
// container, and the list does not: only that there will be none is kept.
func askedOnce(ctx context.Context, env hook.Env, of providerName) (l serverList, err error) {
	if l, err = findList(env, of); err != nil || l.there() {
		return l, err
	}
	_, err = hook.Found(".asked", string(of), func() (_ string, err error) {
		var asked error
		if l, asked, err = writtenList(ctx, env, of); err == nil && !l.none(asked) {
			err = errAgain
		}
		return "", err
	})
	if errors.Is(err, errAgain) {
		err = nil
	}
	return l, err
}

var errAgain = errors.New("to be asked again")

// none says whether the program has ended by itself and there is no list.
func (l serverList) none(asked error) bool {
	return !l.there() && (asked == nil || errors.As(asked, new(*hook.ExecError)))
}

// read reads what it has of a provider.
func (l serverList) read(env hook.Env, of providerName, own any) error {
	return hook.ReadFile(env, container, l.path, func(r io.Reader) error {
		if l.own {
			return json.NewDecoder(r).Decode(own)
		}
		return readList(r, of, own)
	})
}

// vpnServer is one of a provider's, as gluetun writes it: the part that is chosen by, and told.
type vpnServer struct {
	VPN      string `json:"vpn"`
	Country  string `json:"country,omitempty"`
	Region   string `json:"region,omitempty"`
	City     string `json:"city,omitempty"`
	Hostname string `json:"hostname,omitempty"`
	Name     string `json:"server_name,omitempty"`
	Forwards bool   `json:"port_forward,omitempty"` // it leads ports to its clients

	Addresses []netip.Addr `json:"ips,omitempty"`

	ISP        string   `json:"isp,omitempty"`
	Categories []string `json:"categories,omitempty"`
	Number     int      `json:"number,omitempty"`
	Owned      bool     `json:"owned,omitempty"`
	MultiHop   bool     `json:"multihop,omitempty"`
	Free       bool     `json:"free,omitempty"`
	Premium    bool     `json:"premium,omitempty"`
	Stream     bool     `json:"stream,omitempty"`
	SecureCore bool     `json:"secure_core,omitempty"`
	Tor        bool     `json:"tor,omitempty"`
	TCP        bool     `json:"tcp,omitempty"` // by OpenVPN
	UDP        bool     `json:"udp,omitempty"`
}

// over says whether it is used by this protocol. Some are by both, and say nothing.
func (s vpnServer) over(kind string) bool { return s.VPN == kind || s.VPN == "" || s.VPN == "both" }

// readList reads what the list of all has of one provider; nothing where it does not know it. The others' are passed over, one provider at
// a time: all of them are some megabytes.
func readList(r io.Reader, of providerName, own any) error {
	list := json.NewDecoder(r)
	if start, err := list.Token(); err != nil || start != json.Delim('{') {
		return cmp.Or(err, errors.New("it is no list of servers"))
	}
	for list.More() {
		name, err := list.Token()
		if err != nil {
			return err
		}
		if name == string(of) {
			return list.Decode(own)
		}
		var other json.RawMessage
		if err := list.Decode(&other); err != nil {
			return err
		}
	}
	return nil
}

// servers are those of a provider in it.
func (l serverList) servers(env hook.Env, of providerName) ([]vpnServer, error) {
	var own struct{ Servers []vpnServer }
	err := l.read(env, of, &own)
	return own.Servers, err
}

// chooses says by which of a server's properties the options choose.
func (c Config) chooses() []choice {
	return []choice{
		{"server-countries", c.Countries, func(s vpnServer) string { return s.Country }},
		{"server-regions", c.Regions, func(s vpnServer) string { return s.Region }},
		{"server-cities", c.Cities, func(s vpnServer) string { return s.City }},
		{"server-hostnames", c.Hostnames, func(s vpnServer) string { return s.Hostname }},
	}
}

type choice struct {
	option string
	wanted places
	of     func(vpnServer) string
}

// takes says whether it chooses a server.
func (c choice) takes(s vpnServer) bool {
	return len(c.wanted) == 0 || slices.ContainsFunc(c.wanted, func(w string) bool { return strings.EqualFold(w, c.of(s)) })
}

// chosen are the servers that all choices take.
func chosen(all []vpnServer, by []choice) []vpnServer {
	return slices.DeleteFunc(slices.Clone(all), func(s vpnServer) bool {
		return slices.ContainsFunc(by, func(c choice) bool { return !c.takes(s) })
	})
}

// unknownServers says what the options choose that the provider does not have. gluetun ends over a name when it knows none of an option's,
// passes over one beside others, and where all are known, and no server has them together, it tries for ever. Where there is no list nothing
// is judged here, but by gluetun itself.
func unknownServers(ctx context.Context, env hook.Env, c Config, unit string) (wrong error, judged bool, err error) {
	by := c.chooses()
	if c.protocol().server || !slices.ContainsFunc(by, func(o choice) bool { return len(o.wanted) > 0 }) && len(c.filtered()) == 0 && c.Type != "openvpn" && !c.EndpointIP.IsValid() {
		return nil, true, nil
	}
	list, err := askedOnce(ctx, env, c.Provider)
	if err != nil || !list.there() {
		return nil, false, err
	}
	key := fmt.Sprint(list.seen.Size, list.seen.Modified.UnixNano(), c.Provider, c.Type, unit)
	for _, o := range by {
		key += fmt.Sprintf("%q", o.wanted)
	}
	key += fmt.Sprint(c.forwardingOnly(), c.asksForPorts(), c.Protocol, c.EndpointIP)
	for _, name := range c.filtered() {
		key += fmt.Sprintf("%s=%q", name, c.Overrides[name])
	}
	kept := ".servers"
	if c.wanted { // asked beside what is without: a hook may need both
		kept = ".servers-that-lead-ports"
	}
	says, err := hook.Found(kept, key, func() (string, error) { // the list is too long for every hook
		all, err := list.servers(env, c.Provider)
		if err != nil {
			return "", err
		}
		if wrong := offered(c, all, unit); wrong != nil {
			return wrong.Error(), nil
		}
		return "", nil
	})
	if err == nil && says != "" {
		wrong = errors.New(says)
	}
	return wrong, err == nil, nil // a list that cannot be read is being written, or is of another kind
}

// offered judges by a provider's own list, which a unit has.
func offered(c Config, all []vpnServer, unit string) error {
	app, _, _ := strings.Cut(unit, "/")
	all = slices.DeleteFunc(slices.Clone(all), func(s vpnServer) bool { return !s.over(c.Type) })
	if len(all) == 0 {
		return nil
	}
	var used []string
	var once bool
	for _, o := range c.chooses() {
		have := map[string]bool{}
		for _, s := range all {
			have[o.of(s)] = true
		}
		delete(have, "")
		for i, w := range o.wanted {
			if slices.ContainsFunc(all, func(s vpnServer) bool { return strings.EqualFold(w, o.of(s)) }) {
				continue
			}
			// Of this one gluetun still takes regions by names that they had once, each for a country, a city and a server, which it adds to
			// those of the options (settings/surfshark_retro.go). Whether it is one of them it judges by itself.
			if c.Provider == "surfshark" && o.option == "server-regions" {
				once = true
				continue
			}
			near := alike(w, have)
			if len(near) == 0 {
				return fmt.Errorf("%s has %s, and %s has no such server over %s%s; see: juju run %s list-servers",
					o.option, shown(w), c.Provider, c.Type, o.suchAs(slices.Collect(maps.Keys(have)), app), unit)
			}
			right := slices.Clone(o.wanted)
			right[i] = near[0]
			command := strings.ReplaceAll(shown(strings.Join(right, ",")), "'", `'\''`) // Cote d'Ivoire
			return fmt.Errorf("%s has %s, and %s has no such server over %s, but %s: juju config %s %s='%s'", o.option, shown(w), c.Provider, c.Type, strings.Join(near, ", "), app, o.option, command)
		}
		if len(o.wanted) > 0 {
			used = append(used, o.option)
		}
	}
	if once {
		return nil
	}
	left := chosen(all, c.chooses())
	if len(left) == 0 {
		return fmt.Errorf("no server of %s over %s has all of %s%s; see: juju run %s list-servers", c.Provider, c.Type, strings.Join(used, ", "), c.fitting(all, app), unit)
	}
	if left = slices.DeleteFunc(left, func(s vpnServer) bool { return !c.passes(s) }); len(left) == 0 {
		return c.filteredOut(used, unit)
	}
	if err := c.none(left, app, unit); err != nil {
		return err
	}
	if c.forwardingOnly() && !slices.ContainsFunc(left, func(s vpnServer) bool { return s.Forwards }) {
		without := ""
		if c.asksForPorts() {
			without = fmt.Sprintf(", and gluetun takes no other: juju config %s custom-overrides=<with PORT_FORWARD_ONLY=off>, or choose another", app)
		}
		leading := slices.DeleteFunc(slices.Clone(all), func(s vpnServer) bool { return !s.Forwards || !c.passes(s) })
		return fmt.Errorf("no server of %s leads ports%s%s; see: juju run %s list-servers", c.leftBy(append(used, c.filtered()...)), without, c.fitting(leading, app), unit)
	}
	return nil
}

// asksForPorts says whether it is the operator who takes servers that lead ports alone, and not a consumer's wish.
func (c Config) asksForPorts() bool { return c.Overrides["PORT_FORWARD_ONLY"] != "" || !c.asIsWanted() }

// fitting is the command that makes the last of the choices go with those before it; empty, where those alone leave nothing, or nothing is chosen.
func (c Config) fitting(all []vpnServer, app string) string {
	by := slices.DeleteFunc(c.chooses(), func(o choice) bool { return len(o.wanted) == 0 })
	last := len(by) - 1
	if last < 0 {
		return ""
	}
	var values []string
	for _, s := range chosen(all, by[:last]) {
		values = append(values, by[last].of(s))
	}
	return by[last].suchAs(values, app)
}

// suchAs is the command with one of the values; empty, where there is none.
func (c choice) suchAs(values []string, app string) string {
	if values = slices.DeleteFunc(values, func(v string) bool { return v == "" }); len(values) == 0 {
		return ""
	}
	return fmt.Sprintf(": juju config %s %s='<such as %s>'", app, c.option, slices.Min(values))
}

// none says that the server whose address the operator named is none of these. Over WireGuard gluetun takes its key from the list, and without it
// tries for ever; over OpenVPN it needs no more than the address (its internal/provider/utils/pick.go).
func (c Config) none(left []vpnServer, app, unit string) error {
	if c.Type != "wireguard" || !c.EndpointIP.IsValid() {
		return nil
	}
	for _, s := range left {
		if slices.Contains(s.Addresses, c.EndpointIP.Addr) {
			return nil
		}
	}
	for _, s := range left {
		if len(s.Addresses) > 0 {
			return fmt.Errorf("vpn-endpoint-ip=%s is none of the servers of %s over %s: juju config %s vpn-endpoint-ip=<one of theirs, such as %s>; see: juju run %s list-servers",
				c.EndpointIP, c.leftBy(c.filtered()), c.Type, app, s.Addresses[0], unit)
		}
	}
	return nil
}

// alike are the names that somebody may have meant, at most three, the nearest first.
func alike(word string, names map[string]bool) (near []string) {
	const most = 3
	word = strings.ToLower(word)
	how := map[string]int{}
	for name := range names {
		low := strings.ToLower(name)
		d := distance(word, low)
		if len(word) > 2 && strings.Contains(low, word) || len(low) > 2 && strings.Contains(word, low) {
			d = 1
		}
		if d <= 2 && d < len(low) {
			how[name] = d
			near = append(near, name)
		}
	}
	slices.SortFunc(near, func(a, b string) int { return cmp.Or(cmp.Compare(how[a], how[b]), strings.Compare(a, b)) })
	return near[:min(most, len(near))]
}

// distance is how many letters have to be changed, added or left out to make one word of another (Levenshtein).
func distance(a, b string) int {
	from, to := []rune(a), []rune(b)
	row := make([]int, len(to)+1)
	for j := range row {
		row[j] = j
	}
	for i, x := range from {
		corner := row[0]
		row[0] = i + 1
		for j, y := range to {
			above := row[j+1]
			row[j+1] = min(above+1, row[j]+1, corner+1)
			if x == y {
				row[j+1] = min(row[j+1], corner)
			}
			corner = above
		}
	}
	return row[len(to)]
}
