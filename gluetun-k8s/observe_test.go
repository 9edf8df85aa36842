package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/charmarr/charmarr-go/charms/hook"
	"github.com/charmarr/charmarr-go/vpnk8slib"
)

// cluster answers with the objects it has, by kind or by kind and name.
type cluster struct {
	objects map[string]string
	tried   int
}

func (c *cluster) answer(key string, into any) error {
	text, ok := c.objects[key]
	if !ok {
		return apierrors.NewNotFound(schema.GroupResource{Resource: key}, key)
	}
	return json.Unmarshal([]byte(text), into)
}

func (c *cluster) Get(_ context.Context, ref vpnk8slib.Ref, into any) error {
	return c.answer(ref.String(), into)
}
func (c *cluster) List(_ context.Context, kind, _ string, into any) error {
	return c.answer(kind, into)
}
func (c *cluster) Try(context.Context, *vpnk8slib.Object) error {
	c.tried++
	return apierrors.NewBadRequest("provided IP is not in the valid range. The range of valid IPs is 10.43.0.0/16")
}

// inPod sets up the leader's hooks in a pod, whose first one found these resolvers. It returns the cluster that they see and
// how they observe.
func inPod(t *testing.T, resolvConf string, options map[string]any) (*cluster, func() Observed) {
	t.Helper()
	charmDir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(charmDir, ".resolv.conf"), []byte(resolvConf), 0o600))
	_, _ = configured(t, options) // config-get on PATH; what is refused the hook says
	tools := t.TempDir()
	for name, body := range map[string]string{"is-leader": "echo true", "relation-ids": "echo '[]'", "secret-get": "echo ERROR permission denied >&2; exit 1"} {
		require.NoError(t, os.WriteFile(filepath.Join(tools, name), fmt.Appendf(nil, "#!/bin/sh\n%s\n", body), 0o700))
	}
	t.Setenv("PATH", tools+":"+os.Getenv("PATH"))
	for name, value := range map[string]string{
		"JUJU_UNIT_NAME": "gluetun/0", "JUJU_MODEL_NAME": "downloads", "JUJU_HOOK_NAME": "config-changed", "JUJU_CHARM_DIR": charmDir,
		"JUJU_API_ADDRESSES": "10.44.0.1:17070", "CHARM_CONTAINERS": charmDir,
	} {
		t.Setenv(name, value)
	}
	c := &cluster{objects: map[string]string{
		"ServiceAccount gluetun": `{"metadata": {"uid": "6f6b3c5e-0000-4000-8000-000000000001"}}`,
		"Service kubernetes":     `{"spec": {"clusterIPs": ["10.43.0.1"], "ports": [{"port": 443}]}}`,
		"EndpointSlice":          `{"items": [{"metadata": {"labels": {"kubernetes.io/service-name": "kubernetes"}}, "endpoints": [{"addresses": ["10.44.0.1"]}], "ports": [{"port": 6443}]}]}`,
		"ServiceCIDR":            `{"items": [{"spec": {"cidrs": ["10.43.0.0/16"]}}]}`,
		"Node":                   `{"items": [{"spec": {"podCIDRs": ["10.42.0.0/24"]}, "status": {"allocatable": {"cpu": "2", "squat.ai/tun": "9", "squat.ai/fuse": "0"}}}]}`,
		"Pod":                    `{}`,
		"TrialPod":               `{}`,
	}}
	return c, func() Observed {
		t.Helper()
		o, err := observe(t.Context(), hook.Env{Reader: c, Pebble: hook.ContainerPebble})
		require.NoError(t, err)
		require.NoError(t, o.ViewErr)
		return o
	}
}

// gluetun rewrites the file that names the pod's resolvers. What is discovered in a pod stays the same all the same.
func TestObserveByTheFirstResolvers(t *testing.T) {
	_, see := inPod(t, "search downloads.svc.cluster.example svc.cluster.example\nnameserver 169.254.20.10\n", nil)
	for range 2 {
		o := see()
		assert.True(t, o.Gateway)
		assert.Equal(t, []netip.AddrPort{netip.MustParseAddrPort("169.254.20.10:53")}, o.View.Network.DNSOutside)
		assert.Equal(t, "cluster.example", o.View.Network.Domain)
	}
}

