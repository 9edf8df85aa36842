//go:build datapath && bench

package overlay

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/tests/internal/ns"
	"github.com/charmarr/charmarr-go/vpnk8slib"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// prober asks the world again and again, by whatever way there is, and notes when it was answered.
type prober struct {
	mu       sync.Mutex
	answered []time.Time
}

func (s *stage) prober(pod *ns.NS) *prober {
	s.Helper()
	p, done := &prober{}, make(chan struct{})
	require.NoError(s, pod.Do(s.T, func() error {
		c, err := net.ListenUDP("udp4", nil) // one that is connected keeps the address that it began with
		if err != nil {
			return err
		}
		s.Cleanup(func() { close(done); _ = c.Close() })
		go func() {
			for tick := time.NewTicker(5 * time.Millisecond); ; {
				select {
				case <-done:
					tick.Stop()
					return
				case <-tick.C:
					_, _ = c.WriteToUDPAddrPort([]byte("x"), netip.MustParseAddrPort("198.18.0.1:7")) // refused while there is no way
				}
			}
		}()
		go func() {
			for buf := make([]byte, 64); ; {
				_, err := c.Read(buf)
				select {
				case <-done:
					return
				default:
				}
				if err == nil {
					p.mu.Lock()
					p.answered = append(p.answered, time.Now())
					p.mu.Unlock()
				}
			}
		}()
		return nil
	}))
	return p
}

// since waits for the first answer after a moment, and says how long after. What was before is forgotten.
func (p *prober) since(t *testing.T, from time.Time) time.Duration {
	t.Helper()
	for time.Since(from) < 20*time.Second {
		p.mu.Lock()
		after := slices.IndexFunc(p.answered, from.Before)
		if after >= 0 {
			p.answered = p.answered[after:]
			first := p.answered[0]
			p.mu.Unlock()
			return first.Sub(from)
		}
		p.answered = nil
		p.mu.Unlock()
		time.Sleep(time.Millisecond)
	}
	require.Fail(t, "nobody answers")
	return 0
}

// echo answers datagrams.
func (s *stage) echo() {
	s.Helper()
	require.NoError(s, s.world.Do(s.T, func() error {
		c, err := net.ListenUDP("udp", &net.UDPAddr{Port: 7})
		if err != nil {
			return err
		}
		s.Cleanup(func() { _ = c.Close() })
		go func() {
			buf := make([]byte, 64)
			for {
				n, from, err := c.ReadFromUDPAddrPort(buf)
				if err != nil {
					return
				}
				_, _ = c.WriteToUDPAddrPort(buf[:n], from)
			}
		}()
		return nil
	}))
}

func spread(all []time.Duration) Spread {
	slices.Sort(all)
	return Spread{all[len(all)/2].Seconds(), all[len(all)-1].Seconds(), len(all)}
}

// fresh is a cluster in which nothing is kept yet.
type fresh struct{ vpnk8slib.Reader }

func (fresh) Get(context.Context, vpnk8slib.Ref, any) error { return nil }

// crowd has pods of clients in which nothing has run yet: units of several applications, with what a gateway leases to each.
func (s *stage) crowd(n int) (members []*member, blocks []overlay.Block) {
	s.Helper()
	const units = 16 // of an application, at most
	var consumers []vpnk8slib.Consumer
	for i := range (n + units - 1) / units {
		consumers = append(consumers, vpnk8slib.Consumer{Relation: fmt.Sprintf("crowd:%d", i)})
	}
	leases, err := vpnk8slib.ObserveLeases(s.Context(), fresh{}, vpnk8slib.App{}, vpnk8slib.DefaultOverlay(), consumers, nil)
	require.NoError(s, err)
	addresses := map[netip.Addr]bool{}
	for i := range n {
		b, c := leases.Blocks[i/units], way
		c.Address, c.Units = netip.PrefixFrom(b.Addresses.Addr(), way.Address.Bits()), units
		c, err := c.Of(fmt.Sprintf("crowd-%d", i%units))
		require.NoError(s, err)
		addresses[c.Address.Addr()] = true
		members = append(members, s.clientPod(fmt.Sprintf("10.42.0.%d", 100+i), c, keyOf(b.Name)))
	}
	require.Len(s, addresses, n, "each has an address of its own")
	return members, leases.Blocks
}

