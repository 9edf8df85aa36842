//go:build datapath

package overlay

import (
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/charmarr/charmarr-go/tests/internal/agent"
	"github.com/charmarr/charmarr-go/tests/internal/ns"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/guard"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/route"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

const (
	clusterResolver = "10.43.0.10:53"
	outsideResolver = "198.18.0.53:53"
	service         = "kubernetes.default.svc.cluster.local."
	tracker         = "tracker.example.com."
	listed          = "tracker.example.com.svc.cluster.local." // what a search list makes of it
)

// resolver answers everything with one address, over UDP and TCP, but that there is a namespace named com, and counts what it is asked.
func (s *stage) resolver(n *ns.NS, says string) *atomic.Int64 {
	s.Helper()
	asked := new(atomic.Int64)
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		asked.Add(1)
		m := new(dns.Msg)
		m.SetReply(q)
		m.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 5}, A: net.ParseIP(says)}}
		if q.Question[0].Name == "com.svc.cluster.local." {
			m.SetRcode(q, dns.RcodeNameError)
		}
		_ = w.WriteMsg(m)
	})
	require.NoError(s, n.Do(s.T, func() error {
		packets, err := net.ListenPacket("udp", ":53")
		if err != nil {
			return err
		}
		streams, err := net.Listen("tcp", ":53")
		if err != nil {
			return err
		}
		for _, server := range []*dns.Server{{PacketConn: packets, Handler: handler}, {Listener: streams, Handler: handler}} {
			go func() { _ = server.ActivateAndServe() }()
		}
		s.Cleanup(func() { _, _ = packets.Close(), streams.Close() })
		return nil
	}))
	return asked
}

// lookup asks a resolver from a pod, as a user. The answer is the address, or the code of a refusal.
func (s *stage) lookup(pod *ns.NS, uid int, transport, resolver, name string) (said string, err error) {
	return s.lookupBy(pod, uid, &net.Dialer{Timeout: patience}, transport, resolver, name)
}

func (s *stage) lookupBy(pod *ns.NS, uid int, by *net.Dialer, transport, resolver, name string) (said string, err error) {
	err = pod.Do(s.T, func() error {
		if _, err := unix.SetfsuidRetUid(uid); err != nil { // of this thread, which ends here
			return err
		}
		q := new(dns.Msg)
		q.SetQuestion(name, dns.TypeA)
		c := dns.Client{Net: transport, Dialer: by, Timeout: by.Timeout}
		m, _, err := c.Exchange(q, resolver)
		if err != nil {
			return err
		}
		if len(m.Answer) == 0 {
			said = dns.RcodeToString[m.Rcode]
			return nil
		}
		said = m.Answer[0].(*dns.A).A.String()
		return nil
	})
	return said, err
}

