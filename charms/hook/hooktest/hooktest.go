// Package hooktest checks a charm's code against its charmcraft.yaml, so that neither can change without the other.
package hooktest

import (
	"encoding"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"github.com/charmarr/charmarr-go/charms/hook"
)

// Names are what the code calls by name. Each list must be exactly what charmcraft.yaml declares.
type Names struct {
	Containers                []string
	Resources                 []string // images of containers; each container must name one
	Storage                   []string
	Requires, Provides, Peers map[string]string // endpoint: interface
	Secrets                   []string          // options that hold a secret's id: of type secret, the others are not
	Actions                   []string
	Params                    map[string]any // action: a value of the struct its parameters are read into; none for an action without
}

// Charm is the part of charmcraft.yaml that code depends on.
type Charm struct {
	Name, Type, Title, Summary, Description string
	Links                                   map[string]any
	Assumes                                 []any
	Platforms                               map[string]any
	Containers                              map[string]struct{ Resource string }
	Resources                               map[string]struct {
		Type           string
		Description    string
		UpstreamSource string `yaml:"upstream-source"`
	}
	Requires, Provides, Peers map[string]Endpoint
	Storage                   map[string]Storage
	Config                    struct{ Options map[string]Option }
	Actions                   map[string]struct {
		Description string
		Params      map[string]struct {
			Type, Description string
			Default           any
		}
		Required []string
	}
}

// Endpoint is one side of a relation.
type Endpoint struct {
	Interface   string
	Optional    *bool
	Limit       int
	Description string
}

// Storage is one storage of the charm.
type Storage struct{ Type, Description string }

// Option is one option of the charm's configuration.
type Option struct {
	Type, Description string
	Default           any
}

// Charmcraft checks that the file at path declares exactly the options of config (a value of the charm's Config) with
// their types, and exactly the names; that every default passes the config's own rules; and what Charmhub asks of a listing.
func Charmcraft[Config any](t testing.TB, path string, config Config, names Names) Charm {
	t.Helper()
	c := read(t, path)
	checkOptions(t, c, config)
	checkDefaults[Config](t, c)
	checkNames(t, c, names)
	checkListing(t, c)
	return c
}

func read(t testing.TB, path string) (c Charm) {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(data, &c))
	return c
}

func checkOptions(t testing.TB, c Charm, config any) {
	t.Helper()
	fields := fieldsOf(config)
	assert.ElementsMatch(t, slices.Collect(maps.Keys(fields)), slices.Collect(maps.Keys(c.Config.Options)), "options of the code (left) and of charmcraft.yaml")
	for name, f := range bound(config) {
		assert.NotEmpty(t, f.Tag.Get("example"), "option %s can be refused, and no value is told that would do", name)
	}
	for name, option := range c.Config.Options {
		field, ok := fields[name]
		if !ok {
			continue
		}
		assert.Contains(t, jujuTypes(field), option.Type, "type of option %s", name)
		assert.NotEmpty(t, option.Description, "description of option %s", name)
		if option.Default == nil {
			assert.NotEqual(t, "boolean", option.Type, "option %s needs a default: nothing tells false from not set", name)
		}
	}
}

// checkDefaults has the charm read the defaults as it does in its first hook. An option without a default may be one that
// the operator has to set.
func checkDefaults[Config any](t testing.TB, c Charm) {
	t.Helper()
	defaults, err := json.Marshal(c.Defaults())
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "defaults.json"), defaults, 0o600))
	tool := fmt.Sprintf("#!/bin/sh\nexec cat '%s/defaults.json'\n", dir)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config-get"), []byte(tool), 0o700))
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	_, err = hook.Config[Config]()
	for _, e := range each(err) {
		var option *hook.OptionError
		require.ErrorAs(t, e, &option)
		if _, ok := c.Defaults()[option.Name]; ok {
			assert.NoError(t, option, "default of option %s", option.Name)
		}
	}
}

// each takes joined errors apart.
func each(err error) []error {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}

func checkNames(t testing.TB, c Charm, names Names) {
	t.Helper()
	assert.ElementsMatch(t, names.Containers, slices.Collect(maps.Keys(c.Containers)), "containers")
	assert.ElementsMatch(t, names.Resources, slices.Collect(maps.Keys(c.Resources)), "resources")
	for name, container := range c.Containers {
		assert.Contains(t, c.Resources, container.Resource, "resource of container %s", name)
	}
	for name, resource := range c.Resources {
		assert.Equal(t, "oci-image", resource.Type, "type of resource %s", name)
	}
	assert.ElementsMatch(t, names.Storage, slices.Collect(maps.Keys(c.Storage)), "storage")
	checkEndpoints(t, c, names)
	assert.ElementsMatch(t, names.Actions, slices.Collect(maps.Keys(c.Actions)), "actions")
	for name, action := range c.Actions {
		var fields map[string]reflect.Type
		if params, ok := names.Params[name]; ok {
			fields = fieldsOf(params)
		}
		assert.ElementsMatch(t, slices.Collect(maps.Keys(fields)), slices.Collect(maps.Keys(action.Params)), "parameters of action %s", name)
		assert.NotEmpty(t, action.Description, "description of action %s", name)
		for param, p := range action.Params {
			required := slices.Contains(action.Required, param)
			assert.NotEqual(t, required, p.Default != nil, "parameter %s of action %s has a default, or is required", param, name)
			if field, ok := fields[param]; ok {
				assert.Equal(t, paramType(field), p.Type, "type of parameter %s of action %s", param, name)
			}
		}
	}
}

