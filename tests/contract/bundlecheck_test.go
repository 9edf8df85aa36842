package contract

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/charmarr/charmarr-go/charms/hook/hooktest"
)

// bundle is one document of a bundle.yaml: the bundle, or an overlay of it. A key that it does not have is a mistake, which
// Juju only prints.
type bundle struct {
	Bundle, Name string
	SaaS         map[string]struct{ URL string } `yaml:"saas"`
	Applications map[string]application
	Relations    [][]string
}

type application struct {
	Charm       string
	Scale       int
	Trust       bool
	Resources   map[string]string
	Options     map[string]any
	Storage     map[string]string
	Constraints string
	Offers      map[string]offer
}

type offer struct {
	Endpoints []string
	ACL       map[string]string `yaml:"acl"`
}

// folderOf is where the bundle of a model stands: charmarr-core in bundles/core.
func folderOf(model string) string { return strings.TrimPrefix(model, "charmarr-") }

// problems says what is wrong with bundles, by folder, that are deployed together from the charms.
func problems(texts map[string]string, charms map[string]hooktest.Charm) []string {
	w := world{models: map[string]*model{}, charms: charms}
	for _, folder := range slices.Sorted(maps.Keys(texts)) {
		w.read(folder, texts[folder])
	}
	for _, name := range slices.Sorted(maps.Keys(w.models)) {
		m := w.models[name]
		for _, app := range slices.Sorted(maps.Keys(m.Applications)) {
			w.checkApplication(m, app, m.Applications[app])
		}
		for _, r := range m.Relations {
			w.checkRelation(m, r)
		}
		w.checkRelated(m)
	}
	return w.wrong
}

type model struct {
	bundle
	offers map[string]offered
}

type offered struct {
	app string
	offer
}

type world struct {
	models map[string]*model
	charms map[string]hooktest.Charm
	wrong  []string
}

func (w *world) say(where, format string, args ...any) {
	w.wrong = append(w.wrong, where+": "+fmt.Sprintf(format, args...))
}

// read puts a bundle and its overlays together.
func (w *world) read(folder, text string) {
	docs, err := parse[bundle]([]byte(text), true)
	if err != nil || len(docs) == 0 {
		w.say(folder, "cannot read it: %v", err)
		return
	}
	m := &model{bundle: docs[0], offers: map[string]offered{}}
	if m.Bundle != "kubernetes" || folderOf(m.Name) != folder {
		w.say(folder, "it is bundle %q of model %q", m.Bundle, m.Name)
	}
	for app, a := range m.Applications {
		if len(a.Offers) > 0 {
			w.say(folder, "%s makes offers outside an overlay: Juju refuses that", app)
		}
	}
	for _, overlay := range docs[1:] {
		for app, a := range overlay.Applications {
			if _, ok := m.Applications[app]; !ok {
				w.say(folder, "the overlay speaks of %s, which is not in the bundle", app)
			}
			for name, o := range a.Offers {
				m.offers[name] = offered{app, o}
			}
		}
	}
	w.models[m.Name] = m
	for name, o := range m.offers {
		for _, endpoint := range o.Endpoints {
			if _, provider, ok := w.endpoint(m, o.app, endpoint); !ok || !provider {
				w.say(folder, "offer %s: %s provides no %s", name, o.app, endpoint)
			}
		}
		if len(o.Endpoints) == 0 || len(o.ACL) == 0 {
			w.say(folder, "offer %s: without an endpoint or without an acl", name)
		}
	}
}

var packed = regexp.MustCompile(`^\.\./\.\./build/([a-z0-9-]+)_amd64\.charm$`)

// charm is the charm of an application.
func (w *world) charm(m *model, app string) (hooktest.Charm, bool) {
	match := packed.FindStringSubmatch(m.Applications[app].Charm)
	if match == nil {
		return hooktest.Charm{}, false
	}
	c, ok := w.charms[match[1]]
	return c, ok
}

func (w *world) checkApplication(m *model, app string, a application) {
	where := folderOf(m.Name) + " " + app
	c, ok := w.charm(m, app)
	if !ok {
		w.say(where, "charm %q is none that make pack writes", a.Charm)
		return
	}
	for _, name := range slices.Sorted(maps.Keys(a.Options)) {
		if o, ok := c.Config.Options[name]; !ok || !fits(o.Type, a.Options[name]) {
			w.say(where, "option %s=%v is no %s of the charm", name, a.Options[name], cmp.Or(o.Type, "option"))
		}
	}
	for name, image := range a.Resources {
		if r, ok := c.Resources[name]; !ok {
			w.say(where, "the charm has no resource %s", name)
		} else if r.UpstreamSource != image {
			w.say(where, "resource %s is %s, but the charm is made for %s", name, image, r.UpstreamSource)
		}
	}
	for name := range c.Resources {
		if _, ok := a.Resources[name]; !ok {
			w.say(where, "resource %s is missing: a packed charm brings none", name)
		}
	}
	for name, wanted := range a.Storage {
		if _, ok := c.Storage[name]; !ok {
			w.say(where, "the charm has no storage %s", name)
		}
		if err := checkStorage(wanted); err != nil {
			w.say(where, "storage %s: %v", name, err)
		}
	}
	if err := checkConstraints(a.Constraints); err != nil {
		w.say(where, "constraints: %v", err)
	}
	if !a.Trust && (speaks(c.Requires, "vpn-gateway") || speaks(c.Provides, "vpn-gateway")) {
		w.say(where, "the charm lays policies and has to be trusted")
	}
	if a.Scale < 1 {
		w.say(where, "scale %d starts nothing", a.Scale)
	}
}

