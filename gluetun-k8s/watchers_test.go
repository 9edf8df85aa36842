package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/ulikunitz/xz"

	"github.com/charmarr/charmarr-go/charms/hook"
	"github.com/charmarr/charmarr-go/vpnk8slib"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// watchedOver is a gateway that is ready, and that somebody watches.
func watchedOver(t *testing.T) Observed {
	o := ready(t)
	o.ModelUUID = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"
	o.Config.RoutingMethod, o.Pod.Address = vpnk8slib.Overlay, netip.MustParseAddr("10.42.0.7")
	o.Consumers = nil
	o.Watchers = Watchers{
		Metrics: []string{"metrics-endpoint:4", "metrics-endpoint:9"}, Dashboards: []string{"grafana-dashboard:5"},
		Logs: []string{"logging:6"},
		Loki: map[string]map[string]string{"logging-6-loki-0": {"endpoint": `{"url": "http://loki-0.loki-endpoints.cos.svc.cluster.local:3100/loki/api/v1/push"}`}},
	}
	return o
}

// Whoever watches is told where to ask, and what to look at.
func TestWatchersAreTold(t *testing.T) {
	o := watchedOver(t)
	d := Reconcile(o)
	for _, id := range o.Watchers.Metrics {
		assert.JSONEq(t, `[{"metrics_path": "/metrics", "static_configs": [{"targets": ["*:4794"]}]}]`, d.Publish[id]["scrape_jobs"])
		assert.Contains(t, d.Publish[id]["alert_rules"], "VPNTunnelDown")
		assert.Equal(t, "10.42.0.7", d.Units[id]["prometheus_scrape_unit_address"])
		assert.Equal(t, "gluetun/0", d.Units[id]["prometheus_scrape_unit_name"])
	}
	assert.NotEmpty(t, d.Publish["grafana-dashboard:5"]["dashboards"])
	assert.Equal(t, "{}", d.Publish["logging:6"]["alert_rules"])
	assert.Contains(t, d.Publish["logging:6"]["metadata"], `"application":"gluetun"`)
	assert.Equal(t, d, Reconcile(o), "the same in every hook: what changes wakes whoever reads it")

	o.Leader, o.View, o.Name = false, vpnk8slib.GatewayView{}, "gluetun/1"
	d = Reconcile(o)
	assert.Equal(t, "gluetun/1", d.Units["metrics-endpoint:4"]["prometheus_scrape_unit_name"], "a unit that stands by says where it is too")

	o = watchedOver(t)
	o.Tunnel, o.Container.Checks[tunnelCheck] = Tunnel{}, false
	assert.Equal(t, Reconcile(watchedOver(t)).Publish["metrics-endpoint:4"], Reconcile(o).Publish["metrics-endpoint:4"], "whatever the tunnel does")

	told := Reconcile(watchedOver(t)).Protect[0].Apply.Data["agent.json"]
	assert.Contains(t, told, `"exit":"192.0.2.2"`, "the agent tells of it")
	assert.NotContains(t, Reconcile(o).Protect[0].Apply.Data["agent.json"], "exit")
}

// What whoever watches cannot use of what they were told is said in the status: an alert that there is not, nobody else would miss.
func TestRefusalsAreSaid(t *testing.T) {
	const connected = "connected, seen as 192.0.2.2"
	heard := func(r ...vpnk8slib.Relation) Observed {
		o := watchedOver(t)
		o.Watchers.Heard = r
		o.Pod.Agent = &overlay.Report{Guard: overlay.GuardState{Standing: true, Raw: true}, Gateway: &overlay.GatewayState{}}
		return o
	}
	for event, says := range map[string]string{
		"":                          "",
		`{"errors": ""}`:            "",
		`{"errors": "parse error"}`: "; prometheus does not take the alert rules or where to ask for metrics: parse error",
		"parse error":               "; cannot read what prometheus says of the alert rules or where to ask for metrics: event must be an object with errors: invalid character 'p' looking for beginning of value",
		`{"errors": "GET http://me:yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=@there"}`: "; prometheus does not take the alert rules or where to ask for metrics: GET http://me:(not shown)@there",
		`{"scrape_job_errors": "x"}`: "; prometheus does not take the alert rules or where to ask for metrics: x",
	} {
		d := Reconcile(heard(vpnk8slib.Relation{ID: "metrics-endpoint:4", App: "prometheus", Remote: map[string]string{"event": event}}, vpnk8slib.Relation{ID: "logging:6", App: "loki"}))
		assert.Equal(t, hook.Active(connected+says), d.Status, event)
		assert.NotEmpty(t, d.Publish["metrics-endpoint:4"]["alert_rules"], "they are told all the same")
	}
	o := heard(vpnk8slib.Relation{ID: "grafana-dashboard:5", App: "grafana", Remote: map[string]string{"event": `{"errors": [{"dashboard_id": "file:gluetun", "error": "Incorrect padding"}]}`}})
	assert.Equal(t, hook.Active(connected+"; grafana does not take the dashboard: file:gluetun: Incorrect padding"), Reconcile(o).Status)
}