// checkEndpoints looks at each side by itself: an endpoint on the wrong one joins nothing.
func checkEndpoints(t testing.TB, c Charm, names Names) {
	t.Helper()
	assert.Equal(t, orEmpty(names.Peers), interfaces(c.Peers), "endpoints between peers")
	assert.Equal(t, orEmpty(names.Requires), interfaces(c.Requires), "endpoints that are required")
	assert.Equal(t, orEmpty(names.Provides), interfaces(c.Provides), "endpoints that are provided")
	var secrets []string
	for name, option := range c.Config.Options {
		if option.Type == "secret" {
			secrets = append(secrets, name)
		}
	}
	assert.ElementsMatch(t, names.Secrets, secrets, "options that hold a secret's id")
}

// interfaces are those of endpoints, by the endpoint.
func interfaces(endpoints map[string]Endpoint) map[string]string {
	out := map[string]string{}
	for name, e := range endpoints {
		out[name] = e.Interface
	}
	return out
}

// checkListing asks for what Charmhub's listing review asks for.
func checkListing(t testing.TB, c Charm) {
	t.Helper()
	assert.Equal(t, "charm", c.Type)
	assert.Regexp(t, `^[a-z][a-z0-9]*(-[a-z0-9]+)*-k8s$`, c.Name)
	for what, text := range map[string]string{"title": c.Title, "summary": c.Summary, "description": c.Description} {
		assert.NotEmpty(t, text, what)
	}
	assert.LessOrEqual(t, len(c.Summary), 200, "Charmhub cuts a longer summary")
	for _, link := range []string{"documentation", "issues", "source", "website", "contact"} {
		assert.NotEmpty(t, c.Links[link], "link %s", link)
	}
	assert.Contains(t, c.Assumes, any("juju >= 3.6"))
	for _, arch := range []string{"amd64", "arm64"} {
		assert.Contains(t, c.Platforms, "ubuntu@24.04:"+arch)
	}
	for _, side := range []map[string]Endpoint{c.Requires, c.Provides, c.Peers} {
		for name, e := range side {
			assert.NotNil(t, e.Optional, "endpoint %s says whether it is optional", name)
		}
	}
	for name, r := range c.Resources {
		assert.NotEmpty(t, r.Description, "description of resource %s", name)
		assert.NotEmpty(t, r.UpstreamSource, "upstream-source of resource %s", name)
	}
}

// fieldsOf lists a struct's fields by their json names, embedded structs included.
func fieldsOf(v any) map[string]reflect.Type {
	fields := map[string]reflect.Type{}
	for _, f := range reflect.VisibleFields(reflect.TypeOf(v)) {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" {
			fields[name] = f.Type
		}
	}
	return fields
}

// bound are options that a value can be wrong for, where the rule does not tell a right one.
func bound(config any) map[string]reflect.StructField {
	fields := map[string]reflect.StructField{}
	for _, f := range reflect.VisibleFields(reflect.TypeOf(config)) {
		name, rule := f.Tag.Get("json"), f.Tag.Get("validate")
		own := reflect.PointerTo(f.Type).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
		if (own || rule != "") && name != "" && !strings.HasPrefix(rule, "oneof=") && rule != "zone" {
			fields[name] = f
		}
	}
	return fields
}

// jujuTypes are the types of option that a Go type can hold.
func jujuTypes(t reflect.Type) []string {
	if reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return []string{"string", "secret"}
	}
	switch t.Kind() {
	case reflect.Bool:
		return []string{"boolean"}
	case reflect.Int:
		return []string{"int"}
	case reflect.Float64:
		return []string{"float"}
	case reflect.String:
		return []string{"string", "secret"}
	default:
		panic(fmt.Sprintf("no option of Juju has the type %s", t))
	}
}

// paramType is the type of parameter that a Go type holds; none for one that reads several.
func paramType(t reflect.Type) string {
	if reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]()) {
		return ""
	}
	switch t.Kind() {
	case reflect.Bool:
		return "boolean"
	case reflect.Int:
		return "integer"
	case reflect.Float64:
		return "number"
	default:
		return "string"
	}
}

func orEmpty(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

// Defaults are the options' defaults as config-get prints them.
func (c Charm) Defaults() map[string]any {
	out := map[string]any{}
	for name, option := range c.Config.Options {
		if option.Default != nil {
			out[name] = option.Default
		}
	}
	return out
}
