//go:build integration

package integration

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/charms/relations"
	"github.com/charmarr/charmarr-go/tests/internal/kubetest"
)

// promtool tells stories of numbers to the gateway's alert rules, as Prometheus would get them from the relation, and says which
// of those in the file do not end as they should.
func promtool(t *testing.T, change func(rules string) string) (said string, err error) {
	t.Helper()
	root, err := kubetest.Root()
	require.NoError(t, err)
	text, err := os.ReadFile(filepath.Join(root, "gluetun-k8s", "alerts.yaml"))
	require.NoError(t, err)
	rules, err := relations.Scrape{
		Topology: relations.Topology{Model: "vpn", ModelUUID: "f81d4fae-7dec-11d0-a765-00a0c91e6bf6", App: "gluetun", Unit: "gluetun/0", Charm: "gluetun-k8s"},
		Rules:    change(string(text)),
	}.AlertRules()
	require.NoError(t, err)
	written, err := json.Marshal(rules) // JSON is YAML
	require.NoError(t, err)
	stories, err := os.ReadFile("testdata/alerts.yaml")
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "rules.yaml"), written, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "stories.yaml"), stories, 0o600))
	cmd := exec.Command(filepath.Join(root, "build", "programs", "promtool"), "test", "rules", "stories.yaml")
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func unchanged(rules string) string { return rules }

func TestAlerts(t *testing.T) {
	said, err := promtool(t, unchanged)
	require.NoError(t, err, said)
}

// The stories see what goes wrong with a rule. The first change is what another charm's rule for a tunnel that is down looks like: what it
// counts vanishes with the tunnel, and it never comes.
func TestAlertStoriesSeeWhatIsWrong(t *testing.T) {
	changes := map[string]func(string) string{
		"what is counted vanishes": func(rules string) string {
			const right = `max by (juju_model, juju_model_uuid, juju_application, juju_charm) (charmarr_vpn_gateway_tunnel_up{%%juju_topology%%}) == 0`
			require.Contains(t, rules, right)
			return strings.Replace(rules, right, `count by (juju_model, juju_application) (charmarr_vpn_gateway_exit_info{%%juju_topology%%}) == 0`, 1)
		},
		"every gateway is meant": func(rules string) string {
			return strings.ReplaceAll(rules, relations.Matchers, `juju_charm="gluetun-k8s"`)
		},
	}
	for summary, change := range changes {
		t.Run(summary, func(t *testing.T) {
			said, err := promtool(t, change)
			require.Error(t, err)
			assert.Contains(t, said, "FAILED")
		})
	}
}

// Every alert is told a story in which it comes, and a moment at which it does not: the stories miss it where its rule is not there, and are
// startled where it comes whatever the numbers are.
func TestEveryAlertIsToldOf(t *testing.T) {
	all, err := os.ReadFile(filepath.Join("..", "..", "gluetun-k8s", "alerts.yaml"))
	require.NoError(t, err)
	named := regexp.MustCompile(`alert: (\w+)`)
	alerts := named.FindAllStringSubmatch(string(all), -1)
	require.Greater(t, len(alerts), 12)
	compared := regexp.MustCompile(`(?m)^( +expr: .*) (==|>) [0-9* ]+$`)
	changes := map[string]func(string) string{
		"none is there": func(rules string) string { return named.ReplaceAllString(rules, "alert: Other$1") },
		"all come": func(rules string) string {
			const absent = "absent("
			require.Equal(t, len(alerts), len(compared.FindAllString(rules, -1))+strings.Count(rules, absent))
			return strings.ReplaceAll(compared.ReplaceAllString(rules, "$1 > -1e9"), absent, "(0 * ")
		},
	}
	for summary, change := range changes {
		t.Run(summary, func(t *testing.T) {
			said, err := promtool(t, change)
			require.Error(t, err)
			for _, a := range alerts {
				assert.Contains(t, said, "alertname: "+a[1]+",")
			}
		})
	}
}
