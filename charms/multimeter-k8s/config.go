package main

import "github.com/charmarr/charmarr-go/charms/hook"

// Config is what `juju config multimeter` offers.
type Config struct {
	hook.VPNOptions
}
