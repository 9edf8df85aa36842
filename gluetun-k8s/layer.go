package main

import (
	_ "embed"
	"fmt"
	"strings"

	"github.com/charmarr/charmarr-go/charms/hook"
	"github.com/charmarr/charmarr-go/vpnk8slib"
)

const tunnelCheck = "tunnel"

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
			Services: map[string]hook.Service{"gluetun": {
				Summary: "gluetun, the VPN client", Override: "replace", Command: startFile, Startup: "enabled",
				Environment: environment(c, s, n),
				KillDelay:   "10s", // it takes its routes away, for which it allows itself five
			}},
			Checks: map[string]hook.Check{tunnelCheck: {
				Override: "replace", Period: "3s", Timeout: "3s", Threshold: 2, Exec: &hook.ExecCheck{Command: probeFile},
			}},
		},
	}
}

// overlayCheck brings the hook that starts gluetun, when this end of the overlay is there.
var overlayCheck = hook.Overlay("grep -q " + hook.OverlayInterface + ": /proc/net/dev")
