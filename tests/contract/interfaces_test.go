package contract

import (
	"encoding"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"github.com/charmarr/charmarr-go/vpnk8slib"
)

// side is the reference reader and writer of one side of an interface.
type side struct {
	object reflect.Type
	decode func(databag map[string]string) (encoder, error)
}

type encoder interface {
	Encode() (map[string]string, error)
}

// sides are those of every interface of interfaces/, by its folder. An interface without one fails.
var sides = map[string]map[string]side{
	"vpn_gateway/v0": {
		"provider": {reflect.TypeFor[vpnk8slib.ProviderData](), func(b map[string]string) (encoder, error) {
			return vpnk8slib.DecodeProviderData("the example", b)
		}},
		"requirer": {reflect.TypeFor[vpnk8slib.RequirerData](), func(b map[string]string) (encoder, error) {
			return vpnk8slib.DecodeRequirerData("the example", b)
		}},
	},
}

// example is one document of interfaces/*/v*/examples.
type example struct {
	Summary, Side string
	Config        any    // the object on the wire
	Raw           string // in its place: text that is none
	Why           string // of a bad one: words of the error
	BeyondSchema  string `yaml:"beyond_schema"` // of a bad one: why a schema cannot refuse it
	field         string // of a bad one: which is bad, by its file's name; "object" where it is all of it
}

func (e example) wire(t *testing.T) string {
	t.Helper()
	if e.Raw != "" {
		return e.Raw
	}
	require.NotNil(t, e.Config, "an example has config or raw")
	b, err := json.Marshal(e.Config)
	require.NoError(t, err)
	return string(b)
}

// eachInterface calls f with every folder interfaces/NAME/vN.
func eachInterface(t *testing.T, f func(t *testing.T, dir string, sides map[string]side)) {
	t.Helper()
	for _, dir := range under(t, "interfaces/*/v*") {
		name := filepath.Base(filepath.Dir(dir)) + "/" + filepath.Base(dir)
		if _, others := foreign[name]; others {
			continue
		}
		t.Run(name, func(t *testing.T) {
			require.Contains(t, sides, name, "the interface has no reference in Go")
			f(t, dir, sides[name])
		})
	}
}

func eachExample(t *testing.T, kind string, f func(t *testing.T, e example, s side, schema *jsonschema.Schema)) {
	t.Helper()
	eachInterface(t, func(t *testing.T, dir string, sides map[string]side) {
		schemas := map[string]*jsonschema.Schema{}
		for name := range sides {
			schemas[name] = compile(t, dir, name)
		}
		seen := map[string]bool{}
		for _, path := range under(t, filepath.Join(strings.TrimPrefix(dir, root), "examples", kind+"-*.yaml")) {
			for _, e := range documents[example](t, path, true) {
				t.Run(strings.TrimSuffix(filepath.Base(path), ".yaml")+"/"+e.Summary, func(t *testing.T) {
					require.Contains(t, sides, e.Side)
					require.True(t, strings.HasPrefix(filepath.Base(path), kind+"-"+e.Side), "the file is named for its side")
					seen[e.Side] = true
					e.field = strings.ReplaceAll(strings.TrimPrefix(strings.TrimSuffix(filepath.Base(path), ".yaml"), kind+"-"+e.Side+"-"), "-", "_")
					f(t, e, sides[e.Side], schemas[e.Side])
				})
			}
		}
		for name := range sides {
			assert.True(t, seen[name], "%s has no %s example", name, kind)
		}
	})
}

func compile(t *testing.T, dir, side string) *jsonschema.Schema {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "schema.yaml"))
	require.NoError(t, err)
	var doc any
	require.NoError(t, yaml.Unmarshal(data, &doc))
	b, err := json.Marshal(doc)
	require.NoError(t, err)
	plain, err := jsonschema.UnmarshalJSON(strings.NewReader(string(b)))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	require.NoError(t, c.AddResource("schema.yaml", plain))
	schema, err := c.Compile("schema.yaml#/$defs/" + side)
	require.NoError(t, err)
	return schema
}

// accepts says whether the schema takes the text that stands in the databag.
func accepts(schema *jsonschema.Schema, wire string) error {
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(wire))
	if err != nil {
		return err
	}
	return schema.Validate(v)
}

// Somebody who writes what the interface's documents show is understood, and nothing that they said is lost or changed on
// the way through our types.
func TestGoodExamplesAreUnderstood(t *testing.T) {
	eachExample(t, "ok", func(t *testing.T, e example, s side, schema *jsonschema.Schema) {
		wire := e.wire(t)
		require.NoError(t, accepts(schema, wire))
		data, err := s.decode(map[string]string{"config": wire})
		require.NoError(t, err)
		again, err := data.Encode()
		require.NoError(t, err)
		assert.NoError(t, accepts(schema, again["config"]), "what we write goes by our own schema")

		var said, kept map[string]any
		require.NoError(t, json.Unmarshal([]byte(wire), &said))
		require.NoError(t, json.Unmarshal([]byte(again["config"]), &kept))
		known := 0
		for name := range fields(s.object) {
			if said[name] != nil {
				known++
				assert.Equal(t, said[name], kept[name], name)
			}
		}
		assert.NotZero(t, known)
		second, err := s.decode(again)
		require.NoError(t, err)
		assert.Equal(t, data, second, "read, written and read again")
	})
}