var (
	pool  = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9-]*$`)
	count = regexp.MustCompile(`^[1-9][0-9]*$`)
	size  = regexp.MustCompile(`^[0-9]+(\.[0-9]+)?[MGTPEZY](i?B)?$`)
)

// checkStorage takes what Juju's storage.ParseConstraints takes, [pool,][count,][size], and wants the size as well: what a
// charm's storage would have without one is a disk of 1G, and too small is found when it is full.
func checkStorage(wanted string) error {
	seen := map[string]bool{}
	for _, word := range strings.Split(wanted, ",") {
		kind := "size"
		switch {
		case pool.MatchString(word):
			kind = "pool"
		case count.MatchString(word):
			kind = "count"
		case !size.MatchString(word):
			return fmt.Errorf("cannot read %q of %q: it is no pool, count or size such as 10G", word, wanted)
		}
		if seen[kind] {
			return fmt.Errorf("%q has two of %s", wanted, kind)
		}
		seen[kind] = true
	}
	if !seen["size"] {
		return fmt.Errorf("%q says no size", wanted)
	}
	return nil
}

// constraints are those that mean something on Kubernetes. Source: github.com/juju/juju caas/kubernetes/provider
// constraints.go, which only warns of the others, and application/constraints.go, which reads these.
var constraints = map[string]*regexp.Regexp{
	"arch":      regexp.MustCompile(`^(amd64|arm64)$`), // what our charms are packed for
	"cpu-power": regexp.MustCompile(`^[0-9]+$`),
	"mem":       regexp.MustCompile(`^[0-9]+(\.[0-9]+)?[MGTP]?$`),
	"tags":      regexp.MustCompile(`^[^=,]+=[^=,]+(,[^=,]+=[^=,]+)*$`),
	"zones":     regexp.MustCompile(`^[^,]+(,[^,]+)*$`),
}

func checkConstraints(wanted string) error {
	seen := map[string]bool{}
	for _, word := range strings.Fields(wanted) {
		name, value, _ := strings.Cut(word, "=")
		rule, ok := constraints[name]
		switch {
		case !ok:
			return fmt.Errorf("%q means nothing on Kubernetes", name)
		case !rule.MatchString(value):
			return fmt.Errorf("cannot use %s=%q", name, value)
		case seen[name]:
			return fmt.Errorf("%s stands twice", name)
		}
		seen[name] = true
	}
	return nil
}

func fits(kind string, value any) bool {
	switch value.(type) {
	case string:
		return kind == "string" || kind == "secret"
	case int:
		return kind == "int" || kind == "float"
	case bool:
		return kind == "boolean"
	case float64:
		return kind == "float"
	default:
		return false
	}
}

// endpoint is an application's or a remote offer's endpoint, and whether it provides.
func (w *world) endpoint(m *model, app, name string) (e hooktest.Endpoint, provider, ok bool) {
	if saas, remote := m.SaaS[app]; remote {
		owner, offerName, _ := strings.Cut(strings.TrimPrefix(saas.URL, "admin/"), ".")
		other, known := w.models[owner]
		if !known || !slices.Contains(other.offers[offerName].Endpoints, name) {
			return e, false, false
		}
		return w.endpoint(other, other.offers[offerName].app, name)
	}
	c, ok := w.charm(m, app)
	if !ok {
		return e, false, false
	}
	if e, ok = c.Provides[name]; ok {
		return e, true, true
	}
	e, ok = c.Requires[name]
	return e, false, ok
}

func (w *world) checkRelation(m *model, ends []string) {
	where := fmt.Sprintf("%s relation %v", folderOf(m.Name), ends)
	if len(ends) != 2 {
		w.say(where, "it has not two ends")
		return
	}
	var interfaces []string
	providers := 0
	for _, end := range ends {
		app, name, _ := strings.Cut(end, ":")
		e, provider, ok := w.endpoint(m, app, name)
		if !ok {
			w.say(where, "nothing has the endpoint %s", end)
			return
		}
		interfaces = append(interfaces, e.Interface)
		if provider {
			providers++
		}
	}
	if interfaces[0] != interfaces[1] || providers != 1 {
		w.say(where, "interfaces %v with %d providers do not meet", interfaces, providers)
	}
}

// checkRelated looks at each endpoint that a model's applications require: at most as many relations as its limit, and one
// at least where the charm cannot do without, or where it fails closed and the bundle would start nothing.
func (w *world) checkRelated(m *model) {
	count := map[string]int{}
	for _, r := range m.Relations {
		for _, end := range r {
			count[end]++
		}
	}
	for app := range m.Applications {
		c, _ := w.charm(m, app)
		for name, e := range c.Requires {
			n := count[app+":"+name]
			if e.Limit > 0 && n > e.Limit {
				w.say(folderOf(m.Name)+" "+app, "%d relations on %s, which takes %d", n, name, e.Limit)
			}
			if n == 0 && (e.Interface == "vpn-gateway" || e.Optional != nil && !*e.Optional) {
				w.say(folderOf(m.Name)+" "+app, "nothing is related to %s", name)
			}
		}
	}
}
