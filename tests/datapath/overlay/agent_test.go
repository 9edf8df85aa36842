//go:build datapath

package overlay

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/tests/internal/agent"
	"github.com/charmarr/charmarr-go/tests/internal/ns"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

func TestMain(m *testing.M) { os.Exit(agent.Main(m)) }

// member is a client's pod with its agent.
type member struct {
	*ns.NS
	*agent.Agent
	config overlay.Config
}

// gatewayAgent makes a gateway's pod with its agent, which knows where clients were seen. Blocks, if there are any, take the place of ours.
func (s *stage) gatewayAgent(v4 string, seen map[netip.Addr]netip.Addr, blocks ...overlay.Block) *member {
	s.Helper()
	m := s.gatewayPod(v4, seen, blocks...)
	m.Start()
	return m
}

// gatewayPod is one whose agent has not begun.
func (s *stage) gatewayPod(v4 string, seen map[netip.Addr]netip.Addr, blocks ...overlay.Block) *member {
	s.Helper()
	m := &member{NS: s.join(v4, "fd42::"+v4[len("10.42.0."):])}
	s.tunnel(m.NS, "t"+v4[len("10.42."):])
	m.Agent = agent.New(s.T, m.NS, "gateway")
	gateway := ours
	gateway.Blocks = slices.Clone(gateway.Blocks)
	if len(blocks) > 0 {
		gateway.Blocks = blocks
	}
	gateway.Seen, gateway.Probes = seen, []netip.AddrPort{netip.MustParseAddrPort("198.18.0.1:443")}
	m.config = overlay.Config{
		Guard:   overlay.Guard{Device: "eth0", Overlay: "tun0", Router: "vxlan0", Cluster: way.Direct, Outside: []netip.AddrPort{server}, Port: way.Port, Beats: way.Beats},
		Gateway: &gateway,
	}
	m.Configure(m.config)
	for _, b := range gateway.Blocks {
		m.Key(b.Name, keyOf(b.Name))
	}
	m.Init()
	return m
}

// clientAgent makes a client's pod with its agent.
func (s *stage) clientAgent(v4 string, c overlay.Client, key string, names ...*overlay.Names) *member {
	s.Helper()
	m := s.clientPod(v4, c, key, names...)
	m.Init()
	m.Start()
	return m
}

// clientPod is one in which nothing has run yet.
func (s *stage) clientPod(v4 string, c overlay.Client, key string, names ...*overlay.Names) *member {
	s.Helper()
	m := &member{NS: s.join(v4, "fd42::"+v4[len("10.42.0."):])}
	m.Agent = agent.New(s.T, m.NS, "client")
	g := rules
	g.Own = c.Address.Addr()
	m.config = overlay.Config{Guard: g, Client: &c}
	for _, n := range names {
		m.config.Names, m.config.Guard.Names = n, n.Port
	}
	m.Configure(m.config)
	m.Key("key", key)
	return m
}

// laid holds of a client that waits for its gateway, or has it.
func laid(r overlay.Report) bool {
	return r.Client != nil && r.Client.Peer.IsValid() && r.Client.Error == ""
}

// keyOf is an application's key.
func keyOf(name string) string { return "the key of an application named " + name }

var qbittorrentKey = keyOf("qbittorrent")

// pods are where a gateway has seen its clients.
func pods(gateway *member) map[netip.Addr]netip.Addr {
	seen := map[netip.Addr]netip.Addr{}
	for client, at := range gateway.Report().Gateway.Clients {
		seen[client] = at.Pod
	}
	return seen
}

// gone takes a pod away from everybody at once, as when its node's kubelet ends it.
func (m *member) gone(t *testing.T) {
	t.Helper()
	m.Kill()
	m.Delete(t, "eth0")
	m.Delete(t, "tun0")
}

// through waits until the world is reached through the tunnel, and says after how long.
func (s *stage) through(pod *ns.NS) time.Duration {
	s.Helper()
	start := time.Now()
	for time.Since(start) < 10*time.Second {
		if said, err := s.ask(pod, "198.18.0.1:443", moment); err == nil {
			require.Equal(s, "world sees 10.2.0.2", said, "LEAK")
			return time.Since(start)
		}
		time.Sleep(5 * time.Millisecond)
	}
	require.Fail(s, "the world is not reached through the tunnel")
	return 0
}

