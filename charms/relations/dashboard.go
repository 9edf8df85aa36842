package relations

import (
	"bytes"
	"crypto/sha3"
	"encoding/base64"
	"encoding/hex"
	"fmt"

	"github.com/ulikunitz/xz"
)

// Dashboard is the interface grafana_dashboard, from the side that has one (grafana_dashboard v0).
type Dashboard struct {
	Topology Topology
	Name     string // of its file
	JSON     []byte // the dashboard
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
	packed, err := packed(d.JSON)
	if err != nil {
		return nil, fmt.Errorf("cannot pack the dashboard %s: %w", d.Name, err)
	}
	key := "file:" + d.Name
	t := d.Topology
	all, err := text(dashboards{
		Templates: map[string]template{key: {
			Charm: t.Charm, Content: base64.StdEncoding.EncodeToString(packed), Topology: topology{t.Model, t.ModelUUID, t.App, t.App + "/0"}, Dropdowns: true,
			UID: hex.EncodeToString(sha3.SumSHAKE256(fmt.Appendf(nil, "%s-%s", t.Charm, key), 8)),
		}},
		UUID: hex.EncodeToString(sha3.SumSHAKE256(d.JSON, 16)),
	})
	return map[string]string{"dashboards": all}, err
}

// packed is xz, as the interface wants it. A small dictionary is as good for so little, and takes a millisecond.
func packed(text []byte) ([]byte, error) {
	var out bytes.Buffer
	w, err := xz.WriterConfig{DictCap: 32 << 10, BlockSize: 1 << 20}.NewWriter(&out)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(text); err != nil {
		return nil, err
	}
	err = w.Close()
	return out.Bytes(), err
}
