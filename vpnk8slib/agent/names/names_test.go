package names

import (
	"context"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

var pod = overlay.Names{
	Port: 5300, Zones: []string{"cluster.local"}, Networks: []netip.Prefix{netip.MustParsePrefix("10.42.0.0/16"), netip.MustParsePrefix("fd42::/48")},
}

// asker is who asks.
var asker = netip.MustParseAddr("127.0.0.1")

// Who hears of a name is what counts: a tracker's is not for the cluster, a Service's not for the world.
func TestSideOf(t *testing.T) {
	for name, want := range map[string]Side{
		"kubernetes.default.svc.cluster.local.":                    Cluster,
		"Kubernetes.Default.SVC.Cluster.Local.":                    Cluster,
		"cluster.local.":                                           Cluster,
		"gluetun-0.gluetun-endpoints.downloads.svc.cluster.local.": Cluster,
		"_http._tcp.qbittorrent.downloads.svc.cluster.local.":      Cluster,
		"10-42-0-5.downloads.pod.cluster.local.":                   Cluster,
		"tracker.example.com.downloads.svc.cluster.local.":         Nobody, // a search list's
		"a.b.tracker.example.com.downloads.svc.cluster.local.":     Nobody,
		"tracker.example.com.cluster.local.":                       Nobody,
		"svc.cluster.local.":                                       Cluster,
		"dns-version.cluster.local.":                               Cluster,
		"tracker.example.com.svc.cluster.local.":                   Cluster, // as a pod of the Service example in com, if there is one
		"tracker.example.com.":                                     Outside,
		"cluster.local.example.com.":                               Outside,
		"notcluster.local.":                                        Nobody,
		"evilcluster.local.example.":                               Outside,
		"example.":                                                 Nobody,
		"wpad.":                                                    Nobody,
		".":                                                        Nobody,
		"printer.local.":                                           Nobody,
		"x.onion.":                                                 Nobody,
		"qbittorrent.downloads.svc.":                               Nobody,
		"5.0.42.10.in-addr.arpa.":                                  Cluster,
		"1.1.168.192.in-addr.arpa.":                                Nobody,
		"1.0.0.127.in-addr.arpa.":                                  Nobody,
		"7.100.51.198.in-addr.arpa.":                               Outside,
		"42.10.in-addr.arpa.":                                      Nobody,
		"in-addr.arpa.":                                            Nobody,
		"x.0.42.10.in-addr.arpa.":                                  Nobody,
		strings.Repeat("0.", 19) + "0." + strings.Repeat("0.", 8) + "2.4.d.f.ip6.arpa.": Cluster,
		"8.8.8.8." + strings.Repeat("0.", 20) + "0.6.8.4.1.0.0.2.ip6.arpa.":             Outside,
		strings.Repeat("0.", 28) + "0.8.e.f.ip6.arpa.":                                  Nobody,
	} {
		side, _ := SideOf(pod, name)
		assert.Equal(t, want, side, name)
	}
}

// A name belongs to the cluster only by its end, whatever else is in it, and no name makes the decision fail.
func FuzzSideOf(f *testing.F) {
	for _, name := range []string{"kubernetes.default.svc.cluster.local.", "tracker.example.com.", "5.0.42.10.in-addr.arpa.", "..", "f.ip6.arpa.", "\\000.cluster.local."} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		side, _ := SideOf(pod, name)
		end := strings.TrimSuffix(strings.ToLower(name), ".")
		if inside := within(end, "cluster.local"); inside && side == Outside {
			t.Errorf("%q would be asked outside", name)
		}
		if side == Cluster && !within(end, "cluster.local") && !within(end, "in-addr.arpa") && !within(end, "ip6.arpa") {
			t.Errorf("%q would be asked in the cluster", name)
		}
	})
}