// A unit that stands by looks at what its own hooks have no need of, where somebody asks.
func TestSeeAllOfAStandby(t *testing.T) {
	c, _ := inPod(t, "nameserver 10.43.0.10\n", map[string]any{"vpn-provider": "mullvad"})
	tools := t.TempDir()
	for name, body := range map[string]string{
		"is-leader":    "echo false",
		"relation-ids": `case $1 in vpn-gateway) echo '["vpn-gateway:8"]' ;; *) echo '[]' ;; esac`, "relation-list": `echo '"client"'`,
		"relation-get": `case "$*" in *gluetun*) echo 'ERROR permission denied' >&2; exit 1 ;; *) echo '{"config":"{\"instance_name\":\"client\"}"}' ;; esac`,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(tools, name), fmt.Appendf(nil, "#!/bin/sh\n%s\n", body), 0o700))
	}
	t.Setenv("PATH", tools+":"+os.Getenv("PATH"))
	env := hook.Env{Reader: c, Pebble: hook.ContainerPebble}
	o, err := observe(t.Context(), env)
	require.NoError(t, err)
	assert.Empty(t, o.Consumers)
	assert.Empty(t, o.View.Network.Domain)
	o, err = see(t.Context(), env, true)
	require.NoError(t, err)
	require.Len(t, o.Consumers, 1)
	assert.Equal(t, "client", o.Consumers[0].App)
	assert.NotEmpty(t, o.View.Network.Services)
	assert.NotZero(t, o.Config.VXLANID)
	assert.Equal(t, hook.Active("standby: the leader has the tunnel; this unit takes over with the lead, in a minute or so"), Reconcile(o).Status, "as its hooks say")
}

// Networks that only a refusal names are asked for once in a pod.
func TestObserveAsksForServicesOnce(t *testing.T) {
	c, see := inPod(t, "nameserver 10.43.0.10\n", nil)
	delete(c.objects, "ServiceCIDR")
	first := see().View.Network.Services
	asked := c.tried
	assert.Positive(t, asked)
	assert.Equal(t, "10.43.0.0/16", first.String())
	assert.Equal(t, first, see().View.Network.Services)
	assert.Equal(t, asked, c.tried)
}

func TestObserveNamesTheGrant(t *testing.T) {
	_, see := inPod(t, "nameserver 10.43.0.10\n", map[string]any{"vpn-provider": "nordvpn", "wireguard-private-key-secret": "secret:9m4e2mr0ui3e8a215n4g"})
	err := see().SecretErr
	assert.ErrorIs(t, err, errOperator)
	assert.Equal(t, container, Reconcile(see()).Soon.Container, "Juju tells nobody of a grant")
	assert.EqualError(t, err, "cannot read wireguard-private-key-secret for vpn-provider=nordvpn: juju grant-secret secret:9m4e2mr0ui3e8a215n4g gluetun")

	granted := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(granted, "secret-get"), fmt.Appendf(nil, "#!/bin/sh\necho '{\"private-key\":%q}'\n", privateKey), 0o700))
	t.Setenv("PATH", granted+":"+os.Getenv("PATH"))
	o := see()
	require.NoError(t, o.SecretErr, "the next hook has it")
	assert.Equal(t, Secret{"private-key": privateKey}, o.Secret)
}