// A name from outside is asked for through the tunnel, whichever resolver a program turns to; a Service's in the cluster, also
// when there is no gateway. Neither resolver hears of the other's names.
func TestNamesAreSplit(t *testing.T) {
	const workload, root = 1000, 0
	users := map[string]int{"a workload": workload, "root": root}
	s := newWorld(t)
	inside, outside := s.resolver(s.node, "10.43.0.1"), s.resolver(s.world, "198.51.100.7")
	ask := func(pod *ns.NS, uid int, transport, resolver, name string) string {
		t.Helper()
		said, err := s.lookup(pod, uid, transport, resolver, name)
		require.NoError(t, err, "%s of %s", name, resolver)
		return said
	}
	plain := s.join("10.42.0.77", "fd42::77")
	require.Equal(t, "10.43.0.1", ask(plain, workload, "udp", clusterResolver, tracker), "without an agent the cluster hears everything")
	require.Equal(t, "10.43.0.1", ask(plain, workload, "udp", clusterResolver, listed))
	require.EqualValues(t, 2, inside.Swap(0))

	gateway := s.gatewayAgent("10.42.0.7", nil)
	gateway.config.Gateway.Names, gateway.config.Gateway.Resolvers = 5300, []netip.AddrPort{netip.MustParseAddrPort(outsideResolver)}
	gateway.Configure(gateway.config)
	names := &overlay.Names{
		Port: 5301, Zones: []string{"cluster.local"}, Networks: way.Direct,
		Cluster: []netip.AddrPort{netip.MustParseAddrPort(clusterResolver)}, Outside: []netip.AddrPort{netip.AddrPortFrom(way.Gateway, 5300)},
	}
	pod := s.clientAgent("10.42.0.5", way, qbittorrentKey, names)
	pod.Until("the tunnel is up", func(r overlay.Report) bool { return r.Client != nil && !r.Client.Lost && r.Client.Tunnel })
	require.Eventually(t, func() bool {
		said, err := s.lookup(pod.NS, workload, "udp", clusterResolver, tracker)
		return err == nil && said == "198.51.100.7"
	}, patience, moment, "names come with the gateway's configuration")
	for user, uid := range users {
		for _, transport := range []string{"udp", "tcp"} {
			for _, resolver := range []string{clusterResolver, outsideResolver, "192.0.2.53:53"} {
				assert.Equal(t, "198.51.100.7", ask(pod.NS, uid, transport, resolver, tracker), "%s %s %s", user, transport, resolver)
			}
		}
	}
	assert.Zero(t, inside.Load(), "LEAK: the cluster heard of a name from outside")
	before := outside.Load()
	asked := inside.Load()
	for user, uid := range users {
		for _, transport := range []string{"udp", "tcp"} {
			assert.Equal(t, "10.43.0.1", ask(pod.NS, uid, transport, clusterResolver, service), user)
			assert.Equal(t, "10.43.0.1", ask(pod.NS, uid, transport, "192.0.2.53:53", service), user)
		}
	}
	assert.Equal(t, "NXDOMAIN", ask(pod.NS, workload, "udp", clusterResolver, "tracker.example.com.downloads.svc.cluster.local."), "a search list's")
	assert.EqualValues(t, asked+8+1, inside.Load(), "and once whether there is such a namespace")
	asked = inside.Load()
	assert.Equal(t, "NXDOMAIN", ask(pod.NS, workload, "udp", clusterResolver, listed))
	assert.EqualValues(t, asked+1, inside.Load(), "whether there is a namespace named com, and no more")
	assert.Equal(t, before, outside.Load(), "LEAK: the world heard of a Service")
	// Also from a port that the agent has just asked the same resolver from: no redirect is asked about a connection that is there.
	before = outside.Load()
	inside.Store(0)
	by := &net.Dialer{Timeout: time.Second, LocalAddr: &net.UDPAddr{Port: 45353}, Control: route.Marked(guard.Ztunnel)}
	said, err := s.lookupBy(pod.NS, root, by, "udp", clusterResolver, service)
	require.NoError(t, err)
	require.Equal(t, "10.43.0.1", said)
	require.EqualValues(t, 1, inside.Swap(0))
	by.Control = nil
	said, err = s.lookupBy(pod.NS, workload, by, "udp", clusterResolver, tracker)
	require.NoError(t, err)
	assert.Equal(t, "198.51.100.7", said)
	assert.Zero(t, inside.Load(), "LEAK: the cluster heard of a name from outside")
	assert.Equal(t, before+1, outside.Load())

	// The gateway is there, and tells that its tunnel is dead: nobody waits for a resolver behind it.
	s.world.Less(t, "t0.7", "10.2.0.2/32")
	pod.later("the tunnel is told to be dead", func(r overlay.Report) bool { return !r.Client.Lost && !r.Client.Tunnel })
	for user, uid := range users {
		for _, transport := range []string{"udp", "tcp"} {
			began := time.Now()
			assert.Equal(t, "SERVFAIL", ask(pod.NS, uid, transport, clusterResolver, tracker), "%s %s", user, transport)
			assert.Less(t, time.Since(began), 500*time.Millisecond, "%s %s", user, transport)
			assert.Equal(t, "10.43.0.1", ask(pod.NS, uid, transport, clusterResolver, service), "%s %s", user, transport)
		}
	}
	assert.EqualValues(t, 4, inside.Swap(0))

	gateway.gone(t)
	pod.Until("the gateway is lost", func(r overlay.Report) bool { return r.Client.Lost })
	assert.Equal(t, "SERVFAIL", ask(pod.NS, workload, "udp", clusterResolver, tracker))
	assert.Equal(t, "10.43.0.1", ask(pod.NS, workload, "udp", clusterResolver, service))
	assert.EqualValues(t, 1, inside.Swap(0))

	pod.Kill()
	for _, name := range []string{tracker, service} {
		for user, uid := range users {
			for _, transport := range []string{"udp", "tcp"} {
				_, err := s.lookup(pod.NS, uid, transport, clusterResolver, name)
				assert.ErrorIs(t, err, unix.ECONNREFUSED, "%s of %s over %s", name, user, transport)
			}
		}
	}
	assert.Zero(t, inside.Load(), "LEAK: without its agent a pod asks nobody")
}