// What a search list makes of a tracker's name is not said to the cluster's resolver, whatever of it could be a Service's: it is asked for the
// end first, which tells nothing.
func TestWhatASearchListMakesIsNotHeard(t *testing.T) {
	has := map[string]bool{}
	for _, name := range []string{"default.svc", "downloads.svc", "redis.downloads.svc", "db.downloads.svc", "db-0.db.downloads.svc", "_http._tcp.redis.downloads.svc"} {
		has[name+".cluster.local."] = true
	}
	var mu sync.Mutex
	var heard []string
	code := dns.RcodeNameError // of what is not there
	cluster := resolver(t, func(q *dns.Msg) *dns.Msg {
		mu.Lock()
		defer mu.Unlock()
		name := q.Question[0].Name
		heard = append(heard, strings.TrimSuffix(name, ".cluster.local."))
		if !has[name] {
			return answer(q, code)
		}
		return answer(q, dns.RcodeSuccess)
	})
	n := pod
	n.Cluster = []netip.AddrPort{cluster}
	r := Client(func() overlay.Names { return n }, func() bool { return true })
	ask := func(name string) (rcode int, said []string) {
		q := new(dns.Msg)
		q.SetQuestion(name+".cluster.local.", dns.TypeA)
		rcode = r.Answer(context.Background(), q, "udp", asker).Rcode
		mu.Lock()
		defer mu.Unlock()
		said, heard = heard, nil
		return rcode, said
	}
	none, there := dns.RcodeNameError, dns.RcodeSuccess
	for _, c := range []struct {
		name  string
		rcode int
		heard []string
	}{
		{"tracker.example.com.svc", none, []string{"com.svc", "default.svc"}}, // where it is nowhere: does this resolver tell of any?
		{"example.com.svc", none, []string{"com.svc"}},                        // it is remembered that default is there
		{"_sip._tcp.example.com.svc", none, []string{"com.svc"}},
		{"example.com.downloads.svc", none, []string{"downloads.svc", "com.downloads.svc"}},
		{"Example.ORG.downloads.svc", none, []string{"org.downloads.svc"}}, // it is remembered that the namespace is there
		{"tracker.example.com", none, nil},
		{"redis.downloads.svc", there, []string{"redis.downloads.svc"}},
		{"db-0.db.downloads.svc", there, []string{"db.downloads.svc", "db-0.db.downloads.svc"}},
		{"_http._tcp.redis.downloads.svc", there, []string{"redis.downloads.svc", "_http._tcp.redis.downloads.svc"}},
		{"gone.downloads.svc", none, []string{"gone.downloads.svc"}},
	} {
		rcode, said := ask(c.name)
		assert.Equal(t, c.rcode, rcode, c.name)
		assert.Equal(t, c.heard, said, c.name)
	}
	mu.Lock()
	code = dns.RcodeServerFailure // a resolver that has just begun knows of no namespace
	mu.Unlock()
	rcode, said := ask("example.net.svc")
	assert.Equal(t, dns.RcodeServerFailure, rcode)
	assert.Equal(t, []string{"net.svc"}, said, "and nothing more is said to it")
}

// resolver answers so.
func resolver(t *testing.T, says func(q *dns.Msg) *dns.Msg) netip.AddrPort {
	l, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &dns.Server{PacketConn: l, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) { _ = w.WriteMsg(says(q)) })}
	go func() { _ = s.ActivateAndServe() }()
	t.Cleanup(func() { _ = s.Shutdown() })
	return l.LocalAddr().(*net.UDPAddr).AddrPort()
}

// server is one that has everything, at one address, and counts what it is asked.
func server(t *testing.T, says string) (at netip.AddrPort, asked *atomic.Int64) {
	asked = new(atomic.Int64)
	return resolver(t, func(q *dns.Msg) *dns.Msg {
		asked.Add(1)
		m := new(dns.Msg)
		m.SetReply(q)
		m.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 5}, A: net.ParseIP(says)}}
		return m
	}), asked
}

// Each resolver hears its own names only, and with the tunnel down the cluster's still answers, and the others fail at once.
func TestTwoResolvers(t *testing.T) {
	cluster, inside := server(t, "10.43.0.1")
	outer, outside := server(t, "198.51.100.7")
	n := pod
	n.Cluster, n.Outside = []netip.AddrPort{cluster}, []netip.AddrPort{outer}
	up := true
	r := Client(func() overlay.Names { return n }, func() bool { return up })
	r.there.add("default.svc.cluster.local")
	ask := func(name string) *dns.Msg {
		q := new(dns.Msg)
		q.SetQuestion(name, dns.TypeA)
		m := r.Answer(context.Background(), q, "udp", asker)
		assert.Equal(t, q.Id, m.Id)
		return m
	}
	assert.Contains(t, ask("kubernetes.default.svc.cluster.local.").Answer[0].String(), "10.43.0.1")
	assert.EqualValues(t, 1, inside.Load())
	assert.Zero(t, outside.Load())
	assert.Contains(t, ask("tracker.example.com.").Answer[0].String(), "198.51.100.7")
	assert.EqualValues(t, 1, inside.Load())
	assert.EqualValues(t, 1, outside.Load())
	assert.Equal(t, dns.RcodeNameError, ask("wpad.").Rcode)
	up = false
	assert.Equal(t, dns.RcodeServerFailure, ask("tracker.example.com.").Rcode)
	assert.Equal(t, dns.RcodeSuccess, ask("kubernetes.default.svc.cluster.local.").Rcode)
	assert.EqualValues(t, 2, inside.Load())
	assert.EqualValues(t, 1, outside.Load())
}

