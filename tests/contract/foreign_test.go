package contract

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/charms/hook/hooktest"
	"github.com/charmarr/charmarr-go/charms/relations"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// foreign are interfaces of other projects that charms here speak, by their folder: the databags that are written here, by who has
// them, or the reader of what others write.
var foreign = map[string]struct {
	writes func(t *testing.T) map[string]map[string]string
	reads  map[string]func(databag map[string]string) error
}{
	"prometheus_scrape/v0": {writes: func(t *testing.T) map[string]map[string]string {
		rules, err := os.ReadFile(filepath.Join(root, "gluetun-k8s", "alerts.yaml"))
		require.NoError(t, err)
		s := relations.Scrape{Topology: gluetun, Port: overlay.MetricsPort, Rules: string(rules)}
		app, err := s.Application()
		require.NoError(t, err)
		return map[string]map[string]string{"provider-application": app, "provider-unit": s.Unit("10.42.0.7", "gluetun-0.gluetun-endpoints.downloads.svc.cluster.local")}
	}, reads: map[string]func(map[string]string) error{"requirer-application": refusal}},
	"grafana_dashboard/v0": {writes: func(t *testing.T) map[string]map[string]string {
		text, err := os.ReadFile(filepath.Join(root, "gluetun-k8s", "dashboard.json"))
		require.NoError(t, err)
		app, err := relations.Dashboard{Topology: gluetun, Name: "gluetun", JSON: text}.Application()
		require.NoError(t, err)
		return map[string]map[string]string{"provider-application": app}
	}, reads: map[string]func(map[string]string) error{"requirer-application": refusal}},
	"loki_push_api/v1": {writes: func(t *testing.T) map[string]map[string]string {
		app, err := relations.Logs(gluetun)
		require.NoError(t, err)
		return map[string]map[string]string{"requirer-application": app}
	}, reads: map[string]func(map[string]string) error{"provider-application": refusal, "provider-unit": func(databag map[string]string) error {
		_, err := relations.LokiURL(databag)
		return err
	}}},
	"tracing/v2": {
		writes: func(*testing.T) map[string]map[string]string {
			return map[string]map[string]string{"requirer-application": relations.TracesWanted()}
		},
		reads: map[string]func(map[string]string) error{"provider-application": func(databag map[string]string) error {
			_, err := relations.TracesURL(databag)
			return err
		}},
	},
}

// refusal reads what they all say alike of what is written here.
func refusal(databag map[string]string) error {
	_, err := relations.Refusal(databag)
	return err
}

var gluetun = relations.Topology{Model: "downloads", ModelUUID: "f81d4fae-7dec-11d0-a765-00a0c91e6bf6", App: "gluetun", Unit: "gluetun/0", Charm: "gluetun-k8s"}

// bag is an example of one databag.
type bag struct {
	Summary, Side string
	Databag       map[string]any
	Why           string // of a bad one: words of the schema's error
}

// onTheWire is the databag as Juju has it.
func (b bag) onTheWire(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for key, v := range b.Databag {
		if text, ok := v.(string); ok {
			out[key] = text
			continue
		}
		text, err := json.Marshal(v)
		require.NoError(t, err)
		out[key] = string(text)
	}
	return out
}

// takes says whether a schema takes a databag. What it does not call a text is JSON there.
func takes(schema *jsonschema.Schema, databag map[string]string) error {
	object := map[string]any{}
	for key, text := range databag {
		object[key] = text
		property := schema.Properties[key]
		if property == nil || slices.Contains(property.Types.ToStrings(), "string") {
			continue
		}
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
		if err != nil {
			return fmt.Errorf("%s is no JSON: %w", key, err)
		}
		object[key] = v
	}
	return schema.Validate(object)
}

// What others' libraries write is taken for good, and what they would not understand is not: by the schema and by what reads it here.
func TestForeignExamples(t *testing.T) {
	for folder, f := range foreign {
		dir := filepath.Join(root, "interfaces", folder)
		for kind, good := range map[string]bool{"ok": true, "bad": false} {
			for _, path := range under(t, filepath.Join("interfaces", folder, "examples", kind+"-*.yaml")) {
				for _, b := range documents[bag](t, path, true) {
					t.Run(folder+"/"+kind+"/"+b.Summary, func(t *testing.T) {
						assert.Equal(t, kind+"-"+b.Side+".yaml", filepath.Base(path))
						wire := b.onTheWire(t)
						err := takes(compile(t, dir, b.Side), wire)
						if good {
							assert.NoError(t, err)
						} else {
							require.NotEmpty(t, b.Why)
							assert.ErrorContains(t, err, b.Why)
						}
						if read := f.reads[b.Side]; read != nil {
							assert.Equal(t, good, read(wire) == nil, "what reads it here")
						}
					})
				}
			}
		}
	}
}

// What is written here is what others read.
func TestForeignDatabags(t *testing.T) {
	for folder, f := range foreign {
		if f.writes == nil {
			continue
		}
		for side, databag := range f.writes(t) {
			t.Run(folder+"/"+side, func(t *testing.T) {
				schema := compile(t, filepath.Join(root, "interfaces", folder), side)
				assert.NoError(t, takes(schema, databag))
				for key := range databag {
					assert.Contains(t, schema.Properties, key, "nobody reads it")
				}
			})
		}
	}
}

// No charm speaks an interface of which nothing is known here, and each that is described is spoken.
func TestForeignInterfacesAreSpoken(t *testing.T) {
	spoken := map[string]bool{}
	for _, c := range allCharms(t) {
		for _, side := range []map[string]hooktest.Endpoint{c.Provides, c.Requires} {
			for _, e := range side {
				spoken[e.Interface] = true
			}
		}
	}
	described := map[string]bool{}
	for folder := range foreign {
		described[strings.Split(folder, "/")[0]] = true
	}
	for folder := range sides {
		described[strings.ReplaceAll(strings.Split(folder, "/")[0], "_", "-")] = true
	}
	assert.Equal(t, described, spoken)
}
