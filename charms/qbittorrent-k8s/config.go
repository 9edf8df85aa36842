package main

import "github.com/charmarr/charmarr-go/charms/hook"

// Config is what `juju config qbittorrent` offers.
type Config struct {
	hook.VPNOptions
	WebPort  int    `json:"web-port" validate:"min=1024,max=65535" example:"8080"` // not root, so no port below 1024
	PUID     int    `json:"puid" validate:"min=1,max=65534" example:"1000"`        // 0 would be root, whom no firewall rule holds
	PGID     int    `json:"pgid" validate:"min=1,max=65534" example:"1000"`
	WantPort bool   `json:"want-port"`
	Timezone string `json:"timezone" validate:"zone"`
}
