// Package inet is the lab's pretend internet: every address of its networks answers whoever asks with the source address
// that it saw, and writes the arrival down. A resolver of a pretend internet provider does the same for names.
package inet

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"github.com/charmarr/charmarr-go/tests/lab/internal/where"
)

// Arrival is one line of the log.
type Arrival struct {
	Time  time.Time
	Proto string // tcp, udp, dns
	Src   string
	Dst   string // for dns the name
}

type log struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *log) add(a Arrival) {
	a.Time = time.Now()
	data, err := json.Marshal(a)
	if err == nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		_, _ = l.w.Write(append(data, '\n'))
	}
}

// Serve answers until ctx ends.
func Serve(ctx context.Context, lab where.Lab) error {
	arrivals, err := os.Create(lab.Path("log", "arrivals.jsonl"))
	if err != nil {
		return err
	}
	defer arrivals.Close()
	names, err := os.Create(lab.Path("log", "dns.jsonl"))
	if err != nil {
		return err
	}
	defer names.Close()
	errs := make(chan error, 8)
	in := &log{w: arrivals}
	go func() { errs <- echoHTTP(in) }()
	go func() { errs <- echoUDP(in, 7, line) }()
	go func() { errs <- echoUDP(in, 3478, stun) }()
	resolver := &resolver{log: &log{w: names}}
	for _, network := range []string{"udp", "tcp"} {
		go func() {
			errs <- (&dns.Server{Addr: where.Resolver + ":53", Net: network, Handler: resolver}).ListenAndServe()
		}()
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-errs:
		return err
	}
}

// echoHTTP answers on port 80 of every address with the caller's address, one line; and in the folder backend as a server of LibreSpeed's
// does, and in the folder port as one that tests ports.
func echoHTTP(in *log) error {
	l, err := net.Listen("tcp", ":80")
	if err != nil {
		return err
	}
	return http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		src, _, _ := net.SplitHostPort(r.RemoteAddr)
		dst, _, _ := net.SplitHostPort(r.Context().Value(http.LocalAddrContextKey).(net.Addr).String())
		in.add(Arrival{Proto: "tcp", Src: src, Dst: dst})
		port, tested := strings.CutPrefix(r.URL.Path, "/port/")
		switch {
		case r.URL.Path == "/backend/garbage.php":
			_, _ = w.Write(make([]byte, 1<<20)) // ckSize=1
		case r.URL.Path == "/backend/empty.php":
			_, _ = io.Copy(io.Discard, r.Body)
		case tested: // as echoip says it
			fmt.Fprintf(w, `{"ip":%q,"port":%s,"reachable":%t}`, src, port, reached(net.JoinHostPort(src, port)))
		default:
			fmt.Fprintln(w, src)
		}
	}))
}

// reached says whether somebody listens there.
func reached(at string) bool {
	c, err := net.DialTimeout("tcp", at, 3*time.Second)
	if err != nil {
		return false
	}
	_ = c.Close()
	return true
}

// line is a source address as people read it.
func line(_ []byte, src netip.AddrPort) []byte { return []byte(src.Addr().String() + "\n") }

// stun is a source address as STUN's answer to a question has it (RFC 8489); none to what is no question.
func stun(question []byte, src netip.AddrPort) []byte {
	const header = 20
	if len(question) != header {
		return nil
	}
	family, address := byte(1), src.Addr().AsSlice()
	if src.Addr().Is6() {
		family = 2
	}
	for i := range address { // by the cookie and the question's number
		address[i] ^= question[4+i]
	}
	answer := append([]byte{1, 1, 0, byte(8 + len(address))}, question[4:]...)
	answer = append(answer, 0, 0x20, 0, byte(4+len(address)), 0, family)
	answer = binary.BigEndian.AppendUint16(answer, src.Port()^binary.BigEndian.Uint16(question[4:]))
	return append(answer, address...)
}

// echoUDP answers a datagram with its source address in some words, from the address that it was sent to.
func echoUDP(in *log, port int, words func(text []byte, src netip.AddrPort) []byte) error {
	conn, err := net.ListenUDP("udp", &net.UDPAddr{Port: port})
	if err != nil {
		return err
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	// The socket listens on every address, and only the control message tells which one was meant.
	err = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
	})
	if err != nil {
		return err
	}
	buf, oob := make([]byte, 2048), make([]byte, 256)
	for {
		size, n, _, from, err := conn.ReadMsgUDPAddrPort(buf, oob)
		if err != nil {
			return err
		}
		src := netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		in.add(Arrival{Proto: "udp", Src: src.Addr().String(), Dst: meant(oob[:n])})
		answer := words(buf[:size], src)
		if answer == nil {
			continue
		}
		if _, _, err := conn.WriteMsgUDPAddrPort(answer, oob[:n], from); err != nil {
			fmt.Fprintln(os.Stderr, "cannot answer", from, err)
		}
	}
}

// meant is the destination in a packet's control message.
func meant(oob []byte) string {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return ""
	}
	for _, m := range messages {
		switch {
		case m.Header.Level == unix.IPPROTO_IP && m.Header.Type == unix.IP_PKTINFO && len(m.Data) >= 12:
			a, _ := netip.AddrFromSlice(m.Data[8:12])
			return a.String()
		case m.Header.Level == unix.IPPROTO_IPV6 && m.Header.Type == unix.IPV6_PKTINFO && len(m.Data) >= 16:
			a, _ := netip.AddrFromSlice(m.Data[:16])
			return a.Unmap().String()
		}
	}
	return ""
}

// resolver knows every name under test. and writes each question down: it is the canary for names. 202.test is the host of that number in
// the pretend internet's networks, and so on; all others are the 7th.
type resolver struct{ log *log }

func (r *resolver) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	a := new(dns.Msg)
	a.SetReply(q)
	for _, question := range q.Question {
		src, _, _ := net.SplitHostPort(w.RemoteAddr().String())
		r.log.add(Arrival{Proto: "dns", Src: src, Dst: question.Name})
		host := strings.TrimSuffix(question.Name, ".test.")
		if _, err := strconv.ParseUint(host, 10, 8); err != nil {
			host = "7"
		}
		switch name := strings.ToLower(question.Name); {
		case !strings.HasSuffix(name, ".test."):
			a.Rcode = dns.RcodeNameError
		case question.Qtype == dns.TypeA:
			a.Answer = append(a.Answer, &dns.A{Hdr: header(question), A: net.ParseIP("203.0.113." + host)})
		case question.Qtype == dns.TypeAAAA:
			a.Answer = append(a.Answer, &dns.AAAA{Hdr: header(question), AAAA: net.ParseIP("2001:db8:113::" + host)})
		}
	}
	_ = w.WriteMsg(a)
}

func header(q dns.Question) dns.RR_Header {
	return dns.RR_Header{Name: q.Name, Rrtype: q.Qtype, Class: dns.ClassINET, Ttl: 1}
}
