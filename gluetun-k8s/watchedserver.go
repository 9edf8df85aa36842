package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/charmarr/charmarr-go/charms/hook"
	"github.com/charmarr/charmarr-go/vpnk8slib"
)

// Server is what is told of the VPN's server in metrics. It is looked at where somebody watches, and nowhere else: one is a list of some
// megabytes, and both are written into the agent's file.
type Server struct {
	Country string    // that the world sees the tunnel in; empty: not known
	Listed  time.Time // of when the servers are that gluetun chooses from; zero: not known
}

func watchesServer(o Observed) bool {
	return len(o.Watchers.Metrics) > 0 && o.Config.RoutingMethod == vpnk8slib.Overlay && o.Leader && o.ConfigErr == nil
}

// country is the one that the world sees the tunnel in, as gluetun was told; empty: not known. Who told it is somebody outside.
func country(o Observed) string {
	if !watchesServer(o) || !o.Tunnel.Seen.IsValid() {
		return ""
	}
	name := o.Tunnel.Country
	const longest = 64
	if len(name) > longest || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }) {
		return ""
	}
	return name
}

// listedAt is of when the provider's servers are that gluetun chooses from; zero where it does not say, or not yet. It is read
// once.
func listedAt(env hook.Env, o Observed) (at time.Time) {
	if !watchesServer(o) {
		return at
	}
	list, err := findList(env, o.Config.Provider)
	if err != nil || !list.there() {
		return at
	}
	text, err := hook.Found(".listed", fmt.Sprint(list.seen.Size, list.seen.Modified.UnixNano(), o.Config.Provider), func() (string, error) {
		var own struct{ Timestamp int64 } // in seconds since 1970
		err := list.read(env, o.Config.Provider, &own)
		return strconv.FormatInt(own.Timestamp, 10), err
	})
	if err != nil { // gluetun is writing it
		return at
	}
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil && seconds > 0 {
		at = time.Unix(seconds, 0).UTC()
	}
	return at
}
