package agent

import (
	"testing"

	"github.com/juju/juju/rpc/params"
	"github.com/stretchr/testify/require"
)

// What Juju says of a unit in its databag is its Service's address. It comes when it is known, the other side hears of
// it, and a pod that has moved changes nothing.
func TestAddresses(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.enterScope("client/0"))
	require.Empty(t, w.relation.UnitData["client/0"], "there is no address yet, and /32 is none")
	self := params.Entities{Entities: []params.Entity{{Tag: "unit-client-0"}}}
	address := func(method string) params.StringResult {
		return call[params.StringResults](w, "client/0", method, self).Results[0]
	}
	require.Equal(t, params.CodeNoAddressSet, address("Uniter.PrivateAddress").Error.Code)
	hashes := func() []string {
		return call[params.StringsWatchResults](w, "client/0", "Uniter.WatchUnitAddressesHash", self).Results[0].Changes
	}
	require.Equal(t, []string{""}, hashes())

	seen := w.relation.Versions["client/0"]
	w.m.Apps["client"].Address, w.m.Units["client/0"].Address = "10.43.0.7", "10.42.0.7"
	known := hashes()
	require.Len(t, known[0], 64)
	require.NoError(t, w.commit("client/0", params.CommitHookChangesArg{}))
	require.Empty(t, w.relation.UnitData["client/0"], "only config-changed asks for it")
	configChanged := said("client/0", map[string]string{"own": "1"}, nil)
	configChanged.UpdateNetworkInfo = true
	require.NoError(t, w.commit("client/0", configChanged))
	require.Equal(t, map[string]string{
		"ingress-address": "10.43.0.7", "private-address": "10.43.0.7", "egress-subnets": "10.43.0.7/32", "own": "1",
	}, w.relation.UnitData["client/0"])
	require.Greater(t, w.relation.Versions["client/0"], seen)

	seen = w.relation.Versions["client/0"]
	w.m.Units["client/0"].Address = "10.42.0.9"
	require.Equal(t, known, hashes())
	require.NoError(t, w.commit("client/0", configChanged))
	require.Equal(t, seen, w.relation.Versions["client/0"])

	require.Equal(t, "10.43.0.7", address("Uniter.PrivateAddress").Result)
	require.Equal(t, params.CodeNoAddressSet, address("Uniter.PublicAddress").Error.Code)
	id := w.relation.ID
	info := call[params.NetworkInfoResults](w, "client/0", "Uniter.NetworkInfo", params.NetworkInfoParams{
		Unit: "unit-client-0", Endpoints: []string{"mates", "nothing"}, RelationId: &id,
	}).Results
	require.Equal(t, "10.42.0.9", info["mates"].Info[0].Addresses[0].Address, "the pod itself is bound to its own")
	require.Equal(t, []string{"10.43.0.7"}, info["way"].IngressAddresses)
	require.Equal(t, []string{"10.43.0.7/32"}, info["way"].EgressSubnets)
	require.EqualError(t, info["nothing"].Error, `undefined for unit charm: endpoint "nothing" not valid`)

	w.m.Apps["client"].Address = "2001:db8::7"
	require.NoError(t, w.commit("client/0", configChanged))
	require.Equal(t, "2001:db8::7/128", w.relation.UnitData["client/0"]["egress-subnets"])
	w.m.Apps["client"].Address = ""
	require.NoError(t, w.commit("client/0", configChanged))
	require.Equal(t, map[string]string{"own": "1"}, w.relation.UnitData["client/0"])
}