// crowdAgents are a crowd's, which wait for their gateway.
func (s *stage) crowdAgents(n int) (members []*member, blocks []overlay.Block) {
	s.Helper()
	members, blocks = s.crowd(n)
	for _, m := range members {
		m.Init()
		m.Start()
		m.Until("the overlay is laid", laid)
	}
	return members, blocks
}

func TestFigures(t *testing.T) {
	var f Figures
	whole := true
	of := func(what string, take func(t *testing.T)) { // whatever one has started ends before the next
		taken := false
		require.True(t, t.Run(what, func(t *testing.T) { take(t); taken = true }), "so far: %+v", f)
		whole = whole && taken // -run may leave some out
	}
	// What is told once is of the client that is alone.
	of("20 clients", func(t *testing.T) { f.Recover20, f.Detect, f.Reinit, f.Setup20 = measure(t, 20) })
	of("1 client", func(t *testing.T) { f.Recover, f.Detect, f.Reinit, f.Setup = measure(t, 1) })
	of("throughput", func(t *testing.T) { throughput(t, &f) })
	of("encrypted", func(t *testing.T) { encrypted(t, &f) })
	of("50 clients", func(t *testing.T) { fifty(t, &f) })
	of("silence", func(t *testing.T) { f.DetectTunnel = silence(t) })
	of("a minute away", func(t *testing.T) { f.Away20 = away(t) })
	of("loss", func(t *testing.T) { f.Resets = loss(t, 5*time.Minute) })
	image, err := os.Stat("../../../build/images/vpn-agent.tar")
	require.NoError(t, err)
	f.ImageMB = float64(image.Size()) / 1e6
	text, err := json.MarshalIndent(f, "", "  ")
	require.NoError(t, err)
	t.Log("\n" + string(text))
	if !whole {
		return
	}
	require.NoError(t, add("../../../build/bench.json", text))
	for _, miss := range missed(f) {
		t.Error(miss)
	}
}

