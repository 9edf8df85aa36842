package names

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// liar is a resolver that answers with anything, over UDP and TCP, and remembers what it is asked.
type liar struct {
	at netip.AddrPort

	mu    sync.Mutex
	says  []byte // behind the number of the question, without which nobody takes it for an answer
	heard []*dns.Msg
}

func newLiar(f *testing.F) *liar {
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(f, err)
	streams, err := net.Listen("tcp", packets.LocalAddr().String())
	require.NoError(f, err)
	l := &liar{at: packets.LocalAddr().(*net.UDPAddr).AddrPort()}
	for _, s := range []*dns.Server{{PacketConn: packets}, {Listener: streams}} {
		s.Handler, s.UDPSize = l, dns.MaxMsgSize
		s.MsgAcceptFunc = func(dns.Header) dns.MsgAcceptAction { return dns.MsgAccept } // whatever it is, it is heard
		go func() { _ = s.ActivateAndServe() }()
		f.Cleanup(func() { _ = s.Shutdown() })
	}
	return l
}

func (l *liar) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	l.mu.Lock()
	l.heard = append(l.heard, q)
	text := append([]byte{byte(q.Id >> 8), byte(q.Id)}, l.says...)
	l.mu.Unlock()
	_, _ = w.Write(text)
	_ = w.WriteMsg(answer(q, dns.RcodeServerFailure)) // or who does not take the other for an answer would wait for one
}

// say makes it say something, and forget what it has heard.
func (l *liar) say(text []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.says, l.heard = text, nil
}

func (l *liar) was() []*dns.Msg {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.heard
}

// Whatever a program sends, and whatever a resolver answers, the program gets an answer that fits, and only its question goes on, to whom it
// is for.
func FuzzMessage(f *testing.F) {
	inside, outer := newLiar(f), newLiar(f)
	packed := func(m *dns.Msg) []byte {
		text, err := m.Pack()
		require.NoError(f, err)
		return text
	}
	for _, name := range []string{"tracker.example.com.", "kubernetes.default.svc.cluster.local.", "wpad.", "5.0.42.10.in-addr.arpa."} {
		q := new(dns.Msg)
		q.SetQuestion(name, dns.TypeTXT)
		long := answer(q, dns.RcodeSuccess)
		for range 60 { // more than fits into a datagram
			long.Answer = append(long.Answer, &dns.TXT{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeTXT, Class: dns.ClassINET}, Txt: []string{"a long word of somebody's"}})
		}
		for _, tcp := range []bool{false, true} {
			f.Add(packed(q), packed(long)[2:], true, tcp)
			f.Add(packed(q.Copy().SetEdns0(1232, true)), packed(long)[2:], true, tcp)
			f.Add(packed(q), []byte("\x81\x80\x00\x01"), true, tcp)
			f.Add(packed(q), []byte{}, false, tcp)
		}
	}
	f.Add([]byte{}, []byte{}, true, false)
	f.Add([]byte("\x00\x01\x81\x80\x00\x02"), []byte{}, true, false)
	n := pod
	n.Cluster, n.Outside = []netip.AddrPort{inside.at}, []netip.AddrPort{outer.at}
	up := true
	r := Client(func() overlay.Names { return n }, func() bool { return up })
	f.Fuzz(func(t *testing.T, text, says []byte, tunnel, tcp bool) {
		q := new(dns.Msg)
		if q.Unpack(text) != nil || len(says) > dns.MaxMsgSize/2 {
			return // the server answers that of itself; and what is longer than a datagram nobody sends
		}
		inside.say(says)
		outer.say(says)
		up = tunnel
		transport := "udp"
		if tcp {
			transport = "tcp"
		}
		size := dns.MinMsgSize
		if o := q.IsEdns0(); o != nil {
			size = max(size, int(o.UDPSize()))
		}
		m := r.Answer(context.Background(), q, transport, asker)
		require.NotNil(t, m)
		assert.Equal(t, q.Id, m.Id)
		if answered, err := m.Pack(); err == nil && !tcp && m.IsTsig() == nil && len(m.Answer)+len(m.Ns) > 0 {
			assert.LessOrEqual(t, len(answered), size, "more than was asked for")
		}
		inner, outside := inside.was(), outer.was()
		if len(inner)+len(outside) == 0 {
			assert.Empty(t, m.Answer, "nobody was asked")
		}
		assert.True(t, len(outside) == 0 || len(inner) == 0 && len(outside) == 1, "one is asked, once")
		for _, heard := range append(inner, outside...) {
			require.Len(t, heard.Question, 1)
			if asked := heard.Question[0]; asked != q.Question[0] { // whether the cluster has what is above it
				assert.True(t, strings.HasSuffix(strings.ToLower(q.Question[0].Name), "."+asked.Name), "%q instead of %q", asked.Name, q.Question[0].Name)
			}
		}
		for _, heard := range inner {
			name := strings.TrimSuffix(strings.ToLower(heard.Question[0].Name), ".")
			assert.True(t, within(name, "cluster.local") || within(name, "arpa"), "the cluster hears of %q", name)
		}
		for _, heard := range outside {
			assert.True(t, tunnel, "there is no way")
			assert.Equal(t, q.Question, heard.Question)
			assert.False(t, within(strings.TrimSuffix(strings.ToLower(heard.Question[0].Name), "."), "cluster.local"), "the world hears of it")
		}
	})
}