// resolving starts a client's agent that resolves names.
func resolving(t *testing.T, pod *ns.NS) *agent.Agent {
	t.Helper()
	a := agent.New(t, pod, "client")
	client, g := way, rules
	g.Names = 5301
	a.Configure(overlay.Config{Guard: g, Client: &client, Names: &overlay.Names{
		Port: g.Names, Zones: []string{"cluster.local"}, Networks: way.Direct, Cluster: []netip.AddrPort{netip.MustParseAddrPort(clusterResolver)},
	}})
	a.Key("key", qbittorrentKey)
	a.Init()
	a.Start()
	return a
}

// Somebody in the pod has the port of the agent's resolver: the agent says so, and resolves when it is free.
func TestAResolversPortThatIsTaken(t *testing.T) {
	s := newWorld(t)
	var taken net.Listener
	pod := s.join("10.42.0.5", "fd42::5")
	require.NoError(t, pod.Do(t, func() (err error) {
		taken, err = net.Listen("tcp", "127.0.0.1:5301")
		return err
	}))
	a := resolving(t, pod)
	a.Until("it says so", func(r overlay.Report) bool {
		return strings.Contains(r.Names, "127.0.0.1:5301") && strings.Contains(r.Names, "in use") && r.Guard.Standing
	})
	require.NoError(t, taken.Close())
	a.Until("it resolves", func(r overlay.Report) bool { return r.Names == "" })
	s.resolver(s.node, "10.43.0.1")
	said, err := s.lookup(pod, 1000, "udp", clusterResolver, "kubernetes.default.svc.cluster.local.")
	require.NoError(t, err)
	require.Equal(t, "10.43.0.1", said)
}

// Some pods have no IPv6 on their loopback, though their kernel has it: names are resolved all the same.
func TestNamesWithoutIPv6OnTheLoopback(t *testing.T) {
	s := newWorld(t)
	s.resolver(s.node, "10.43.0.1")
	pod := s.join("10.42.0.5", "fd42::5")
	pod.Sysctl(t, "net/ipv6/conf/lo/disable_ipv6", "1")
	a := resolving(t, pod)
	require.Eventually(t, func() bool {
		said, err := s.lookup(pod, 1000, "udp", clusterResolver, service)
		return err == nil && said == "10.43.0.1"
	}, patience, moment)
	time.Sleep(time.Second) // it was tried there again meanwhile, if it was at all
	said, err := s.lookup(pod, 1000, "tcp", clusterResolver, service)
	require.NoError(t, err)
	assert.Equal(t, "10.43.0.1", said)
	assert.Empty(t, a.Report().Names, "nothing is wrong")
}

// The overlay's network is given another while clients are there: the gateway answers them at its new address, and not at the old one.
func TestNamesFollowTheOverlaysNetwork(t *testing.T) {
	s := newWorld(t)
	s.resolver(s.world, "198.51.100.7")
	gateway := s.gatewayAgent("10.42.0.7", nil)
	gateway.config.Gateway.Names, gateway.config.Gateway.Resolvers = 5300, []netip.AddrPort{netip.MustParseAddrPort(outsideResolver)}
	gateway.Configure(gateway.config)
	pod := s.clientAgent("10.42.0.5", way, qbittorrentKey)
	s.through(pod.NS)
	answers := func(at string) bool {
		said, err := s.lookup(pod.NS, 0, "udp", at+":5300", tracker)
		return err == nil && said == "198.51.100.7"
	}
	require.Eventually(t, func() bool { return answers("172.16.0.1") }, patience, moment)

	anew := netip.MustParsePrefix("172.16.32.1/20")
	g := *gateway.config.Gateway
	g.Address, g.Blocks = anew, []overlay.Block{{Name: "qbittorrent", Addresses: netip.MustParsePrefix("172.16.32.16/28")}}
	gateway.config.Gateway = &g
	gateway.Configure(gateway.config)
	c := way
	c.Gateway, c.Address = anew.Addr(), netip.MustParsePrefix("172.16.32.18/20")
	pod.config.Client, pod.config.Guard.Own = &c, c.Address.Addr()
	pod.Configure(pod.config)
	require.Eventually(t, func() bool { return answers("172.16.32.1") }, 25*time.Second, moment) // a file is read every ten seconds
	require.NoError(t, gateway.Do(t, func() error {
		left, err := exec.Command("ip", "route", "show", "table", "all", "type", "unreachable").CombinedOutput()
		assert.Contains(t, string(left), "172.16.32.0/20")
		assert.NotContains(t, string(left), "172.16.0.0/20", "nothing is left of the earlier network")
		return err
	}))
}
