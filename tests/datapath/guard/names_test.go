//go:build datapath

package guard

import (
	"errors"
	"net"
	"sync/atomic"
	"testing"

	"github.com/google/nftables"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/charmarr/charmarr-go/tests/internal/ns"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/guard"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/nft"
)

// A question for a name goes to the agent's resolver or nowhere: also where something else has led it away, to another interface
// or to another port of the pod's own.
func TestAQuestionGoesNowhereElse(t *testing.T) {
	s := newStage(t)
	heard := s.questions(s.world, 53)
	elsewhere := s.questions(s.pod, 15053)
	g := rules
	g.Names = 5301
	s.ask()
	require.Eventually(t, func() bool { return heard() == 1 }, patience, moment, "without a guard the cluster's resolver hears")

	s.guard(g)
	led := s.questions(s.pod, 5301)
	s.ask()
	require.Eventually(t, func() bool { return led() == 1 }, patience, moment, "the agent's resolver hears")
	assert.Zero(t, s.dropped()[guard.Asked])

	s.without(nftables.TableFamilyINet, "first")
	s.ask()
	assert.EqualValues(t, 1, s.dropped()[guard.Asked])
	s.redirect(15053)
	s.ask()
	assert.EqualValues(t, 2, s.dropped()[guard.Asked])
	assert.Equal(t, 1, heard(), "LEAK: the cluster's resolver heard")
	assert.Zero(t, elsewhere(), "LEAK: another resolver heard")

	require.NoError(t, s.pod.Do(s.T, guard.Remove))
	s.ask()
	require.Eventually(t, func() bool { return elsewhere() == 1 }, patience, moment, "without a guard the other one hears")
	assert.Equal(t, 1, heard(), "LEAK: the cluster's resolver heard")
}

// Where no agent stays beside the next init containers, root asks the cluster's resolver, and nobody else does.
func TestRootAsksWhereNoAgentStays(t *testing.T) {
	s := newStage(t)
	heard, led := s.questions(s.world, 53), s.questions(s.pod, 5301)
	g := rules
	g.Names, g.RootAsks = 5301, true
	s.guard(g)
	s.ask()
	require.Eventually(t, func() bool { return led() == 1 }, patience, moment)
	s.askAs(0)
	require.Eventually(t, func() bool { return heard() == 1 }, patience, moment)

	g.RootAsks = false
	s.guard(g)
	s.askAs(0)
	require.Eventually(t, func() bool { return led() == 2 }, patience, moment)
	assert.Equal(t, 1, heard(), "LEAK: the cluster's resolver heard")
}

// An answer that comes when nobody waits for it any more is refused by the kernel, with all of it, to whom it seems to be from.
func TestALateAnswerIsNotSentBack(t *testing.T) {
	s := newStage(t)
	g := rules
	g.Names = 5301
	s.guard(g)
	var questions net.PacketConn
	require.NoError(t, s.pod.Do(s.T, func() (err error) {
		questions, err = net.ListenPacket("udp", "127.0.0.1:5301")
		return err
	}))
	defer questions.Close()
	late := func() {
		s.ask() // and leaves
		text := make([]byte, 64)
		_, from, err := questions.ReadFrom(text)
		require.NoError(t, err)
		_, err = questions.WriteTo([]byte("tracker.example.com is 198.51.100.7"), from)
		require.NoError(t, err)
	}
	late()
	require.Eventually(t, func() bool { return s.dropped()[guard.Asked] == 1 }, patience, moment)
	assert.Zero(t, s.counted.Of("10.43.0.10"), "LEAK: the cluster's resolver was sent a name")

	s.without(nftables.TableFamilyINet, "out")
	s.without(nftables.TableFamilyNetdev, "egress")
	late()
	require.NotZero(t, s.counted.Until("10.43.0.10"), "without the judge it is sent back")
}

// questions counts the datagrams that come to a port.
func (s *stage) questions(n *ns.NS, port int) func() int {
	s.Helper()
	var heard atomic.Int64
	require.NoError(s, n.Do(s.T, func() error {
		l, err := net.ListenUDP("udp", &net.UDPAddr{Port: port})
		if err != nil {
			return err
		}
		s.Cleanup(func() { _ = l.Close() })
		go func() {
			for text := make([]byte, 64); ; heard.Add(1) {
				if _, _, err := l.ReadFrom(text); err != nil {
					return
				}
			}
		}()
		return nil
	}))
	return func() int { return int(heard.Load()) }
}

// ask sends one question, as a workload.
func (s *stage) ask() {
	s.Helper()
	s.askAs(1000)
}

// askAs sends one question, as a user.
func (s *stage) askAs(uid int) {
	s.Helper()
	require.NoError(s, s.pod.Do(s.T, func() error {
		if _, err := unix.SetfsuidRetUid(uid); err != nil { // of this thread, which ends here
			return err
		}
		c, err := net.Dial("udp", "10.43.0.10:53")
		if err != nil {
			return err
		}
		_, err = c.Write([]byte("?"))
		if errors.Is(err, unix.EPERM) { // dropped on its way out
			err = nil
		}
		return errors.Join(err, c.Close())
	}))
}

// without has a chain of the guard's let everything pass.
func (s *stage) without(of nftables.TableFamily, chain string) {
	s.Helper()
	require.NoError(s, s.pod.Do(s.T, func() error {
		conn, err := nftables.New()
		if err != nil {
			return err
		}
		at := &nftables.Chain{Table: &nftables.Table{Name: guard.Table, Family: of}, Name: chain}
		conn.FlushChain(at)
		conn.AddRule(&nftables.Rule{Table: at.Table, Chain: at, Exprs: nft.Rule(nft.Accept())}) // an empty one drops
		return conn.Flush()
	}))
}

// redirect leads questions to another port, as a mesh does.
func (s *stage) redirect(port uint16) {
	s.Helper()
	require.NoError(s, s.pod.Do(s.T, func() error {
		conn, err := nftables.New()
		if err != nil {
			return err
		}
		table := conn.AddTable(&nftables.Table{Name: "somebody-elses", Family: nftables.TableFamilyINet})
		chain := conn.AddChain(&nftables.Chain{
			Table: table, Name: "out", Type: nftables.ChainTypeNAT, Hooknum: nftables.ChainHookOutput, Priority: nftables.ChainPriorityNATDest,
		})
		conn.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: nft.Rule(nft.Proto(unix.IPPROTO_UDP), nft.Dport(53), nft.Redirect(port))})
		return conn.Flush()
	}))
}
