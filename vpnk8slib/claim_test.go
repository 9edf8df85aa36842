package vpnk8slib

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
)

// gateways is a cluster whose gateways look, choose and write, as their hooks do.
type gateways struct {
	*cluster
	t      *testing.T
	method string
	pods   string
	deaf   error // of who lists the gateways
}

func (g *gateways) List(ctx context.Context, kind, namespace string, into any) error {
	if kind == gatewayConfigs && g.deaf != nil {
		return g.deaf
	}
	return g.cluster.List(ctx, kind, namespace, into)
}

// option is what the operator set.
type option struct {
	id      int
	network string
}

// chosen is what a gateway has after a hook, and which options are refused its operator.
type chosen struct {
	id      int
	network string
	taken   []TakenError
}

// look is a hook up to its decision; write is the rest of it.
func (g *gateways) look(a App, set option) (c chosen, write func()) {
	g.t.Helper()
	g.objects["Node /a"] = fmt.Sprintf(`{"spec":{"podCIDRs":[%q]}}`, g.pods)
	g.objects["ServiceAccount "+a.Namespace+"/"+a.Name] = `{"metadata":{"uid":"1"}}`
	v, err := ObserveGateway(g.t.Context(), g, a, Overrides{ResolvConf: clusterResolver, Controllers: []netip.AddrPort{netip.MustParseAddrPort("10.44.0.1:17070")}})
	require.NoError(g.t, err)
	var network OverlayNetwork
	require.NoError(g.t, network.UnmarshalText([]byte(set.network)))
	id, first := v.VXLANID(a, set.id)
	network, second := v.OverlayNetwork(a, network, g.method, v.Network)
	c = chosen{id: id, network: network.String()}
	for _, err := range []error{first, second} {
		var theirs *TakenError
		if errors.As(err, &theirs) {
			c.taken = append(c.taken, *theirs)
		}
	}
	return c, func() {
		g.t.Helper()
		if slices.ContainsFunc(c.taken, func(e TakenError) bool { return !e.Kept }) { // what was laid stays
			return
		}
		plan, err := GatewayPlans(Gateway{
			App: a, Data: ProviderData{RoutingMethod: g.method, VXLANID: id, VXLANIPNetwork: network, VXLANPort: VXLANPort},
			Network: v.Network, Workload: "gluetun", Trials: Trials{Images: []string{PodGatewayImage, AgentImage}}, Endpoint: Endpoint{Ports: []uint16{51820}, Mark: 1},
		})
		require.NoError(g.t, err)
		for _, s := range plan {
			text, err := json.Marshal(s.Apply)
			require.NoError(g.t, err)
			name := " " + a.Namespace + "/" + s.Apply.Metadata.Name
			g.objects[s.Apply.Kind+name] = string(text)
			if s.Apply.Metadata.Labels[gatewayLabel] != "" {
				g.objects[gatewayConfigs+name] = string(text)
			}
		}
	}
}

// bits are how wide a network of the method is.
func (g *gateways) bits() string {
	if g.method == Overlay {
		return "/20"
	}
	return "/24"
}

// hook is a whole one.
func (g *gateways) hook(a App, set option) chosen {
	g.t.Helper()
	c, write := g.look(a, set)
	write()
	return c
}

