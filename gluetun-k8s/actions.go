package main

import (
	"github.com/charmarr/charmarr-go/charms/hook"
)

var actions = map[string]hook.Action{
	hook.VerifyEgressAction: hook.VerifyEgress(verify),
	hook.SpeedtestAction:    hook.Speedtest(verify),
	"get-status":            getStatus,
	"list-servers":          listServers,
	"reconnect":             again(false),
	"rotate-server":         again(true),
}
