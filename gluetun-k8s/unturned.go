package main

import "github.com/charmarr/charmarr-go/charms/hook"

// unturned brings another hook where one has seen what would have turned a check, and the check has not: what turns back before Pebble looks
// again brings none, and the word of this one would stand until update-status.
func unturned(o Observed) hook.Soon {
	holds := map[string]bool{tunnelCheck: o.Tunnel.Up || !o.Container.Running || o.elsewhere()}
	if p := o.place(); p != nil {
		holds[activeCheck], holds[elsewhereCheck] = p.Active, p.Active || o.Tunnel.Up
	}
	for check, holds := range holds {
		if o.Container.Checks[check] && !holds {
			return hook.Soon{Container: container, For: "turn"}
		}
	}
	return hook.Soon{}
}