// A client finds its gateway, follows it to another pod, and keeps its connection.
func TestAgentsFindEachOther(t *testing.T) {
	s := newWorld(t)
	first := s.gatewayAgent("10.42.0.7", nil)
	pod := s.clientAgent("10.42.0.5", way, qbittorrentKey)
	s.through(pod.NS)
	report := pod.Until("the gateway is heard", func(r overlay.Report) bool { return r.Client != nil && !r.Client.Lost })
	assert.True(t, report.Guard.Standing)
	assert.Empty(t, report.Client.Error)
	report = first.Until("the tunnel is up", func(r overlay.Report) bool { return r.Gateway != nil && r.Gateway.Tunnel })
	assert.Equal(t, netip.MustParseAddr("10.42.0.5"), report.Gateway.Clients[way.Address.Addr()].Pod)
	assert.Empty(t, report.Gateway.Error)
	assert.Zero(t, report.Gateway.Foreign)

	c := s.connection(pod.NS)
	seen := pods(first)
	first.gone(t)
	pod.Until("the gateway is lost", func(r overlay.Report) bool { return r.Client.Lost })
	out := s.node.Count(t, "p0.5")
	_, err := s.ask(pod.NS, "198.18.0.9:443", moment)
	require.Error(t, err)
	assert.Zero(t, out.Of("198.18.0.9"), "LEAK")
	_, err = s.ask(pod.NS, "10.43.0.1:443", patience)
	require.NoError(t, err)
	assert.Positive(t, out.Until("10.43.0.1"), "what leaves by the pod's own interface is seen")

	second := s.gatewayAgent("10.42.0.8", seen)
	s.through(pod.NS)
	c.say()
	report = pod.Until("the other is heard", func(r overlay.Report) bool { return !r.Client.Lost && r.Client.Moves == 1 })
	assert.Equal(t, netip.MustParseAddr("10.42.0.8"), report.Client.Peer)
	assert.Zero(t, report.Guard.Repairs, "the guard follows of itself")
	assert.Equal(t, netip.MustParseAddr("10.42.0.5"), second.Report().Gateway.Clients[way.Address.Addr()].Pod)

	// The client's interface goes, and comes again.
	pod.Delete(t, "vxlan0")
	s.through(pod.NS)
	c.say()
	// Its agent is killed: everything stays as it is. Another one takes it over.
	index := pod.Index(t, "vxlan0")
	pod.Kill()
	s.through(pod.NS)
	pod.Start()
	pod.Until("the gateway is heard", func(r overlay.Report) bool { return r.Client != nil && !r.Client.Lost })
	c.say()
	assert.Equal(t, index, pod.Index(t, "vxlan0"))
	// The gateway's is killed.
	second.Kill()
	second.Start()
	s.through(pod.NS)
	c.say()
}

// connection is one that stays, with somebody who repeats what he is told.
type connection struct {
	*stage
	net.Conn
}

func (s *stage) connection(pod *ns.NS) connection {
	s.Helper()
	s.world.Listen(s.T, 7, func(c net.Conn) {
		go func() {
			defer c.Close()
			buf := make([]byte, 64)
			for {
				n, err := c.Read(buf)
				if err != nil {
					return
				}
				_, _ = c.Write(buf[:n])
			}
		}()
	})
	var c net.Conn
	require.NoError(s, pod.Do(s.T, func() (err error) {
		c, err = net.DialTimeout("tcp", "198.18.0.1:7", patience)
		return err
	}))
	s.Cleanup(func() { _ = c.Close() })
	out := connection{s, c}
	out.say()
	return out
}

// say says something, and hears it.
func (c connection) say() {
	c.Helper()
	c.sayWithin(5 * time.Second)
}

func (c connection) sayWithin(wait time.Duration) {
	c.Helper()
	require.NoError(c, c.SetDeadline(time.Now().Add(wait)))
	_, err := c.Write([]byte("x"))
	require.NoError(c, err)
	_, err = c.Read(make([]byte, 1))
	require.NoError(c, err)
}

// Who does not know the key of an application is not heard; who knows one has no other's addresses. Nor does anybody take a
// client's place with what it said once.
func TestForgedHeartbeats(t *testing.T) {
	s := newWorld(t)
	gateway := s.gatewayAgent("10.42.0.7", nil)
	pod := s.clientAgent("10.42.0.5", way, qbittorrentKey)
	s.through(pod.NS)
	forged := func() uint64 { return gateway.Report().Gateway.Foreign }

	wrong := s.clientAgent("10.42.0.66", way, keyOf("somebody else"))
	require.Eventually(t, func() bool { return forged() > 3 }, patience, 20*time.Millisecond, "a client's address with another key")
	wrong.Kill()
	stolen := way
	stolen.Address = netip.MustParsePrefix("172.16.0.34/20") // sabnzbd's
	before := forged()
	other := s.clientAgent("10.42.0.67", stolen, qbittorrentKey)
	require.Eventually(t, func() bool { return forged() > before+3 }, patience, 20*time.Millisecond, "another application's address with its own key")
	_, err := s.ask(other.NS, "198.18.0.1:443", moment)
	assert.Error(t, err)
	other.Kill()
	before = forged()
	require.NoError(t, wrong.Do(t, func() error {
		c, err := net.Dial("udp", fmt.Sprintf("10.42.0.7:%d", way.Beats))
		if err != nil {
			return err
		}
		defer c.Close()
		for _, text := range []string{"", "cvpn", string(make([]byte, 2000))} {
			if _, err := c.Write([]byte(text)); err != nil {
				return err
			}
		}
		return nil
	}))
	require.Eventually(t, func() bool { return forged() >= before+2 }, patience, 20*time.Millisecond, "anything")
	clients := gateway.Report().Gateway.Clients
	assert.Len(t, clients, 1)
	assert.Equal(t, netip.MustParseAddr("10.42.0.5"), clients[way.Address.Addr()].Pod)
	for _, m := range []*member{wrong, other} {
		_, err := s.ask(m.NS, "198.18.0.1:443", moment)
		assert.Error(t, err)
	}
	s.through(pod.NS)
	other.Key("key", keyOf("sabnzbd"))
	other.Start()
	s.through(other.NS) // with the right key the same pod may
}

