//go:build datapath

package guard

import (
	"net/netip"
	"testing"

	"github.com/google/nftables"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/charmarr/charmarr-go/vpnk8slib/agent/guard"
)

// A workload that runs as root asks the agent like any other: it may not set the mark that the agent's own questions bear, and
// whoever has the mark and is not root gains nothing by it.
func TestARootProcessAsksTheAgent(t *testing.T) {
	const workload, root = 1000, 0
	s := newStage(t)
	cluster, led, elsewhere := s.questions(s.world, 53), s.questions(s.pod, 5301), s.questions(s.pod, 15053)
	hears := func(count func() int, n int, who string) {
		t.Helper()
		require.Eventually(t, func() bool { return count() == n }, patience, moment, who)
	}
	s.askAs(root)
	hears(cluster, 1, "without the guard the cluster's resolver hears")

	g := rules
	g.Names = 5301
	s.guard(g)
	s.askAs(root)
	hears(led, 1, "the agent's resolver hears")
	require.NoError(t, s.marked(root, true))
	hears(cluster, 2, "the agent's own question")
	assert.ErrorIs(t, s.marked(root, false), unix.EPERM, "a workload has not what it takes")
	require.NoError(t, s.marked(workload, true))
	hears(led, 2, "who is not root, whatever its mark")
	assert.Zero(t, s.dropped()[guard.Asked])

	s.without(nftables.TableFamilyINet, "first")
	for i, lead := range []func(){func() {}, func() { s.redirect(15053) }} {
		lead()
		s.askAs(root)
		assert.EqualValues(t, i+1, s.dropped()[guard.Asked])
	}
	assert.Equal(t, 2, cluster(), "LEAK: the cluster's resolver heard")
	assert.Zero(t, elsewhere(), "LEAK: another resolver heard")
}

// marked sends one question with ztunnel's mark, as a user, with root's capabilities or with none.
func (s *stage) marked(uid int, able bool) error {
	s.Helper()
	return s.pod.Do(s.T, func() error { // on a thread that ends here
		if _, err := unix.SetfsuidRetUid(uid); err != nil {
			return err
		}
		if !able {
			none := [2]unix.CapUserData{}
			if err := unix.Capset(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &none[0]); err != nil {
				return err
			}
		}
		_, err := dial("udp", netip.MustParseAddrPort("10.43.0.10:53"), moment, withMark(guard.Ztunnel))
		return err
	})
}
