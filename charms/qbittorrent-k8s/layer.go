package main

import (
	"fmt"
	"strconv"

	"github.com/charmarr/charmarr-go/charms/hook"
)

const (
	webCheck = "web"
	profile  = "/config"
)

// seed is what qBittorrent needs to find at its very first start; afterwards the file is its own, which it rewrites at
// every exit. Without the accepted legal notice it asks on a terminal that is not there, and ends.
const seed = `[LegalNotice]
Accepted=true
`

// workload listens for peers on a port; 0: on the one that it has been told before, or 6881.
func workload(c Config, port int) hook.Workload {
	uid, gid := hook.ID(c.PUID), hook.ID(c.PGID)
	dir := func(path string) hook.Dir { return hook.Dir{Path: path, Mode: 0o750, UserID: uid, GroupID: gid} }
	return hook.Workload{
		Container: container,
		Dirs:      []hook.Dir{dir(profile), dir(profile + "/qBittorrent"), dir(profile + "/qBittorrent/config")},
		Files: []hook.File{{
			Path: profile + "/qBittorrent/config/qBittorrent.conf", Content: seed, Mode: 0o600, UserID: uid, GroupID: gid, Seed: true,
		}},
		Layer: layer(c, port),
	}
}

func layer(c Config, port int) hook.Layer {
	command := "/usr/bin/qbittorrent-nox --profile=" + profile + " --webui-port=" + strconv.Itoa(c.WebPort)
	if port != 0 { // another one starts it again, and so it listens anew; trackers are told by its announces
		command += " --torrenting-port=" + strconv.Itoa(port)
	}
	return hook.Layer{
		Services: map[string]hook.Service{"qbittorrent": {
			Summary:     "qBittorrent without a desktop",
			Override:    "replace",
			Command:     command,
			Startup:     "enabled",
			Environment: map[string]string{"HOME": profile, "TZ": c.Timezone, "XDG_RUNTIME_DIR": "/tmp"},
			UserID:      hook.ID(c.PUID),
			GroupID:     hook.ID(c.PGID),
			WorkingDir:  profile,
			KillDelay:   "20s", // it writes the state of its torrents
		}},
		Checks: map[string]hook.Check{
			hook.OverlayCheck: hook.Overlay("grep -q ^" + hook.OverlayInterface + " /proc/net/route"),
			webCheck: {
				Override: "replace", Period: "10s", Timeout: "3s", Threshold: 3,
				HTTP: &hook.HTTPCheck{URL: fmt.Sprintf("http://127.0.0.1:%d/", c.WebPort)},
			},
		},
	}
}
