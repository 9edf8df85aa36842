package main

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/charmarr/charmarr-go/charms/hook"
)

// gluetun is started again, and its tunnel waited for; for another address as often as it takes, but not for ever.
func TestReconnection(t *testing.T) {
	one, two := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	for _, c := range []struct {
		name     string
		another  bool
		before   netip.Addr
		after    []Tunnel // of each start
		restarts string
		address  string
		fails    string
	}{
		{"the same server", false, one, []Tunnel{{Up: true, Seen: one}}, "1", "192.0.2.1", ""},
		{"it was down before", false, netip.Addr{}, []Tunnel{{Up: true, Seen: one}}, "1", "192.0.2.1", ""},
		{"nobody says as whom it is seen", false, one, []Tunnel{{Up: true, Seen: netip.Addr{}}}, "1", "unknown", ""},
		{"another server at once", true, one, []Tunnel{{Up: true, Seen: two}}, "1", "192.0.2.2", ""},
		{"the same one first", true, one, []Tunnel{{Up: true, Seen: one}, {Up: true, Seen: two}}, "2", "192.0.2.2", ""},
		{"always the same", true, one, []Tunnel{{Up: true, Seen: one}, {Up: true, Seen: one}, {Up: true, Seen: one}, {Up: true, Seen: one}, {Up: true, Seen: two}}, "4", "192.0.2.1", "may be one server"},
		{"it was down before, and who knows where it was", true, netip.Addr{}, []Tunnel{{Up: true, Seen: two}}, "1", "192.0.2.2", ""},
		{"it stays down", false, one, []Tunnel{{}}, "1", "unknown", "its tunnel is not up yet"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			started, looked := 0, 0
			r := reconnection{
				restart: func() error { started, looked = started+1, 0; return nil },
				tunnel: func(context.Context) Tunnel {
					if looked++; looked == 1 {
						return Tunnel{}
					}
					return c.after[started-1]
				},
				pause: time.Millisecond,
			}
			results, err := r.run(ctx, c.before, c.another)
			if c.fails == "" {
				assert.NoError(t, err)
			} else {
				assert.ErrorContains(t, err, c.fails)
			}
			assert.Equal(t, c.restarts, results["restarts"])
			assert.Equal(t, c.address, results["address"])
			if want := map[string]string{"192.0.2.1": "no", "192.0.2.2": "yes", "unknown": "unknown"}[c.address]; c.before == one {
				assert.Equal(t, want, results["changed"])
			} else {
				assert.Equal(t, "unknown", results["changed"])
			}
			assert.Equal(t, seenAs(c.before), results["before"])
		})
	}
	_, err := reconnection{restart: func() error { return errors.New("no Pebble") }}.run(t.Context(), one, false)
	assert.EqualError(t, err, "no Pebble")
}

// What cannot come up again, or would be the same server, is not touched.
func TestMayStartAgain(t *testing.T) {
	o := ready(t)
	assert.NoError(t, mayStartAgain(o, false))
	assert.ErrorContains(t, mayStartAgain(o, true), "there is one server only")
	listed, errs := options(t, "provider=nordvpn", "countries=Sweden")
	assert.Empty(t, errs)
	several := o
	several.Config.Provider, several.Config.Countries, several.Config.EndpointIP = listed.Provider, listed.Countries, server{}
	assert.NoError(t, mayStartAgain(several, true))
	several.Config.EndpointIP = server{netip.MustParseAddr("198.51.100.7")}
	assert.ErrorContains(t, mayStartAgain(several, true), "there is one server only")

	o.ConfigErr = errors.New("cannot use option vpn-type")
	assert.EqualError(t, mayStartAgain(o, false), "gluetun is not started again: cannot use option vpn-type")
	o.Container = hook.Seen{}
	assert.ErrorContains(t, mayStartAgain(o, false), "gluetun does not run")
}
