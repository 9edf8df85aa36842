package hook

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/charmarr/charmarr-go/vpnk8slib"
)

// What was found first in a pod is what every later hook of that pod goes by, whatever would be found then.
func TestKeep(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("JUJU_CHARM_DIR", dir)
	finds := func(text string, err error) func() (string, error) {
		return func() (string, error) { return text, err }
	}
	_, err := keep(".some", finds("", errors.New("not yet")))
	require.EqualError(t, err, "not yet", "a failure is not kept")
	for _, text := range []string{"first", "second"} {
		kept, err := keep(".some", finds(text, nil))
		require.NoError(t, err)
		assert.Equal(t, "first", kept)
	}
	other, err := keep(".other", finds("", nil))
	require.NoError(t, err)
	assert.Empty(t, other)

	t.Setenv("JUJU_CHARM_DIR", t.TempDir())
	kept, err := keep(".some", finds("of another pod", nil))
	require.NoError(t, err)
	assert.Equal(t, "of another pod", kept)

	t.Setenv("JUJU_CHARM_DIR", filepath.Join(dir, "gone"))
	_, err = keep(".some", finds("lost", nil))
	assert.ErrorContains(t, err, "cannot keep what was found")
}

func TestResolvConf(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("JUJU_CHARM_DIR", dir)
	now, err := os.ReadFile("/etc/resolv.conf")
	require.NoError(t, err)
	text, err := ResolvConf()
	require.NoError(t, err)
	assert.Equal(t, string(now), text)

	require.NoError(t, os.WriteFile(filepath.Join(dir, ".resolv.conf"), []byte("nameserver 169.254.20.10\n"), 0o600))
	text, err = ResolvConf()
	require.NoError(t, err)
	assert.Equal(t, "nameserver 169.254.20.10\n", text)
}

// Networks that had to be asked for are kept for the next hook of this pod; others cost no question, and may change.
func TestKeepServices(t *testing.T) {
	t.Setenv("JUJU_CHARM_DIR", t.TempDir())
	services, err := vpnk8slib.ParseCIDRs("10.152.183.0/24,fd98::/108")
	require.NoError(t, err)
	KeepServices(vpnk8slib.Network{Services: services})
	assert.Empty(t, KnownServices())
	KeepServices(vpnk8slib.Network{Services: services, ServicesAsked: true})
	assert.Equal(t, services, KnownServices())
	require.NoError(t, os.WriteFile(inPod(servicesFile), []byte("half of"), 0o600))
	assert.Empty(t, KnownServices(), "what cannot be read is asked for again")
}

// cluster answers with the objects it has, by kind or by kind and name, and says of its Services' network only in a refusal.
type cluster struct {
	objects map[string]string
	tried   int
	asked   []string
}

func (c *cluster) Get(_ context.Context, ref vpnk8slib.Ref, into any) error {
	c.asked = append(c.asked, ref.String())
	text, ok := c.objects[ref.String()]
	if !ok {
		return apierrors.NewNotFound(schema.GroupResource{Resource: ref.Kind}, ref.Name)
	}
	return json.Unmarshal([]byte(text), into)
}

func (c *cluster) List(ctx context.Context, kind, _ string, into any) error {
	return c.Get(ctx, vpnk8slib.Ref{Kind: kind, Name: "list"}, into)
}

func (c *cluster) Try(context.Context, *vpnk8slib.Object) error {
	c.tried++
	return apierrors.NewBadRequest("the provided IP is not in the valid range. The range of valid IPs is 10.43.0.0/16")
}

// A consumer asks for the Services' network once in a pod, and looks at its own pod.
func TestSeeVPNAsksOnce(t *testing.T) {
	juju(t, model{}, "config-changed")
	c := &cluster{objects: map[string]string{
		"ServiceAccount app": `{}`, "Service kubernetes": `{}`, "EndpointSlice list": `{}`, "Pod list": `{}`, "TrialPod list": `{}`, "NetworkPolicy list": `{}`, "Pod app-0": `{}`,
		"Node list": `{"items": [{"spec": {"podCIDRs": ["10.42.0.0/24"]}}]}`, "Service kube-dns": `{"spec": {"clusterIPs": ["10.43.0.10"]}}`,
	}}
	see := func() string {
		v, err := SeeVPN(t.Context(), Env{Reader: c}, Unit{Name: "app/0", App: "app", Model: "m", Leader: true}, VPNOptions{})
		require.NoError(t, err)
		require.NoError(t, v.ViewErr)
		return v.View.Network.Services.String()
	}
	assert.Equal(t, "10.43.0.0/16", see())
	tried := c.tried
	assert.Positive(t, tried)
	assert.Equal(t, "10.43.0.0/16", see())
	assert.Equal(t, tried, c.tried)
	assert.Contains(t, c.asked, "Pod app-0")
}
