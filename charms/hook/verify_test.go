package hook

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/vpnk8slib"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// The overlay is taken down only where everything is as it should be: a pod that nothing protects would leak.
func TestNoDrillWhereACheckFails(t *testing.T) {
	done := 0
	do := func() []vpnk8slib.Finding {
		done++
		return []vpnk8slib.Finding{{Check: "drill-tcp", Verdict: vpnk8slib.Pass}}
	}
	for _, c := range []struct {
		name    string
		guard   vpnk8slib.Verdict
		last    string
		verdict vpnk8slib.Verdict
		done    int
	}{
		{"all is well", vpnk8slib.Pass, "drill-tcp", vpnk8slib.Pass, 1},
		{"nobody knows whether policies are enforced, and the guard stands", vpnk8slib.Unknown, "drill-tcp", vpnk8slib.Pass, 1},
		{"no guard", vpnk8slib.Fail, "drill", vpnk8slib.Unknown, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			done = 0
			all := drill([]vpnk8slib.Finding{{Check: "guard", Verdict: c.guard}}, do)
			assert.Equal(t, c.done, done)
			assert.Equal(t, c.last, all[len(all)-1].Check)
			assert.Equal(t, c.verdict, all[len(all)-1].Verdict)
		})
	}
}

// Without an agent that keeps the overlay nobody could take it down for a while: verified it can be, and a drill is refused.
func TestDrillNeedsTheAgentsOverlay(t *testing.T) {
	v := VPN{Link: vpnk8slib.Link{Relation: "vpn-gateway:1", Gateway: vpnk8slib.ProviderData{VPNConnected: true}}}
	v.Pod.Agent = &overlay.Report{Guard: overlay.GuardState{Standing: true, Raw: true}}
	assert.NoError(t, v.verifiable(false))
	assert.ErrorContains(t, v.verifiable(true), "juju config <the gateway> routing-method=overlay")
	v.Pod.Agent.Client = &overlay.ClientState{}
	assert.NoError(t, v.verifiable(true))
	v.Link = vpnk8slib.Link{Err: vpnk8slib.ErrNotRelated}
	assert.ErrorContains(t, v.verifiable(true), "this unit is not routed")
}

// Each port is asked for by its number, behind the URL.
func TestPortsAreAskedFor(t *testing.T) {
	p := VerifyParams{Port: "http://203.0.113.200/port/"}
	assert.Empty(t, p.targets().Ports)
	assert.Equal(t, []string{"http://203.0.113.200/port/40001", "http://203.0.113.200/port/40002"}, p.targets(40001, 40002).Ports)
}

// As whom one is seen without the VPN only the operator knows.
func TestOwnAddresses(t *testing.T) {
	var p VerifyParams
	require.NoError(t, p.Own.UnmarshalText([]byte("198.51.100.7, 2001:db8:7::/56,::ffff:198.51.100.8")))
	assert.Equal(t, own{netip.MustParsePrefix("198.51.100.7/32"), netip.MustParsePrefix("2001:db8:7::/56"), netip.MustParsePrefix("198.51.100.8/32")}, p.Own)
	var nobody vpnk8slib.Way
	assert.EqualValues(t, p.Own, p.try(t.Context(), nobody, vpnk8slib.EgressTargets{}).Own)
	require.NoError(t, p.Own.UnmarshalText(nil))
	assert.Empty(t, p.Own)
	for _, text := range []string{"home.example", "198.51.100.7/33", "::ffff:198.51.100.7/128", "fe80::1%eth0"} {
		assert.EqualError(t, p.Own.UnmarshalText([]byte(text)), "set addresses, or their networks, such as 198.51.100.7,2001:db8:7::/56")
	}
}