// However many questions a silent tunnel holds up, the cluster's names are answered.
func TestASilentTunnelHoldsUpNobody(t *testing.T) {
	cluster, _ := server(t, "10.43.0.1")
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	n := pod
	n.Cluster, n.Outside = []netip.AddrPort{cluster}, []netip.AddrPort{silent.LocalAddr().(*net.UDPAddr).AddrPort()}
	r := Client(func() overlay.Names { return n }, func() bool { return true })
	ctx, stop := context.WithCancel(t.Context())
	ask := func(name string) int {
		q := new(dns.Msg)
		q.SetQuestion(name, dns.TypeA)
		return r.Answer(ctx, q, "udp", asker).Rcode
	}
	var waiting sync.WaitGroup
	for range asks {
		waiting.Go(func() { ask("tracker.example.com.") })
	}
	require.Eventually(t, func() bool { return r.side(false).Inside() == asks }, patience, time.Millisecond)
	assert.Equal(t, dns.RcodeServerFailure, ask("tracker.example.com."), "one too many is told at once")
	waiting.Go(func() { // another of a gateway's clients
		q := new(dns.Msg)
		q.SetQuestion("tracker.example.com.", dns.TypeA)
		r.Answer(ctx, q, "udp", netip.MustParseAddr("172.16.0.34"))
	})
	require.Eventually(t, func() bool { return r.side(false).Inside() == asks+1 }, patience, time.Millisecond, "it has its own places")
	assert.Equal(t, dns.RcodeSuccess, ask("kubernetes.default.svc.cluster.local."))
	stop()
	_ = silent.Close()
	waiting.Wait()
}

// Resolvers of clusters are not all alike: no name of a Service is lost by that, and no more said than need be.
func TestOtherClustersResolvers(t *testing.T) {
	zone := func(name string) string { return name + ".cluster.local." }
	soa := func(of string) dns.RR {
		return &dns.SOA{Hdr: dns.RR_Header{Name: of, Rrtype: dns.TypeSOA, Class: dns.ClassINET}, Ns: of, Mbox: of}
	}
	for summary, c := range map[string]struct {
		says  func(q *dns.Msg, name string) *dns.Msg
		rcode map[string]int
		heard []string
	}{
		"kube-dns tells of no namespace by itself": {
			func(q *dns.Msg, name string) *dns.Msg {
				if name == zone("redis.media.svc") {
					return answer(q, dns.RcodeSuccess)
				}
				return answer(q, dns.RcodeNameError)
			},
			map[string]int{"redis.media.svc": dns.RcodeSuccess, "gone.media.svc": dns.RcodeNameError},
			nil,
		},
		"autopath goes through the search list, and fails on its beginning": {
			func(q *dns.Msg, name string) *dns.Msg {
				switch name {
				case zone("downloads.svc"):
					return answer(q, dns.RcodeServerFailure)
				case zone("com.downloads.svc"):
					m := answer(q, dns.RcodeSuccess)
					m.Answer = []dns.RR{&dns.CNAME{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeCNAME, Class: dns.ClassINET}, Target: "com."}}
					m.Ns = []dns.RR{soa("com.")}
					return m
				case zone("org.downloads.svc"):
					m := answer(q, dns.RcodeSuccess)
					m.Ns = []dns.RR{soa("org.")}
					return m
				}
				m := answer(q, dns.RcodeSuccess)
				m.Ns = []dns.RR{soa("cluster.local.")}
				return m
			},
			map[string]int{"redis.downloads.svc": dns.RcodeSuccess, "example.com.downloads.svc": dns.RcodeNameError, "example.org.downloads.svc": dns.RcodeNameError, "db-0.db.media.svc": dns.RcodeSuccess},
			[]string{zone("example.com.downloads.svc"), zone("example.org.downloads.svc"), zone("downloads.svc")},
		},
	} {
		t.Run(summary, func(t *testing.T) {
			var mu sync.Mutex
			heard := map[string]bool{}
			n := pod
			n.Namespace = "downloads"
			n.Cluster = []netip.AddrPort{resolver(t, func(q *dns.Msg) *dns.Msg {
				mu.Lock()
				defer mu.Unlock()
				heard[q.Question[0].Name] = true
				return c.says(q, q.Question[0].Name)
			})}
			r := Client(func() overlay.Names { return n }, func() bool { return true })
			for name, want := range c.rcode {
				q := new(dns.Msg)
				q.SetQuestion(zone(name), dns.TypeA)
				assert.Equal(t, want, r.Answer(context.Background(), q, "udp", asker).Rcode, name)
			}
			mu.Lock()
			defer mu.Unlock()
			for _, name := range c.heard {
				assert.NotContains(t, heard, name)
			}
		})
	}
}

// Whatever a resolver has, what is remembered of it does not grow without end.
func TestWhatIsRememberedIsBounded(t *testing.T) {
	var there there
	for i := range 3000 {
		there.add(strconv.Itoa(i))
	}
	assert.True(t, there.has("2999"))
	assert.LessOrEqual(t, len(there.until), 1000)
}
