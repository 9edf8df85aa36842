//go:build datapath

package guard

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/tests/internal/agent"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/guard"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

func TestMain(m *testing.M) { os.Exit(agent.Main(m)) }

func standing(r overlay.Report) bool { return r.Guard.Standing && r.Guard.Error == "" }

// holds makes a guard the one of an agent's file.
func holds(a *agent.Agent, g overlay.Guard) { a.Configure(overlay.Config{Guard: g}) }

// Whoever changes the guard, it is as it was in the next moment; and it stays when the agent is killed.
func TestTheAgentKeepsTheGuard(t *testing.T) {
	s := newStage(t)
	a := agent.New(t, s.pod, "guard")
	holds(a, rules)
	a.Start()
	report := a.Until("it stands", standing)
	assert.True(t, report.Guard.Raw)
	assert.Equal(t, s.pod.Inode(t), report.Namespace)

	require.NoError(t, s.pod.Do(t, func() error { return udp(9000, nil)(netip.MustParseAddr("198.18.1.1")) }))
	require.Zero(t, s.counted.Of("198.18.1.1"))
	assert.Positive(t, a.Report().Guard.Dropped[guard.Out])

	require.NoError(t, s.pod.Do(t, guard.Remove))
	a.Until("it stands again", func(r overlay.Report) bool { return standing(r) && r.Guard.Repairs == 1 })
	require.NoError(t, s.pod.Do(t, func() error { return udp(9000, nil)(netip.MustParseAddr("198.18.1.1")) }))
	assert.Zero(t, s.counted.Of("198.18.1.1"), "LEAK")

	// Somebody lets one address of the world in among the cluster's.
	require.NoError(t, s.pod.Do(t, func() error {
		conn, err := nftables.New()
		if err != nil {
			return err
		}
		set, err := conn.GetSetByName(&nftables.Table{Name: guard.Table, Family: nftables.TableFamilyINet}, "cluster4")
		if err != nil {
			return err
		}
		err = conn.SetAddElements(set, []nftables.SetElement{{Key: []byte{198, 18, 1, 1}}, {Key: []byte{198, 18, 1, 2}, IntervalEnd: true}})
		if err != nil {
			return err
		}
		return conn.Flush()
	}))
	a.Until("the hole is closed", func(r overlay.Report) bool { return standing(r) && r.Guard.Repairs == 2 })
	require.NoError(t, s.pod.Do(t, func() error { return udp(9000, nil)(netip.MustParseAddr("198.18.1.1")) }))
	assert.Zero(t, s.counted.Of("198.18.1.1"), "LEAK")
	// Somebody has both tables stand as they are, and do nothing.
	require.NoError(t, s.pod.Do(t, func() error {
		sleep := ""
		for _, family := range []string{"inet", "netdev"} { // at once: it may be laid again between the two
			sleep += "add table " + family + " " + guard.Table + " { flags dormant; };"
		}
		out, err := exec.Command("nft", sleep).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	}))
	a.Until("it is awake", func(r overlay.Report) bool { return standing(r) && r.Guard.Repairs == 3 })
	require.NoError(t, s.pod.Do(t, func() error { return udp(9000, nil)(netip.MustParseAddr("198.18.1.1")) }))
	assert.Zero(t, s.counted.Of("198.18.1.1"), "LEAK")
	before := a.Report().Guard.Dropped[guard.Out]

	a.Kill()
	require.NoError(t, s.pod.Do(t, func() error { return udp(9000, nil)(netip.MustParseAddr("198.18.1.1")) }))
	assert.Zero(t, s.counted.Of("198.18.1.1"), "LEAK")
	a.Start()
	report = a.Until("the next agent takes it over", standing)
	assert.Greater(t, report.Guard.Dropped[guard.Out], before, "it goes on counting")
	time.Sleep(2500 * time.Millisecond) // until it has looked once more
	assert.Zero(t, a.Report().Guard.Repairs, "nobody has changed anything since")
}

// The cluster's networks change; a file that cannot be read changes nothing.
func TestTheAgentFollowsItsFile(t *testing.T) {
	s := newStage(t)
	s.listen(6881)
	a := agent.New(t, s.pod, "guard")
	a.Write("{")
	a.Start()
	report := a.Until("it says what is wrong", func(r overlay.Report) bool { return r.Guard.Error != "" })
	assert.False(t, report.Guard.Standing)
	assert.Contains(t, report.Guard.Error, a.File)

	holds(a, rules)
	a.Until("it stands", standing)
	_, err := s.from(s.world, moment, "198.18.2.1", "10.42.0.5:6881")
	require.Error(t, err)

	more := rules
	more.Inbound = []uint16{8080, 6881}
	holds(a, more)
	assert.Eventually(t, func() bool {
		_, err := s.from(s.world, moment, "198.18.2.2", "10.42.0.5:6881")
		return err == nil
	}, 5*time.Second, 50*time.Millisecond)
	assert.Zero(t, a.Report().Guard.Repairs, "a change of the file is no repair")

	a.Write(`{"guard": {"device": "eth0"}}`)
	report = a.Until("it says what is wrong", func(r overlay.Report) bool { return r.Guard.Error != "" })
	assert.True(t, report.Guard.Standing, "the last rules stay")
	assert.Contains(t, report.Guard.Error, "overlay must be")
	require.NoError(t, s.pod.Do(t, func() error { return udp(9000, nil)(netip.MustParseAddr("198.18.2.3")) }))
	assert.Zero(t, s.counted.Of("198.18.2.3"), "LEAK")
}

// As an init container it lays the guard and ends, and ends well in any case.
func TestTheAgentAsInitContainer(t *testing.T) {
	s := newStage(t)
	a := agent.New(t, s.pod, "guard")
	assert.Contains(t, a.Init(), "no such file")
	holds(a, rules)
	refused := a.Init("setpriv", "--bounding-set", "-net_admin")
	assert.Contains(t, refused, "cannot install the guard: ", "the charm hears of no guard, and starts nothing")
	assert.Contains(t, refused, "operation not permitted")
	require.NoError(t, s.pod.Do(t, func() error { return udp(9000, nil)(netip.MustParseAddr("198.18.3.2")) }))
	require.Positive(t, s.counted.Until("198.18.3.2"), "there is none")
	assert.Contains(t, a.Init(), "the guard stands")
	require.NoError(t, s.pod.Do(t, func() error { return udp(9000, nil)(netip.MustParseAddr("198.18.3.1")) }))
	assert.Zero(t, s.counted.Of("198.18.3.1"), "LEAK")
}