// The gateway is gone for good, and its pod's address is another pod's: that one gets the client's packets for a moment only.
func TestTheGatewaysAddressGetsAnotherOwner(t *testing.T) {
	s := newWorld(t)
	gateway := s.gatewayAgent("10.42.0.7", nil)
	pod := s.clientAgent("10.42.0.5", way, qbittorrentKey)
	s.through(pod.NS)
	gateway.gone(t)
	gone := time.Now()
	heir := s.join("10.42.0.7", "fd42::7")
	var got atomic.Int64
	require.NoError(t, heir.Do(t, func() error {
		c, err := net.ListenUDP("udp", &net.UDPAddr{Port: int(way.Port)})
		if err != nil {
			return err
		}
		t.Cleanup(func() { _ = c.Close() })
		go func() {
			for buf := make([]byte, 2000); ; {
				if _, err := c.Read(buf); err != nil {
					return
				}
				got.Add(1)
			}
		}()
		return nil
	}))
	_, err := s.ask(pod.NS, "198.18.0.9:443", moment)
	require.Error(t, err)
	require.Positive(t, got.Load(), "so long as the gateway may come back, packets are sent to where it was")
	time.Sleep(time.Until(gone.Add(7 * time.Second)))
	got.Store(0)
	_, err = s.ask(pod.NS, "198.18.0.9:443", moment)
	require.Error(t, err)
	assert.Zero(t, got.Load())
	s.gatewayAgent("10.42.0.8", map[netip.Addr]netip.Addr{way.Address.Addr(): netip.MustParseAddr("10.42.0.5")})
	s.through(pod.NS)
}

// The port that the gateway chose is taken in a client's pod: it says so, stays where it was, and goes on when another is chosen.
func TestAHeartbeatPortThatIsTaken(t *testing.T) {
	s := newWorld(t)
	s.gatewayAgent("10.42.0.7", nil)
	pod := s.clientAgent("10.42.0.5", way, qbittorrentKey)
	s.through(pod.NS)
	const taken = 6881
	require.NoError(t, pod.Do(t, func() error {
		c, err := net.ListenUDP("udp", &net.UDPAddr{Port: taken})
		if err == nil {
			t.Cleanup(func() { _ = c.Close() })
		}
		return err
	}))
	choose := func(port uint16) {
		c := pod.config
		end := *c.Client
		c.Client, end.Beats, c.Guard.Beats = &end, port, port
		pod.Configure(c)
	}
	choose(taken)
	report := pod.later("it says so", func(r overlay.Report) bool { return r.Client.Error != "" })
	assert.Contains(t, report.Client.Error, "address already in use: juju config <gateway> vxlan-port=<another>")
	choose(way.Beats)
	report = pod.later("it goes on", func(r overlay.Report) bool { return r.Client.Error == "" && !r.Client.Lost })
	assert.Zero(t, report.Client.Moves)
	pod.Delete(t, "vxlan0")
	s.through(pod.NS)
}

// later waits for what the agent finds when it looks at its configuration again.
func (m *member) later(what string, holds func(overlay.Report) bool) overlay.Report {
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); time.Sleep(moment) {
		if r := m.Report(); holds(r) {
			return r
		}
	}
	return m.Until(what, holds)
}

// Agents that have found each other leave interfaces and addresses alone: each change has whoever watches them look again, the agents
// themselves first.
func TestAgentsAtRestChangeNothing(t *testing.T) {
	s := newWorld(t)
	gateway := s.gatewayAgent("10.42.0.7", nil)
	client := s.clientAgent("10.42.0.5", way, qbittorrentKey)
	s.through(client.NS)
	time.Sleep(3 * time.Second) // the kernel tells of its own addresses of IPv6 when it has asked whether anybody has them
	for _, m := range []*member{gateway, client} {
		told := m.Changes(t)
		time.Sleep(time.Second) // ten rounds, and nothing to wait for: nothing is what should come
		assert.Zero(t, told.Load())
		m.Delete(t, "vxlan0")
		require.Eventually(t, func() bool { return told.Load() > 0 }, patience, moment, "of that one is told")
		s.through(client.NS)
	}
}