// Where the networks cannot be told anew, what was said of them last is read; else it is no concern of the hook.
func TestObserveWhatWasSaid(t *testing.T) {
	c, see := inPod(t, "nameserver 10.43.0.10\n", map[string]any{"vpn-provider": "mullvad"})
	tools := t.TempDir()
	for name, body := range map[string]string{
		"relation-ids": `case $1 in vpn-gateway) echo '["vpn-gateway:11","vpn-gateway:8"]' ;; *) echo '[]' ;; esac`, "relation-list": `case "$*" in *--app*) echo '"client"' ;; *) echo '[]' ;; esac`,
		"relation-get": `case "$*" in *vpn-gateway:8*gluetun*) echo '{"config":"{}"}' ;; *) echo '{}' ;; esac`,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(tools, name), fmt.Appendf(nil, "#!/bin/sh\n%s\n", body), 0o700))
	}
	t.Setenv("PATH", tools+":"+os.Getenv("PATH"))
	o := see()
	require.Error(t, o.ConfigErr, "mullvad wants a key")
	assert.Equal(t, map[string]map[string]string{"vpn-gateway:8": {"config": "{}"}}, o.Said)

	c.objects["Node"] = `{"items": []}`
	o, err := observe(t.Context(), hook.Env{Reader: c, Pebble: hook.ContainerPebble})
	require.NoError(t, err)
	assert.ErrorContains(t, o.ViewErr, "cluster-cidrs")
	assert.Equal(t, map[string]map[string]string{"vpn-gateway:8": {"config": "{}"}}, o.Said)
}

// What the operator leaves open is this gateway's own, and off everything that the cluster and the tunnel have.
func TestObserveChoosesTheOverlay(t *testing.T) {
	open := func(more map[string]any) map[string]any {
		options := map[string]any{"vpn-provider": "mullvad", "vxlan-id": 0, "vxlan-ip-network": ""}
		maps.Copy(options, more)
		return options
	}
	_, see := inPod(t, "nameserver 10.43.0.10\n", open(nil))
	first := see()
	assert.NotZero(t, first.Config.VXLANID)
	assert.True(t, netip.MustParsePrefix("172.16.0.0/12").Overlaps(first.Config.Overlay.Prefix()))
	assert.Empty(t, hook.Refusals(first.ConfigErr))

	_, see = inPod(t, "nameserver 10.43.0.10\n", open(map[string]any{"wireguard-private-key-secret": "secret:1"}))
	readable(t, map[string]string{"private-key": privateKey, "addresses": first.Config.Overlay.String() + ".2/32"})
	assert.NotEqual(t, first.Config.Overlay, see().Config.Overlay, "the tunnel has it")
	_, see = inPod(t, "nameserver 10.43.0.10\n", open(map[string]any{"dns-resolvers": first.Config.Overlay.String() + ".53"}))
	assert.NotEqual(t, first.Config.Overlay, see().Config.Overlay, "a resolver behind the tunnel has it")

	c, see := inPod(t, "nameserver 10.43.0.10\n", open(map[string]any{"vxlan-id": 7}))
	c.objects["GatewayConfig"] = `{"items": [{"metadata": {"name": "gluetun-vpn-gateway", "namespace": "vpn", "labels": {"app.kubernetes.io/name": "gluetun"}},
		"data": {"settings.sh": "VXLAN_ID='7'\nVXLAN_IP_NETWORK='` + first.Config.Overlay.String() + `'\n"}}]}`
	o := see()
	assert.Zero(t, o.Config.VXLANID, "nothing is laid by it, and nobody told")
	assert.ErrorContains(t, o.ConfigErr, fmt.Sprintf(`cannot use option vxlan-id="7" with vpn-provider=mullvad: gateway vpn/gluetun has 7: juju config gluetun vxlan-id=%d`, first.Config.VXLANID))
	assert.NotEqual(t, first.Config.Overlay, o.Config.Overlay)

	_, err := configured(t, open(map[string]any{"vxlan-id": -1, "vxlan-ip-network": "8.8.8"}))
	require.Error(t, err)
	o = see()
	assert.Len(t, hook.Refusals(o.ConfigErr), 2)
	assert.Zero(t, o.Config.VXLANID, "nobody knows what was meant")
	assert.False(t, o.Config.Overlay.Prefix().IsValid())
}
