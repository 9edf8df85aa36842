package main

import (
	_ "embed"
	"fmt"
	"strings"

	"github.com/charmarr/charmarr-go/charms/hook"
	"github.com/charmarr/charmarr-go/vpnk8slib"
)

// tunnelCheck tells the charm that the tunnel is down, when nothing has come back for two probes in a row: four to six seconds after it fell
// silent. Consumers are to know of it within ten, and the hooks of both sides come after this. One answer in two seconds, and it is up.
const tunnelCheck = "tunnel"

// lastingCheck fails when nothing has come back through the tunnel for half a minute. gluetun is then started again, by Pebble, with
// whatever server it chooses: by itself it would notice after two to three minutes (v3.41 and later). One answer in that time, and it is
// left alone; and after that one start as well, however long the tunnel is down: from there on gluetun tries again and again by itself.
const lastingCheck = "tunnel-lasting"

//go:embed start.sh
var startScript string

//go:embed probe.sh
var probeTemplate string

// probeScript ends with 0 while a packet comes back through the tunnel from one of the targets.
func probeScript(t targets) string {
	var list []string
	for _, a := range t {
		list = append(list, fmt.Sprintf("'%s %d'", a.Addr(), a.Port()))
	}
	return strings.Replace(probeTemplate, "TARGETS", strings.Join(list, " "), 1)
}

func workload(c Config, s Secret, n vpnk8slib.Network) hook.Workload {
	return hook.Workload{
		Container: container,
		Files:     files(c, s, n),
		Layer: hook.Layer{
			// No user: Pebble would set USER, which gluetun takes for OpenVPN's.
			Services: map[string]hook.Service{service: {
				Summary: "gluetun, the VPN client", Override: "replace", Command: startFile, Startup: "enabled",
				Environment: environment(c, s, n),
				KillDelay:   "10s", // it takes its routes away, for which it allows itself five
				// So long clients wait at most for one that was killed again and again.
				BackoffLimit: "10s",

				OnCheckFailure: map[string]string{lastingCheck: "restart"},
			}},
			Checks: map[string]hook.Check{tunnelCheck: probed("2s", "2s", 2), lastingCheck: probed("5s", "3s", 7)},
		},
	}
}

// probed is a check that fails when so many probes in a row have. None may take longer than its period: Pebble would end it then, whatever
// limit is named.
func probed(every, limit string, times int) hook.Check {
	return hook.Check{Override: "replace", Period: every, Timeout: limit, Threshold: times, Exec: &hook.ExecCheck{Command: probeFile}}
}

// overlayCheck brings the hook that starts gluetun, when this end of the overlay is there.
var overlayCheck = hook.Overlay("grep -q " + hook.OverlayInterface + ": /proc/net/dev")
