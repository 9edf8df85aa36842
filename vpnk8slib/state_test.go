package vpnk8slib_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/vpnk8slib"
)

func TestState(t *testing.T) {
	tests := []struct {
		summary string
		change  func(*vpnk8slib.Client)
		state   vpnk8slib.State
	}{
		{"all in place", func(c *vpnk8slib.Client) {}, vpnk8slib.Routed},
		{"no relation", func(c *vpnk8slib.Client) { c.Link = vpnk8slib.ReadLink(nil) }, vpnk8slib.Locked},
		{"no relation, unsafe", func(c *vpnk8slib.Client) { c.Link = vpnk8slib.ReadLink(nil); c.Unsafe = true }, vpnk8slib.Unprotected},
		{"no relation, routed before", func(c *vpnk8slib.Client) { c.Link = vpnk8slib.ReadLink(nil); c.Last = last(c) }, vpnk8slib.Locked},
		{"silent", func(c *vpnk8slib.Client) { c.Link.Err = vpnk8slib.ErrNotReady }, vpnk8slib.Protected},
		{"silent, unsafe", func(c *vpnk8slib.Client) { c.Link.Err = vpnk8slib.ErrNotReady; c.Unsafe = true }, vpnk8slib.Protected},
		{"silent, routed before", func(c *vpnk8slib.Client) { c.Last = last(c); c.Link.Err = vpnk8slib.ErrNotReady }, vpnk8slib.Held},
		{"unreadable", func(c *vpnk8slib.Client) { c.Link.Err = &vpnk8slib.InvalidError{} }, vpnk8slib.Protected},
		{"unreadable, routed before", func(c *vpnk8slib.Client) { c.Last = last(c); c.Link.Err = &vpnk8slib.InvalidError{} }, vpnk8slib.Held},
		{"an error nobody thought of, unsafe", func(c *vpnk8slib.Client) { c.Link.Err = errors.New("?"); c.Unsafe = true }, vpnk8slib.Protected},
		{"tunnel never up", func(c *vpnk8slib.Client) { c.Link.Gateway.VPNConnected = false }, vpnk8slib.Protected},
		{"tunnel down, routed before", func(c *vpnk8slib.Client) { c.Last = last(c); c.Link.Gateway.VPNConnected = false }, vpnk8slib.Routed},
		{"silent, routed before by a relation that was removed", func(c *vpnk8slib.Client) {
			c.Last = last(c)
			c.Link = vpnk8slib.Link{Relation: "vpn-gateway:4", Err: vpnk8slib.ErrNotReady}
		}, vpnk8slib.Protected},
	}
	for _, test := range tests {
		t.Run(test.summary, func(t *testing.T) {
			c := routed(t)
			test.change(&c)
			assert.Equal(t, test.state, c.State())
		})
	}
}

func last(c *vpnk8slib.Client) *vpnk8slib.LastGood {
	return &vpnk8slib.LastGood{Relation: "vpn-gateway:3", Gateway: c.Link.Gateway}
}

// world is every combination of what a consumer can see.
func world(t *testing.T, f func(vpnk8slib.Client, vpnk8slib.Pod)) {
	good := routed(t)
	down := good.Link
	down.Gateway.VPNConnected = false
	links := []vpnk8slib.Link{
		good.Link, down, vpnk8slib.ReadLink(nil),
		{Relation: "vpn-gateway:3", Err: vpnk8slib.ErrNotReady},
		{Relation: "vpn-gateway:3", Err: &vpnk8slib.InvalidError{From: "gluetun", Err: errors.New("odd")}},
		{Relation: "vpn-gateway:4", Err: vpnk8slib.ErrNotReady},
	}
	for _, link := range links {
		for bits := range 32 {
			c := good
			c.Link = link
			c.Unsafe = bits&1 != 0
			if bits&2 != 0 {
				c.Last = last(&good)
			}
			f(c, vpnk8slib.Pod{Overlay: bits&4 != 0, Closed: bits&8 != 0, Patched: bits&16 != 0})
		}
	}
}

func TestNothingButUnsafeWithoutARelationEverOpens(t *testing.T) {
	seen := map[vpnk8slib.State]bool{}
	world(t, func(c vpnk8slib.Client, p vpnk8slib.Pod) {
		state := c.State()
		seen[state] = true
		protect, release, err := vpnk8slib.ClientPlans(c)
		require.NoError(t, err)
		open := errors.Is(c.Link.Err, vpnk8slib.ErrNotRelated) && c.Unsafe
		require.Equal(t, open, state == vpnk8slib.Unprotected)
		if open {
			require.Empty(t, protect)
			require.NotEmpty(t, release)
			return
		}
		require.Empty(t, release, "%s", state)
		require.Equal(t, "NetworkPolicy", protect[0].Apply.Kind, "the kill switch comes first in %s", state)
		for _, s := range protect {
			require.NotNil(t, s.Apply, "protecting deletes nothing")
		}
		if c.MayStart(p) {
			require.True(t, p.Patched && p.Closed && p.Overlay, "%s starts a workload in %+v", state, p)
		}
		if c.MayKeep(p) {
			require.True(t, p.Patched && p.Closed, "%s keeps a workload in %+v", state, p)
			require.Contains(t, []vpnk8slib.State{vpnk8slib.Routed, vpnk8slib.Held}, state)
		}
	})
	assert.Len(t, seen, 5, "every state was met")
}