// Somebody who writes anything else is refused, in words that name the field.
func TestBadExamplesAreRefused(t *testing.T) {
	eachExample(t, "bad", func(t *testing.T, e example, s side, schema *jsonschema.Schema) {
		wire := e.wire(t)
		require.NotEmpty(t, e.Why, "a bad example says which words it is refused with")
		_, err := s.decode(map[string]string{"config": wire})
		var invalid *vpnk8slib.InvalidError
		require.ErrorAs(t, err, &invalid)
		assert.ErrorContains(t, err, e.Why)
		if e.field != "object" {
			assert.ErrorContains(t, err, e.field)
		}
		if e.BeyondSchema == "" {
			assert.Error(t, accepts(schema, wire), "the schema refuses it too")
		} else {
			assert.NoError(t, accepts(schema, wire), "the schema refuses it: beyond_schema says that it cannot")
		}
	})
}

// Every text that a side may write is tried with everything that a shell would act on. A bad example's file has the name of
// the field that is bad in it.
func TestEveryTextIsTriedWithShellWords(t *testing.T) {
	eachInterface(t, func(t *testing.T, dir string, sides map[string]side) {
		for name, s := range sides {
			for field, kind := range fields(s.object) {
				if kind != "string" && kind != "array" {
					continue
				}
				var tried string
				path := filepath.Join(dir, "examples", "bad-"+name+"-"+strings.ReplaceAll(field, "_", "-")+".yaml")
				for _, e := range documents[example](t, path, true) {
					object, _ := e.Config.(map[string]any)
					tried += fmt.Sprintln(object[field])
				}
				for _, word := range []string{"$(", "`", "'", `"`, "\nreboot"} {
					assert.Contains(t, tried, word, "no bad example puts %q into %s of the %s", word, field, name)
				}
			}
		}
	})
}

// The schema, the Go type and the table of the README name the same fields with the same types.
func TestSchemasAreTheGoTypes(t *testing.T) {
	eachInterface(t, func(t *testing.T, dir string, sides map[string]side) {
		readme, err := os.ReadFile(filepath.Join(dir, "README.md"))
		require.NoError(t, err)
		for name, s := range sides {
			schema := compile(t, dir, name)
			types := map[string]string{}
			for field, sub := range schema.Properties {
				types[field] = typeOf(t, sub)
				assert.Contains(t, string(readme), "| `"+field+"` |", "the README has no row for %s of the %s", field, name)
			}
			assert.Equal(t, fields(s.object), types, "fields of the Go type (expected) and of the schema, of the %s", name)

			var required []string
			_, err := s.decode(map[string]string{"config": "{}"})
			for field := range types {
				if err != nil && strings.Contains(err.Error(), field+" is required") {
					required = append(required, field)
				}
			}
			if name == "provider" {
				required = append(required, "routing_method") // read leniently as pod-gateway, always written
			}
			assert.ElementsMatch(t, required, schema.Required, "required fields of the Go type (left) and of the schema, of the %s", name)
		}
	})
}

// fields lists a struct's fields by their names and types on the wire.
func fields(object reflect.Type) map[string]string {
	out := map[string]string{}
	for f := range object.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		out[name] = jsonType(f.Type)
	}
	return out
}

func jsonType(t reflect.Type) string {
	if reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return "string"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "boolean"
	case reflect.Int:
		return "integer"
	case reflect.Slice:
		return "array"
	case reflect.Pointer, reflect.Struct:
		return "object"
	default:
		return t.Kind().String()
	}
}

// typeOf is the one type that is not null.
func typeOf(t *testing.T, s *jsonschema.Schema) string {
	t.Helper()
	if s.Ref != nil {
		return typeOf(t, s.Ref)
	}
	if s.Types != nil {
		return s.Types.ToStrings()[0]
	}
	require.NotEmpty(t, s.AnyOf)
	return typeOf(t, s.AnyOf[0])
}

// interfaceYAML is what a catalogue of interfaces reads.
type interfaceYAML struct {
	Name, Status, Summary string
	Version               int
	Provider, Requirer    struct {
		Writes struct{ Databag, Key, Format, Schema string }
		Charms []struct{ Name, URL string }
	}
	Maintainers []string
}

// The charms that are said to speak an interface have an endpoint of it, on the side that is said; and no charm speaks one
// of ours in secret.
func TestInterfacesNameTheirCharms(t *testing.T) {
	charms := allCharms(t)
	eachInterface(t, func(t *testing.T, dir string, _ map[string]side) {
		file := documents[interfaceYAML](t, filepath.Join(dir, "interface.yaml"), true)[0]
		assert.Equal(t, filepath.Base(filepath.Dir(dir)), strings.ReplaceAll(file.Name, "-", "_"))
		assert.Equal(t, filepath.Base(dir), fmt.Sprintf("v%d", file.Version))
		assert.NotEmpty(t, file.Maintainers)
		var providers, requirers []string
		for _, c := range file.Provider.Charms {
			providers = append(providers, c.Name)
		}
		for _, c := range file.Requirer.Charms {
			requirers = append(requirers, c.Name)
		}
		var provide, require []string
		for name, c := range charms {
			if speaks(c.Provides, file.Name) {
				provide = append(provide, name)
			}
			if speaks(c.Requires, file.Name) {
				require = append(require, name)
			}
		}
		assert.ElementsMatch(t, provide, providers, "charms that provide it (left), and those that interface.yaml names")
		assert.ElementsMatch(t, require, requirers, "charms that require it (left), and those that interface.yaml names")
		for side, schema := range map[string]string{"provider": file.Provider.Writes.Schema, "requirer": file.Requirer.Writes.Schema} {
			assert.Equal(t, "schema.yaml#/$defs/"+side, schema)
		}
	})
}
