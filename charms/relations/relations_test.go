package relations

import (
	"encoding/json"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var gluetun = Topology{Model: "downloads", ModelUUID: "f81d4fae-7dec-11d0-a765-00a0c91e6bf6", App: "gluetun", Unit: "gluetun/0", Charm: "gluetun-k8s"}

// The rules of one application say nothing of another one's series, and are not taken for another one's.
func TestAlertRules(t *testing.T) {
	s := Scrape{Topology: gluetun, Port: 4794, Rules: `
groups:
  - name: tunnel
    rules:
      - alert: Down
        expr: up{%%juju_topology%%} == 0
        for: 2m
        labels: {severity: critical}
        annotations: {summary: it is down}
`}
	app, err := s.Application()
	require.NoError(t, err)
	assert.Contains(t, app["alert_rules"], "} == 0", "as people write it")
	assert.JSONEq(t, `{"groups": [{"name": "downloads_f81d4fae_gluetun_tunnel_alerts", "rules": [{
		"alert": "Down", "for": "2m", "annotations": {"summary": "it is down"},
		"expr": "up{juju_model=\"downloads\",juju_model_uuid=\"f81d4fae-7dec-11d0-a765-00a0c91e6bf6\",juju_application=\"gluetun\",juju_charm=\"gluetun-k8s\"} == 0",
		"labels": {"severity": "critical", "juju_model": "downloads", "juju_model_uuid": "f81d4fae-7dec-11d0-a765-00a0c91e6bf6", "juju_application": "gluetun", "juju_charm": "gluetun-k8s"}
	}]}]}`, app["alert_rules"])
	assert.JSONEq(t, `{"model": "downloads", "model_uuid": "f81d4fae-7dec-11d0-a765-00a0c91e6bf6", "application": "gluetun", "unit": "gluetun/0", "charm_name": "gluetun-k8s"}`, app["scrape_metadata"])
	assert.Equal(t, map[string]string{"scrape_jobs": "", "scrape_metadata": "", "alert_rules": ""}, Withdrawn(app))
	s.Rules = "groups: 3"
	_, err = s.Application()
	assert.ErrorContains(t, err, "cannot read the alert rules")
}

// A dashboard is announced anew when it is another one, and when another unit leads it is not.
func TestDashboardIsAnnouncedOnce(t *testing.T) {
	d := Dashboard{Topology: gluetun, Name: "gluetun", JSON: []byte(`"one"`)}
	first, err := d.Application()
	require.NoError(t, err)
	d.Topology.Unit = "gluetun/3"
	same, err := d.Application()
	require.NoError(t, err)
	assert.Equal(t, first, same)
	d.JSON = []byte(`"another"`)
	other, err := d.Application()
	require.NoError(t, err)
	uuid := func(bag map[string]string) string {
		var v struct{ UUID string }
		require.NoError(t, json.Unmarshal([]byte(bag["dashboards"]), &v))
		return v.UUID
	}
	assert.NotEqual(t, uuid(first), uuid(other))
	assert.Contains(t, first["dashboards"], `"dashboard_alt_uid":"185336660110ab1d"`, "as grafana_dashboard v0 makes it: shake_256 of charm and key")
}

func TestLokiURL(t *testing.T) {
	url, err := LokiURL(map[string]string{"endpoint": `{"url": "http://10.43.7.7:3100/loki/api/v1/push"}`})
	require.NoError(t, err)
	assert.Equal(t, "http://10.43.7.7:3100/loki/api/v1/push", url)
	url, err = LokiURL(nil)
	require.NoError(t, err)
	assert.Empty(t, url, "a unit that has just come says nothing yet")
}

// Only what is in the cluster is reached beside the tunnel.
func TestInside(t *testing.T) {
	networks := []netip.Prefix{netip.MustParsePrefix("10.43.0.0/16"), netip.MustParsePrefix("fd43::/112")}
	for url, want := range map[string]bool{
		"http://10.43.7.7:3100/push":                                   true,
		"http://[fd43::7]/push":                                        true,
		"http://loki-0.loki-endpoints.cos.svc.cluster.local:3100/push": true,
		"http://LOKI.cos.svc.cluster.local./push":                      true,
		"http://10.99.0.1/push":                                        false,
		"http://loki.example.com/push":                                 false,
		"http://svc.cluster.local.example.com/push":                    false,
		"http://loki/push":                                             false,
		"http://loki.cos.svc.cluster.localhost/push":                   false,
		":": false,
	} {
		assert.Equal(t, want, Inside(url, networks, "cluster.local"), url)
	}
	assert.False(t, Inside("http://a.svc./push", networks, ""), "nobody knows the domain")
}