// Each story is played with both routing methods.
func TestGatewaysOfACluster(t *testing.T) {
	movies, music := App{Name: "gluetun", Namespace: "movies"}, App{Name: "gluetun", Namespace: "music"}
	// Two names that begin to look at the same identifier and at the same network.
	twin, second := App{Name: "gluetun-146104", Namespace: "vpn"}, App{Name: "gluetun-153107", Namespace: "vpn"}
	mine := func(a App) chosen {
		id, start := begin(a)
		return chosen{id: id, network: freeOverlay(start, Network{}, nil).String()}
	}
	next := func(c chosen) chosen {
		o, err := ParseOverlayNetwork(c.network)
		require.NoError(t, err)
		return chosen{id: c.id + 1, network: narrow(after(o.Wide().prefix)).String()}
	}
	require.Equal(t, mine(twin), mine(second))
	forbidden := refused("list", "GatewayConfigs", "", apierrors.NewForbidden(schema.GroupResource{Resource: "configmaps"}, "", errors.New(`User "a" cannot list resource "configmaps"`)))

	stories := map[string]func(t *testing.T, g *gateways){
		"two, one after the other": func(t *testing.T, g *gateways) {
			assert.Equal(t, mine(movies), g.hook(movies, option{}))
			assert.Equal(t, mine(music), g.hook(music, option{}))
			assert.NotEqual(t, mine(movies), mine(music))
			before := maps.Clone(g.objects)
			assert.Equal(t, mine(movies), g.hook(movies, option{}), "and both stay")
			assert.Equal(t, mine(music), g.hook(music, option{}))
			assert.Equal(t, before, g.objects, "nothing is to be written, and no pod to be made anew")
		},
		"the later one begins where the earlier one is": func(t *testing.T, g *gateways) {
			assert.Equal(t, mine(twin), g.hook(second, option{}))
			assert.Equal(t, next(mine(twin)), g.hook(twin, option{}), "who came first stays, whatever its name")
			assert.Equal(t, mine(twin), g.hook(second, option{}))
			assert.Equal(t, next(mine(twin)), g.hook(twin, option{}))
		},
		"both at once, at the same place": func(t *testing.T, g *gateways) {
			one, write := g.look(twin, option{})
			other, writeOther := g.look(second, option{})
			write()
			writeOther()
			assert.Equal(t, one, other)
			assert.Equal(t, one, g.hook(twin, option{}), "its name sorts first")
			assert.Equal(t, next(one), g.hook(second, option{}))
			assert.Equal(t, one, g.hook(twin, option{}))
			assert.Equal(t, next(one), g.hook(second, option{}))
		},
		"the operator's choice is another's": func(t *testing.T, g *gateways) {
			has := g.hook(movies, option{})
			refused := []TakenError{
				{"movies/gluetun", strconv.Itoa(has.id), strconv.Itoa(mine(music).id), false},
				{"movies/gluetun", has.network + ".0" + g.bits(), mine(music).network, false},
			}
			for range 2 {
				assert.Equal(t, refused, g.hook(music, option{has.id, has.network}).taken)
				assert.Equal(t, has, g.hook(movies, option{}), "who came first stays, and nobody is told there")
			}
			set := option{mine(music).id, mine(music).network}
			assert.Equal(t, mine(music), g.hook(music, set), "what nobody has is taken")
			now := g.hook(music, option{has.id, has.network})
			assert.Equal(t, refused, now.taken)
			assert.Equal(t, set, option{now.id, now.network}, "what was laid is what counts meanwhile")
			assert.Equal(t, mine(music), g.hook(music, set), "and was kept")
		},
		"the operator's choice is that of one that sorts behind": func(t *testing.T, g *gateways) {
			has := g.hook(music, option{})
			assert.Len(t, g.hook(movies, option{has.id, has.network}).taken, 2, "who came first stays, whatever its name")
			assert.Equal(t, has, g.hook(music, option{}))
			g.deaf = forbidden
			assert.Equal(t, has, g.hook(movies, option{has.id, has.network}), "who may not look at others does not know")
			g.deaf = nil
			assert.Equal(t, next(has), g.hook(music, option{}), "of two that have the same, one moves")
			assert.Equal(t, has, g.hook(movies, option{has.id, has.network}))
		},
		"two operators at once": func(t *testing.T, g *gateways) {
			set := option{7, "192.168.77"}
			_, write := g.look(movies, set)
			_, writeOther := g.look(music, set)
			write()
			writeOther()
			for _, a := range []App{movies, music} {
				c := g.hook(a, set)
				assert.Len(t, c.taken, 2, "either may mend it")
				assert.True(t, c.taken[0].Kept && c.taken[1].Kept, "and neither is taken down")
				assert.Equal(t, set, option{c.id, c.network})
			}
			assert.Equal(t, mine(music), g.hook(music, option{}))
			assert.Empty(t, g.hook(movies, set).taken)
		},
		"two operators' networks become one by another method": func(t *testing.T, g *gateways) {
			if g.method == Overlay { // the way back makes two of one
				return
			}
			one, other := option{0, "192.168.76"}, option{0, "192.168.77"}
			assert.Empty(t, g.hook(movies, one).taken)
			assert.Empty(t, g.hook(music, other).taken)
			assert.False(t, g.hook(movies, other).taken[0].Kept, "what is beside what it has is not its own")
			g.method = Overlay
			for _, c := range []chosen{g.hook(movies, one), g.hook(music, other)} {
				require.Len(t, c.taken, 1)
				assert.True(t, c.taken[0].Kept, "what they have had stays theirs, and neither is taken down")
			}
		},
		"what was chosen is kept": func(t *testing.T, g *gateways) {
			g.hook(movies, option{42, "172.16.0"}) // by the operator, or as the default of an earlier version
			assert.Equal(t, chosen{id: 42, network: "172.16.0"}, g.hook(movies, option{}))
			g.deaf = forbidden
			assert.Equal(t, chosen{id: 42, network: "172.16.0"}, g.hook(movies, option{}), "who may not look at others, too")
			g.deaf = nil
			g.method = map[string]string{podGatewayName: Overlay, Overlay: podGatewayName}[g.method]
			assert.Equal(t, chosen{id: 42, network: "172.16.0"}, g.hook(movies, option{}), "by the other method, too")
		},
		"who may not look at others": func(t *testing.T, g *gateways) {
			has := g.hook(twin, option{})
			g.deaf = forbidden
			assert.Equal(t, has, g.hook(second, option{}), "begins where it would alone")
			g.deaf = apierrors.NewServiceUnavailable("later")
			_, err := ObserveGateway(t.Context(), g, twin, Overrides{ResolvConf: clusterResolver})
			require.ErrorIs(t, err, g.deaf, "who was not answered does not begin: the next hook knows")
			g.deaf = nil
			assert.Equal(t, next(has), g.hook(second, option{}))
		},
		"a cluster that has the network": func(t *testing.T, g *gateways) {
			downloads := App{Name: "gluetun", Namespace: "downloads"}
			require.Equal(t, "172.20.0", mine(downloads).network)
			g.pods = "172.20.0.0/16"
			c := g.hook(downloads, option{})
			assert.Equal(t, "172.21.0", c.network)
			assert.Equal(t, c, g.hook(downloads, option{}))
			g.pods = "172.16.0.0/12"
			assert.Equal(t, "192.168.0", g.hook(downloads, option{}).network, "none of the usual ones is left")
		},
		"one is removed": func(t *testing.T, g *gateways) {
			g.hook(twin, option{})
			has := g.hook(second, option{})
			delete(g.objects, "ConfigMap vpn/gluetun-146104-vpn-gateway")
			delete(g.objects, gatewayConfigs+" vpn/gluetun-146104-vpn-gateway")
			assert.Equal(t, has, g.hook(second, option{}), "nobody moves to its place")
		},
	}
	for summary, story := range stories {
		for _, method := range []string{podGatewayName, Overlay} {
			t.Run(summary+", "+method, func(t *testing.T) {
				c := oldCluster()
				c.objects["ServiceCIDR /kubernetes"] = twoServiceCIDRs
				story(t, &gateways{cluster: c, t: t, method: method, pods: "10.42.0.0/16"})
			})
		}
	}
}