// add makes figures the "overlay" of a report, beside what else it holds.
func add(path string, figures json.RawMessage) error {
	report := map[string]json.RawMessage{}
	if text, err := os.ReadFile(path); err == nil {
		if err := json.Unmarshal(text, &report); err != nil {
			return err
		}
	}
	report["overlay"] = figures
	text, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

func measure(t *testing.T, n int) (recovered, detected, reinit, setup Spread) {
	var setups []time.Duration
	for trial := range max(5, 20/n) {
		require.True(t, t.Run(fmt.Sprintf("setup %d", trial), func(t *testing.T) { setups = append(setups, setUp(t, n)...) }))
	}
	s := newWorld(t)
	s.echo()
	began := time.Now()
	members, blocks := s.crowdAgents(n)
	var probers []*prober
	for _, m := range members {
		probers = append(probers, s.prober(m.NS))
	}
	gateway := s.gatewayAgent("10.42.0.7", nil, blocks...)
	for _, p := range probers {
		p.since(t, began)
	}
	var recoveries, detections, reinits []time.Duration
	for trial := range 20 {
		seen := pods(gateway)
		require.Len(t, seen, n)
		gateway.gone(t)
		gone := time.Now()
		members[0].Until("lost", func(r overlay.Report) bool { return r.Client.Lost })
		detections = append(detections, time.Since(gone))
		time.Sleep(300 * time.Millisecond)
		gateway = s.gatewayAgent(fmt.Sprintf("10.42.0.%d", 8+trial), seen, blocks...)
		for _, p := range probers {
			recoveries = append(recoveries, p.since(t, gateway.Started))
		}
		time.Sleep(300 * time.Millisecond)

		m := members[trial%n]
		m.Delete(t, "vxlan0")
		reinits = append(reinits, probers[trial%n].since(t, time.Now()))
	}
	return spread(recoveries), spread(detections), spread(reinits), spread(setups)
}

// setUp is of pods in which nothing is laid yet and of which their gateway has never heard: from before the first one's guard is laid until
// each is answered.
func setUp(t *testing.T, n int) (all []time.Duration) {
	s := newWorld(t)
	s.echo()
	members, blocks := s.crowd(n)
	gateway := s.gatewayAgent("10.42.0.7", nil, blocks...)
	gateway.Until("the tunnel is up", func(r overlay.Report) bool { return r.Gateway != nil && r.Gateway.Tunnel })
	var probers []*prober
	for _, m := range members {
		probers = append(probers, s.prober(m.NS))
	}
	began := time.Now()
	var pods sync.WaitGroup
	for _, m := range members { // a kubelet waits for none of them with another
		pods.Go(func() { m.Init(); m.Start() })
	}
	pods.Wait()
	for _, p := range probers {
		all = append(all, p.since(t, began))
	}
	return all
}

// sender is one way to the world.
type sender struct {
	*stage
	pod, gateway *ns.NS
}

// against sends by all ways in turn, forth and back, and says how much by the first is of what is by each of the others: the medians
// of rounds. The more there are, the less is the noise of what else the processors do.
func against(t *testing.T, rounds int, each time.Duration, ways ...sender) (ratios []float64) {
	all := make([][]float64, len(ways)-1)
	turn := make([]int, len(ways))
	for i := range turn {
		turn[i] = i
	}
	for range rounds {
		rates, line := make([]float64, len(ways)), "Gbit/s:"
		for _, i := range turn {
			rates[i] = ways[i].send(ways[i].pod, each)
		}
		slices.Reverse(turn)
		for _, r := range rates {
			line += fmt.Sprintf(" %.2f", r*8/1e9)
		}
		t.Log(line)
		for i, r := range rates[1:] {
			all[i] = append(all[i], rates[0]/r)
		}
	}
	for _, r := range all {
		slices.Sort(r)
		ratios = append(ratios, r[len(r)/2])
	}
	return ratios
}

// ours is the way through two agents.
func (s *stage) ours() sender {
	s.Helper()
	gateway := s.gatewayAgent("10.42.0.7", nil)
	client := s.clientAgent("10.42.0.5", way, qbittorrentKey)
	s.through(client.NS)
	return sender{s, client.NS, gateway.NS}
}

// hand is a way that nobody guards.
func (s *stage) hand(masquerade bool) sender {
	s.Helper()
	pod, gateway := s.byHand(masquerade)
	require.Eventually(s, func() bool { _, err := s.ask(pod, "198.18.0.1:443", moment); return err == nil }, patience, moment)
	return sender{s, pod, gateway}
}

func throughput(t *testing.T, f *Figures) {
	r := against(t, 15, 3*time.Second, newWorld(t).ours(), newWorld(t).hand(false), newWorld(t).hand(true))
	f.VSVXLAN, f.VSMasquerade = r[0], r[1]
}

func encrypted(t *testing.T, f *Figures) {
	world := func(mtu int) *stage {
		s := newWorld(t)
		s.tunnel, s.mtu = s.wireguard(mtu), 1450
		return s
	}
	ours, hand, alone := world(way.MTU).ours(), world(way.MTU).hand(true), world(way.MTU).hand(true)
	alone.pod = alone.gateway // that sends for itself
	r := against(t, 61, time.Second, ours, hand, alone)
	f.VSHandmade, f.VSTunnel = r[0], r[1]
	// Wherever an outer packet is made, or goes on: the client's of the overlay, the gateway's and the world's of the tunnel.
	for _, n := range []*ns.NS{ours.pod, ours.gateway, ours.node, ours.world} {
		f.Fragments += fragments(t, n)
	}
	wide := world(1420).hand(true) // with what encrypts it, a full packet is more than these pods take
	require.Zero(t, fragments(t, wide.gateway))
	wide.send(wide.gateway, time.Second)
	require.Positive(t, fragments(t, wide.gateway), "they are counted")
}

// fragments counts those that were made inside a namespace.
func fragments(t *testing.T, n *ns.NS) (made int) {
	t.Helper()
	require.NoError(t, n.Do(t, func() error {
		text, err := os.ReadFile("/proc/thread-self/net/snmp")
		if err != nil {
			return err
		}
		var names []string
		for line := range strings.Lines(string(text)) {
			fields := strings.Fields(line)
			if fields[0] != "Ip:" {
				continue
			}
			if names == nil {
				names = fields
				continue
			}
			_, err = fmt.Sscan(fields[slices.Index(names, "FragCreates")], &made)
			return err
		}
		return io.ErrUnexpectedEOF
	}))
	return made
}

// byHand makes a client's and a gateway's pod of nothing but a VXLAN and routes, with the MTU of ours. Who does not masquerade
// needs a world that knows the client.
func (s *stage) byHand(masquerade bool) (pod, gateway *ns.NS) {
	s.Helper()
	pod, gateway = s.join("10.42.0.5", "fd42::5"), s.join("10.42.0.7", "fd42::7")
	s.tunnel(gateway, "t0.7")
	gateway.Forward(s.T)
	ends := []struct {
		*ns.NS
		own, other, at string
	}{{pod, "172.16.0.18", "172.16.0.1", "10.42.0.7"}, {gateway, "172.16.0.1", "172.16.0.18", "10.42.0.5"}}
	for _, e := range ends {
		e.VXLAN(s.T, "plain0", 42, 4790, way.MTU, e.own+"/20", e.other, e.at)
	}
	pod.Via(s.T, "plain0", "198.18.0.0/15", "172.16.0.1")
	if masquerade {
		gateway.Masquerade(s.T, "plain0", "tun0")
	} else {
		s.world.Via(s.T, "t0.7", "172.16.0.18/32", "10.2.0.2")
	}
	return pod, gateway
}

// send sends to the world for so long, and says how many bytes came there in a second.
func (s *stage) send(pod *ns.NS, each time.Duration) float64 {
	s.Helper()
	got := make(chan int64, 1)
	var l net.Listener
	require.NoError(s, s.world.Do(s.T, func() (err error) {
		l, err = net.Listen("tcp", "198.18.0.1:9999")
		return err
	}))
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err != nil {
			got <- 0
			return
		}
		n, _ := io.Copy(io.Discard, c)
		got <- n
	}()
	start := time.Now()
	require.NoError(s, pod.Do(s.T, func() error {
		c, err := net.DialTimeout("tcp", "198.18.0.1:9999", patience)
		if err != nil {
			return err
		}
		defer c.Close()
		for buf := make([]byte, 128<<10); time.Since(start) < each; {
			if _, err := c.Write(buf); err != nil {
				return err
			}
		}
		return nil
	}))
	n := <-got
	return float64(n) / time.Since(start).Seconds()
}