// They are read by the leader, who told them; and asked of Juju where somebody watches.
func TestRefusalsAreRead(t *testing.T) {
	_, _ = inPod(t, "nameserver 10.43.0.10\n", nil)
	tools := t.TempDir()
	for name, body := range map[string]string{
		"relation-ids":  `case $1 in grafana-dashboard) echo '["grafana-dashboard:5"]' ;; *) echo '[]' ;; esac`,
		"relation-list": `echo '"grafana"'`, "relation-get": `echo '{"event":"{\"errors\":[]}"}'`,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(tools, name), fmt.Appendf(nil, "#!/bin/sh\n%s\n", body), 0o700))
	}
	t.Setenv("PATH", tools+":"+os.Getenv("PATH"))
	w, err := seeWatchers(true)
	require.NoError(t, err)
	assert.Equal(t, []vpnk8slib.Relation{{ID: "grafana-dashboard:5", App: "grafana", Remote: map[string]string{"event": `{"errors":[]}`}}}, w.Heard)
	w, err = seeWatchers(false)
	require.NoError(t, err)
	assert.Equal(t, []string{"grafana-dashboard:5"}, w.Dashboards)
	assert.Empty(t, w.Heard)
}

// With the other routing method there is no agent that could be asked. The operator is told, and whoever asked before is not left to
// ask nobody.
func TestMetricsNeedTheAgent(t *testing.T) {
	o := watchedOver(t)
	o.Config.RoutingMethod = "pod-gateway"
	o.Watchers.Loki = nil
	d := Reconcile(o)
	assert.Equal(t, map[string]string{"scrape_jobs": "", "scrape_metadata": "", "alert_rules": ""}, d.Publish["metrics-endpoint:4"])
	assert.Equal(t, "", d.Units["metrics-endpoint:4"]["prometheus_scrape_unit_address"])
	assert.NotEmpty(t, d.Publish["grafana-dashboard:5"])
	assert.Equal(t, hook.Active("connected, seen as 192.0.2.2; there are metrics with routing-method=overlay only: juju config gluetun routing-method=overlay"), d.Status)

	o.ConfigErr = &hook.OptionError{Name: "routing-method"}
	assert.NotContains(t, Reconcile(o).Publish, "metrics-endpoint:4", "an option that is refused takes nothing back")
	o.Watchers = Watchers{}
	o.ConfigErr = nil
	assert.Equal(t, hook.Active("connected, seen as 192.0.2.2"), Reconcile(o).Status, "nobody watches")
}

// What gluetun says goes to a Loki of the cluster. One that is elsewhere would be reached through the tunnel.
func TestLogTargets(t *testing.T) {
	targets := func(endpoint string) (map[string]hook.LogTarget, string) {
		t.Helper()
		o := watchedOver(t)
		o.Config.RoutingMethod = "pod-gateway"
		o.Watchers = Watchers{Loki: map[string]map[string]string{"logging-6-loki-0": {"endpoint": endpoint}}}
		d := Reconcile(o)
		return d.Workloads[0].Layer.LogTargets, strings.TrimPrefix(d.Status.Message, "connected, seen as 192.0.2.2")
	}
	for _, url := range []string{"http://10.43.7.7:3100/loki/api/v1/push", "http://[fd43::7]:3100/push", "https://loki-0.loki-endpoints.cos.svc.cluster.local/loki/api/v1/push"} {
		got, said := targets(`{"url": "` + url + `"}`)
		assert.Empty(t, said)
		assert.Equal(t, map[string]hook.LogTarget{"logging-6-loki-0": {
			Override: "replace", Type: "loki", Location: url, Services: []string{"all"},
			Labels: map[string]string{
				"product": "Juju", "charm": "gluetun-k8s", "juju_model": "downloads", "juju_model_uuid": "f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
				"juju_application": "gluetun", "juju_unit": "gluetun/0",
			},
		}}, got)
	}
	for _, url := range []string{"http://203.0.113.9:3100/loki/api/v1/push", "https://logs.example.com/push", "http://cluster.local.example.com/", "http://user@10.43.7.7/"} {
		got, said := targets(`{"url": "` + url + `"}`)
		assert.Empty(t, got, url)
		assert.Regexp(t, `^; no logs are sent to logging-6-loki-0: (it is not in this cluster|endpoint must have a url)`, said, url)
	}
	got, said := targets("")
	assert.Empty(t, got)
	assert.Empty(t, said, "it will say")
}