// A choice that cannot be read is not one that was never made.
func TestTheOwnClaimIsRead(t *testing.T) {
	failure := apierrors.NewServiceUnavailable("later")
	_, _, err := observeClaims(t.Context(), &cluster{failure: failure}, App{Name: "gluetun", Namespace: "vpn"})
	assert.ErrorIs(t, err, failure)
}

// Anybody who may write a ConfigMap somewhere can bear the label.
func TestWhatIsNoClaim(t *testing.T) {
	settings := func(id, network string) map[string]string {
		return map[string]string{"settings.sh": shell(map[string]string{"VXLAN_ID": id, "VXLAN_IP_NETWORK": network})}
	}
	agent := func(text string) map[string]string { return map[string]string{agentFile: text} }
	tests := []struct {
		summary string
		files   map[string]string
		network string
	}{
		{"pod-gateway's", settings("7", "172.16.5"), "172.16.5.0/24"},
		{"the agent's", agent(`{"gateway":{"vni":7,"address":"172.16.16.1/20"}}`), "172.16.16.0/20"},
		{"nothing", nil, ""},
		{"no number", settings("7; reboot", "172.16.5"), ""},
		{"a number too high", settings("16777216", "172.16.5"), ""},
		{"none of ours", settings("0", "172.16.5"), ""},
		{"no network", settings("7", "$(reboot)"), ""},
		{"a client's", agent(`{"client":{"vni":7,"address":"172.16.16.1/20"}}`), ""},
		{"all the world", agent(`{"gateway":{"vni":7,"address":"0.0.0.0/0"}}`), ""},
		{"all private networks", agent(`{"gateway":{"vni":7,"address":"10.0.0.1/8"}}`), ""},
		{"another family", agent(`{"gateway":{"vni":7,"address":"fd00::1/64"}}`), ""},
		{"half of it", agent(`{"gateway":{"vni":7`), ""},
	}
	for _, test := range tests {
		t.Run(test.summary, func(t *testing.T) {
			want := Claim{Gateway: "vpn/gluetun"}
			if test.network != "" {
				want.VXLANID, want.Network = 7, netip.MustParsePrefix(test.network)
			}
			assert.Equal(t, want, claimOf(App{Name: "gluetun", Namespace: "vpn"}, test.files))
		})
	}
	text, err := json.Marshal(map[string]any{"metadata": map[string]any{"name": "mine", "namespace": "vpn", "labels": map[string]string{nameLabel: "gluetun"}}, "data": settings("7", "172.16.5")})
	require.NoError(t, err)
	_, others, err := observeClaims(t.Context(), &cluster{objects: map[string]string{gatewayConfigs + " vpn/mine": string(text)}}, App{Name: "a", Namespace: "b"})
	require.NoError(t, err)
	assert.Empty(t, others, "it is not where a gateway keeps its own")
}

