package main

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/charmarr/charmarr-go/charms/hook"
	"github.com/charmarr/charmarr-go/vpnk8slib"
)

// How old the servers are is read once of each list, and only for whoever watches; the agent is told, and the same in every hook.
func TestHowOldTheServersAre(t *testing.T) {
	watched := Watchers{Metrics: []string{"metrics-endpoint:4"}}
	_, _ = inPod(t, "nameserver 10.43.0.10\n", nil)
	list := serving(t, serversFile, "")
	env := hook.Env{Pebble: hook.ContainerPebble}
	see := func(provider providerName) time.Time {
		t.Helper()
		o := Observed{Unit: hook.Unit{Leader: true}, Watchers: watched, Config: Config{Provider: provider, RoutingMethod: vpnk8slib.Overlay}}
		return listedAt(env, o)
	}
	assert.Zero(t, see("mullvad"), "gluetun has not started yet: there is no list")

	list.text = strings.Replace(serversJSON, `"mullvad": {"version": 2, "timestamp": 1,`, `"mullvad": {"version": 2, "timestamp": 1790000000,`, 1)
	for range 3 {
		assert.Equal(t, time.Unix(1790000000, 0).UTC(), see("mullvad"))
	}
	assert.Equal(t, 1, list.reads)
	assert.Equal(t, time.Unix(1, 0).UTC(), see("nordvpn"), "each provider's own")
	assert.Zero(t, see("windscribe"), "the list does not know it")
	list.text, list.modified = list.text[:200], list.modified.Add(time.Hour)
	assert.Zero(t, see("mullvad"), "gluetun is writing it")

	watched, list.reads = Watchers{}, 0
	assert.Zero(t, see("mullvad"))
	assert.Zero(t, list.reads, "nobody watches")

	o := watchedOver(t)
	o.Server = Server{Country: "Sweden", Listed: time.Unix(1790000000, 0).UTC()}
	told := Reconcile(o).Protect[0].Apply.Data["agent.json"]
	assert.Contains(t, told, `"country":"Sweden","listed":"2026-09-21T14:13:20Z"`)
	assert.Equal(t, told, Reconcile(o).Protect[0].Apply.Data["agent.json"])
}

// The country is what gluetun was told: by somebody outside, so that what may be none is not told on.
func TestWhereTheServerIs(t *testing.T) {
	for answer, want := range map[string]string{
		`{"public_ip":"192.0.2.2","country":"Côte d'Ivoire","city":"Abidjan"}`: "Côte d'Ivoire",
		`{"public_ip":"192.0.2.2"}`:                                             "",
		`{"public_ip":"192.0.2.2","country":"Sweden\n# HELP"}`:                  "",
		`{"public_ip":"192.0.2.2","country":"` + strings.Repeat("x", 65) + `"}`: "",
		`<html>`: "",
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(answer)) }))
		at := server.Listener.Addr().String()
		o := watchedOver(t)
		o.Tunnel.Seen, o.Tunnel.Country = netip.MustParseAddr("192.0.2.2"), seenBy(t.Context(), at, "").Country
		assert.Equal(t, want, country(o), answer)
		o.Watchers = Watchers{}
		assert.Empty(t, country(o), "nobody watches")
		server.Close()
	}
}