// What is handed out is the file that people edit.
func TestDashboard(t *testing.T) {
	want, err := os.ReadFile("dashboard.json")
	require.NoError(t, err)
	var said struct {
		Templates map[string]struct{ Content string }
	}
	require.NoError(t, json.Unmarshal([]byte(Reconcile(watchedOver(t)).Publish["grafana-dashboard:5"]["dashboards"]), &said))
	packed, err := base64.StdEncoding.DecodeString(said.Templates["file:gluetun"].Content)
	require.NoError(t, err)
	r, err := xz.NewReader(bytes.NewReader(packed))
	require.NoError(t, err)
	got, err := io.ReadAll(r)
	require.NoError(t, err)
	assert.Equal(t, string(want), string(got))

	var d struct {
		Panels []struct {
			Type, Title, Description string
			Targets                  []struct{ Expr string }
		}
	}
	require.NoError(t, json.Unmarshal(want, &d))
	shown := map[string]string{} // the kind of panel that looks at a number
	for _, p := range d.Panels {
		assert.NotEmpty(t, p.Description, p.Title)
		require.NotEmpty(t, p.Targets, p.Title)
		for _, q := range p.Targets {
			assert.Contains(t, q.Expr, `juju_unit=~"$juju_unit"`, "%s follows what is chosen above", p.Title)
			for _, name := range regexp.MustCompile(`charmarr_vpn_\w+`).FindAllString(q.Expr, -1) {
				shown[strings.TrimPrefix(name, "charmarr_vpn_")] = p.Type
			}
		}
	}
	for name, kind := range map[string]string{
		"gateway_tunnel_up": "state-timeline", "gateway_exit_info": "stat", "gateway_client_routed": "state-timeline", "gateway_forwarded_port": "stat",
		"guard_dropped_packets_total": "timeseries", "gateway_dropped_packets_total": "timeseries", "killswitch_dropped_packets_total": "timeseries",
	} {
		assert.Equal(t, kind, shown[name], "a dashboard of tunnel, exit address, clients, ports and drops has %s", name)
	}
}

// No rule and no panel looks at a number that nobody tells, nor does the README name one.
func TestWhatIsLookedAtIsTold(t *testing.T) {
	source, err := os.ReadFile("../vpnk8slib/agent/metrics/metrics.go")
	require.NoError(t, err)
	told := map[string]bool{}
	for _, m := range regexp.MustCompile(`desc\("(\w+)"`).FindAllSubmatch(source, -1) {
		told["charmarr_vpn_"+string(m[1])] = true
	}
	require.Contains(t, told, "charmarr_vpn_gateway_tunnel_up")
	panels, err := os.ReadFile("dashboard.json")
	require.NoError(t, err)
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	for what, text := range map[string]string{"an alert": alertRules, "a panel": string(panels), "the README": string(readme)} {
		all := regexp.MustCompile(`charmarr_vpn_\w+`).FindAllString(text, -1)
		assert.Greater(t, len(all), 8)
		for _, name := range all {
			assert.Contains(t, told, name, "%s looks at it", what)
		}
	}
}

// Each number by which others watch a VPN gateway is told, under a name of ours that the README gives beside theirs, with their labels.
func TestWhatOthersWatchIsTold(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	source, err := os.ReadFile("../vpnk8slib/agent/metrics/metrics.go")
	require.NoError(t, err)
	for theirs, labels := range map[string][]string{
		"vpn_up": nil, "vpn_handshake_age_seconds": nil, "vpn_rx_bytes_total": nil, "vpn_tx_bytes_total": nil, "mtu_bytes": nil,
		"vpn_reconnects_total": {"reason"}, "vpn_server_info": {"server", "country"}, "forwarded_port": nil, "forwarded_port_lease_seconds": nil,
		"client_routed": {"app", "unit"}, "client_protected": {"app", "unit"}, "policy_enforced": {"app", "unit"},
		"killswitch_dropped_packets_total": {"family", "proto"}, "dns_queries_total": {"path"},
	} {
		t.Run(theirs, func(t *testing.T) {
			row := regexp.MustCompile("(?m)^\\| ([^|]*`" + theirs + "`[^|]*) \\| ([^|]*) \\|").FindSubmatch(readme)
			require.NotNil(t, row, "it has a row")
			their, ours := strings.Split(string(row[1]), ", "), strings.Split(string(row[2]), ", ")
			require.Len(t, ours, len(their), "each beside its own")
			name := strings.Trim(ours[slices.Index(their, "`"+theirs+"`")], "`")
			desc := regexp.MustCompile(`desc\("` + strings.TrimPrefix(name, "charmarr_vpn_") + `".*`).Find(source)
			require.NotNil(t, desc, "%s is told", name)
			for _, label := range labels {
				assert.Contains(t, string(desc), `"`+label+`"`)
			}
		})
	}
}
