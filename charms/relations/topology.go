// Package relations has the interfaces of other projects that charms here speak, one file each: what is written into a relation's
// databags, and what is read from them. It knows neither hook tools nor Pebble.
package relations

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Topology is who tells something, in the words in which Juju's observability charms know it.
type Topology struct {
	Model     string `json:"model"`
	ModelUUID string `json:"model_uuid"`
	App       string `json:"application"`
	Unit      string `json:"unit"`
	Charm     string `json:"charm_name"`
}

// Labels are those of everything that this application tells. A unit's own are the unit's to add.
func (t Topology) Labels() map[string]string {
	return map[string]string{"juju_model": t.Model, "juju_model_uuid": t.ModelUUID, "juju_application": t.App, "juju_charm": t.Charm}
}

// matchers choose this application's in an expression of Prometheus. No name of Juju's has a quote in it.
func (t Topology) matchers() string {
	return fmt.Sprintf(`juju_model="%s",juju_model_uuid="%s",juju_application="%s",juju_charm="%s"`, t.Model, t.ModelUUID, t.App, t.Charm)
}

// text is a value as a databag has it.
func text(v any) (string, error) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // expressions are full of > and <
	if err := e.Encode(v); err != nil {
		return "", err
	}
	return strings.TrimSpace(b.String()), nil
}