// fifty clients at rest.
func fifty(t *testing.T, f *Figures) {
	const n, rest = 50, 20 * time.Second
	s := newWorld(t)
	members, blocks := s.crowdAgents(n)
	gateway := s.gatewayAgent("10.42.0.7", nil, blocks...)
	gateway.Until("all are heard", func(r overlay.Report) bool { return r.Gateway != nil && len(r.Gateway.Clients) == n })
	for _, m := range members {
		s.through(m.NS)
	}
	before := map[*member]time.Duration{}
	for _, m := range append(members, gateway) {
		before[m] = cpu(t, m.Pid())
	}
	time.Sleep(rest)
	var own, resident, busy []float64
	for _, m := range members {
		own, resident = append(own, memory(t, m.Pid(), "Private_")), append(resident, memory(t, m.Pid(), "Rss:"))
		busy = append(busy, (cpu(t, m.Pid())-before[m]).Seconds()/rest.Seconds())
	}
	slices.Sort(busy)
	f.ClientPrivate, f.ClientResident, f.ClientCPU, f.ClientCPUMax = slices.Max(own), slices.Max(resident), busy[n/2], busy[n-1]
	f.GatewayPrivate, f.GatewayResident = memory(t, gateway.Pid(), "Private_"), memory(t, gateway.Pid(), "Rss:")
	f.GatewayCPU = (cpu(t, gateway.Pid()) - before[gateway]).Seconds() / rest.Seconds()
}