// recorder is a Cluster that writes down what it is asked to do, and may refuse one thing.
type recorder struct {
	steps []string
	fail  string
}

func (r *recorder) Apply(_ context.Context, manager string, obj *vpnk8slib.Object) error {
	return r.record("apply", obj)
}

func (r *recorder) Delete(_ context.Context, ref vpnk8slib.Ref) error { return r.record("delete", ref) }

func (r *recorder) record(verb string, v any) error {
	var o struct {
		Kind, Name string
		Metadata   struct{ Name string }
	}
	b, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(b, &o)
	}
	s := verb + " " + o.Kind + " " + o.Name + o.Metadata.Name
	r.steps = append(r.steps, s)
	if s == r.fail {
		return errors.New("refused")
	}
	return err
}

func TestClientPlans(t *testing.T) {
	lock := "apply NetworkPolicy qbittorrent-vpn-killswitch"
	kept := "apply ConfigMap qbittorrent-vpn-state"
	route := []string{lock, "apply ConfigMap qbittorrent-vpn-client", "apply StatefulSet qbittorrent", kept}
	tests := []struct {
		summary string
		change  func(*vpnk8slib.Client)
		steps   []string
	}{
		{"routed: lock first, then the route", func(c *vpnk8slib.Client) {}, route},
		{"silent: lock, and leave the pods alone", func(c *vpnk8slib.Client) { c.Link.Err = vpnk8slib.ErrNotReady }, []string{lock, kept}},
		{"held: as it last was", func(c *vpnk8slib.Client) { c.Last = last(c); c.Link.Err = vpnk8slib.ErrNotReady }, route},
		{"relation removed: lock, and leave the pods alone", func(c *vpnk8slib.Client) { c.Last = last(c); c.Link = vpnk8slib.ReadLink(nil) }, []string{lock, kept}},
		{"unsafe: take everything away", func(c *vpnk8slib.Client) { c.Link = vpnk8slib.ReadLink(nil); c.Unsafe = true }, []string{
			"apply StatefulSet qbittorrent", "delete ConfigMap qbittorrent-vpn-client", "delete ConfigMap qbittorrent-vpn-state",
			"delete NetworkPolicy qbittorrent-vpn-killswitch"}},
	}
	for _, test := range tests {
		t.Run(test.summary, func(t *testing.T) {
			c := routed(t)
			test.change(&c)
			protect, release, err := vpnk8slib.ClientPlans(c)
			require.NoError(t, err)
			var r recorder
			require.NoError(t, vpnk8slib.Reconcile(t.Context(), &r, protect))
			require.NoError(t, vpnk8slib.Reconcile(t.Context(), &r, release))
			assert.Equal(t, test.steps, r.steps)
		})
	}
}

func TestNoRouteWithoutTheKillSwitch(t *testing.T) {
	protect, _, err := vpnk8slib.ClientPlans(routed(t))
	require.NoError(t, err)
	r := recorder{fail: "apply NetworkPolicy qbittorrent-vpn-killswitch"}
	require.Error(t, vpnk8slib.Reconcile(t.Context(), &r, protect))
	assert.Len(t, r.steps, 1)
}

// The provider's networks never widen anything here: only discovery counts.
func TestTheProvidersNetworksAreIgnored(t *testing.T) {
	c := routed(t)
	before, err := json.Marshal(plan(t, c))
	require.NoError(t, err)
	c.Link.Gateway.ClusterCIDRs, err = vpnk8slib.ParseCIDRs("203.0.113.0/24,128.0.0.0/8")
	require.NoError(t, err)
	after, err := json.Marshal(plan(t, c)[:3])
	require.NoError(t, err)
	assert.NotContains(t, string(after), "128.0.0.0/8")
	assert.NotContains(t, string(after), "203.0.113.0/24")
	assert.Contains(t, string(before), string(after[1:len(after)-1]), "kill switch, settings and template are the same to the letter")
}

func plan(t *testing.T, c vpnk8slib.Client) vpnk8slib.Plan {
	t.Helper()
	protect, _, err := vpnk8slib.ClientPlans(c)
	require.NoError(t, err)
	return protect
}

// A new exit address or a tunnel that goes down and up changes nothing in the cluster: no write, no roll.
func TestWhatChangesByItselfIsNotWritten(t *testing.T) {
	c := routed(t)
	up, err := json.Marshal(plan(t, c))
	require.NoError(t, err)
	c.Last = last(&c)
	c.Link.Gateway.VPNConnected = false
	c.Link.Gateway.ExternalIP = c.Link.Gateway.ClusterDNSIP
	down, err := json.Marshal(plan(t, c))
	require.NoError(t, err)
	assert.Equal(t, string(up), string(down))
}

func TestWithoutTheAPIServersAddressNothingIsLocked(t *testing.T) {
	c := routed(t)
	c.Network.APIServers = nil
	_, _, err := vpnk8slib.ClientPlans(c)
	require.ErrorContains(t, err, "would lock this unit's agent out")
}