// The last identifier is followed by the first: 0 is none.
func TestIdentifiersGoAround(t *testing.T) {
	a, id := App{Namespace: "vpn"}, 0
	for n := 0; id < vxlanIDs-1000; n++ {
		a.Name = fmt.Sprintf("gluetun-%d", n)
		id, _ = begin(a)
	}
	var v GatewayView
	for ; id < vxlanIDs; id++ {
		v.Others = append(v.Others, Claim{Gateway: "a/b", VXLANID: id})
	}
	free, _ := v.VXLANID(a, 0)
	assert.Equal(t, 1, free)
}

// Of all the ConfigMaps of a cluster only those of gateways are asked for.
func TestGatewaysAreListedByTheirLabel(t *testing.T) {
	var asked []string
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.String())
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{}`))
	}))
	defer api.Close()
	kube, err := NewKube(&rest.Config{Host: api.URL})
	require.NoError(t, err)
	_, _, err = observeClaims(t.Context(), kube, App{Name: "gluetun", Namespace: "vpn"})
	require.NoError(t, err)
	assert.Equal(t, []string{"/api/v1/namespaces/vpn/configmaps/gluetun-vpn-gateway", "/api/v1/configmaps?labelSelector=vpn.charmarr.io%2Fgateway"}, asked)
}
