package relations

import (
	"crypto/sha3"
	"encoding/base64"
	"encoding/hex"
	"fmt"
)

// Dashboard is the interface grafana_dashboard, from the side that has one (grafana_dashboard v0).
type Dashboard struct {
	Topology Topology
	Name     string // of its file
	XZ       []byte // the dashboard, compressed with xz: the interface wants it so, and a hook has better things to do
}

type dashboards struct {
	Templates map[string]template `json:"templates"`
	UUID      string              `json:"uuid"`
}

type template struct {
	Charm     string   `json:"charm"`
	Content   string   `json:"content"`
	Topology  topology `json:"juju_topology"`
	Dropdowns bool     `json:"inject_dropdowns"`
	UID       string   `json:"dashboard_alt_uid"`
}

// topology is Topology without the charm's name.
type topology struct {
	Model     string `json:"model"`
	ModelUUID string `json:"model_uuid"`
	App       string `json:"application"`
	Unit      string `json:"unit"`
}

// Application is the application's databag. It is another one when the dashboard is, and for no other reason: whoever leads names
// itself as the unit, and is the first here.
func (d Dashboard) Application() (map[string]string, error) {
	key := "file:" + d.Name
	t := d.Topology
	all, err := text(dashboards{
		Templates: map[string]template{key: {
			Charm: t.Charm, Content: base64.StdEncoding.EncodeToString(d.XZ), Topology: topology{t.Model, t.ModelUUID, t.App, t.App + "/0"}, Dropdowns: true,
			UID: hex.EncodeToString(sha3.SumSHAKE256(fmt.Appendf(nil, "%s-%s", t.Charm, key), 8)),
		}},
		UUID: hex.EncodeToString(sha3.SumSHAKE256(d.XZ, 16)),
	})
	return map[string]string{"dashboards": all}, err
}