// memory is a process's, in MiB, of the kinds whose names begin so: what it has to itself is private.
func memory(t *testing.T, pid int, kind string) (mib float64) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		var name string
		var kib float64
		if n, _ := fmt.Sscan(line, &name, &kib); n == 2 && strings.HasPrefix(name, kind) {
			mib += kib / 1024
		}
	}
	return mib
}

// cpu is what a process has taken of it.
func cpu(t *testing.T, pid int) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	require.NoError(t, err)
	_, after, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(after)
	var user, system int64 // in hundredths of a second, whatever the machine (USER_HZ)
	_, err = fmt.Sscan(fields[11]+" "+fields[12], &user, &system)
	require.NoError(t, err)
	return time.Duration(user+system) * 10 * time.Millisecond
}

// silence is a tunnel that leads nowhere from one moment to the next: its interface stays, and nobody answers.
func silence(t *testing.T) Spread {
	s := newWorld(t)
	s.gatewayAgent("10.42.0.7", nil)
	client := s.clientAgent("10.42.0.5", way, qbittorrentKey)
	var all []time.Duration
	for range 5 {
		s.through(client.NS)
		client.Until("the tunnel is told to be up", func(r overlay.Report) bool { return r.Client.Tunnel })
		s.world.Less(t, "t0.7", "10.2.0.2/32")
		began := time.Now()
		client.Until("the tunnel is told to be down", func(r overlay.Report) bool { return !r.Client.Tunnel })
		all = append(all, time.Since(began))
		s.world.Route(t, "t0.7", "10.2.0.2/32")
	}
	return spread(all)
}

// away is a gateway that comes back after a minute.
func away(t *testing.T) Spread {
	const n = 20
	s := newWorld(t)
	s.echo()
	members, blocks := s.crowdAgents(n)
	gateway := s.gatewayAgent("10.42.0.7", nil, blocks...)
	gateway.Until("all are heard", func(r overlay.Report) bool { return r.Gateway != nil && len(r.Gateway.Clients) == n })
	var probers []*prober
	for _, m := range members {
		s.through(m.NS)
		probers = append(probers, s.prober(m.NS))
	}
	seen := pods(gateway)
	gateway.gone(t)
	time.Sleep(time.Minute)
	gateway = s.gatewayAgent("10.42.0.8", seen, blocks...)
	var all []time.Duration
	for _, p := range probers {
		all = append(all, p.since(t, gateway.Started))
	}
	return spread(all)
}

// loss counts false alarms of so long: that a client takes a gateway for lost that is there, or follows it elsewhere. A connection
// is spoken through all the time.
func loss(t *testing.T, last time.Duration) int {
	s := newWorld(t)
	gateway := s.gatewayAgent("10.42.0.7", nil)
	client := s.clientAgent("10.42.0.5", way, qbittorrentKey)
	s.through(client.NS)
	c := s.connection(client.NS)
	found := func() int { return client.Told("the gateway is heard") } // each time but the first it was lost before
	first, index := found(), client.Index(t, "vxlan0")
	require.Equal(t, 1, first)
	s.node.Lose(t, 3)
	for end := time.Now().Add(last); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		c.sayWithin(time.Minute)
	}
	require.Equal(t, index, client.Index(t, "vxlan0"))
	report := client.Report()
	require.Empty(t, report.Client.Error)
	resets := found() - first + report.Client.Moves + report.Guard.Repairs

	before := found()
	gateway.Kill()
	client.Until("lost", func(r overlay.Report) bool { return r.Client.Lost })
	gateway.Start()
	client.Until("found", func(r overlay.Report) bool { return !r.Client.Lost })
	require.Greater(t, found(), before, "one that is lost is counted")
	c.sayWithin(time.Minute)
	return resets
}
