//go:build leaks

package leaks

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/tests/e2e/world"
)

// kinds are what a workload sends without end.
var kinds = []string{"tcp4", "udp4", "icmp4", "tcp6", "udp6", "dns"}

const (
	control = world.Plain
	pod     = "qbittorrent-0"
	app     = "qbittorrent"
)

// stage is a lab with a gateway and a client of it, in a model of their own.
type stage struct {
	world.World
	*testing.T
	method, model string
	mesh          bool // the model is in one
	deploy        world.Deploy
	names         map[string]*beside // by pod
	beside        *beside            // of the client
	announcer     announcer
	said          string           // by the gateway, before it talked rubbish
	seen          map[string]count // of the client when the last scenario was over: what leaves between two is the next one's
	excused       map[string]int   // packets, by kind, that left the client's pod in this scenario because its guard was taken away
}

func (s *stage) client() string { return s.model + "/" + pod }

// must runs something that the scenario cannot do without.
func (s *stage) must(_ string, err error) {
	s.Helper()
	require.NoError(s, err)
}

// inside runs a command in the client pod's network, as root.
func (s *stage) inside(command ...string) {
	s.Helper()
	s.must(s.Lab(s.Context(), append([]string{"exec", "--pod", s.client(), "--"}, command...)...))
}

// out is what a command says, run in a pod's network as root.
func (s *stage) out(pod string, command ...string) string {
	s.Helper()
	out, err := s.Lab(s.Context(), append([]string{"exec", "--pod", pod, "--"}, command...)...)
	require.NoError(s, err)
	return out
}

// count is what is known of one kind that one pod sends.
type count struct {
	Sent    int            // by its sender now: a new one begins with 0
	Began   time.Time      // when that one did, nearly; zero: there is none, or one for all time
	Back    int            // answers that its sender now has heard
	Also    int            // beside it, whether the workload may run or not; of all time
	Beside  int            // packets, or questions, that left the node outside of the tunnel
	Pod     int            // packets that left the pod so
	Arrived map[string]int // by the source that was seen
}

// anew says whether c is of another sender than before.
func (c count) anew(before count) bool { return c.Began.Sub(before.Began) > 2*time.Second }

// counts are all of a pod's.
func (s *stage) counts(of string) map[string]count {
	s.Helper()
	out := map[string]count{}
	seen, err := s.Sent(s.Context(), of)
	require.NoError(s, err)
	container := app
	if of == control {
		container = "plain"
	}
	sender, err := s.Sender(s.Context(), of, container)
	if err != nil {
		sender = world.Sender{} // there is none now
	}
	began := time.Now().Add(-time.Duration(sender.Seconds * float64(time.Second)))
	for kind, k := range seen {
		c := count{Sent: sender.Kinds[kind].Sent, Began: began, Beside: k.Uplink, Pod: k.Pod, Arrived: k.Arrived}
		for _, n := range sender.Kinds[kind].Answered {
			c.Back += n
		}
		if of == s.client() {
			c.Also = s.beside.sent(kind)
		}
		out[kind] = c
	}
	c := count{Also: s.names[of].sent("dns"), Arrived: map[string]int{}}
	questions, err := s.Arrivals(s.Context(), "dns")
	require.NoError(s, err)
	for _, a := range questions {
		if !strings.HasSuffix(a.Dst, "."+domain(of)+".") {
			continue
		}
		c.Arrived[a.Src]++
		if !world.FromVPN(a.Src) {
			c.Beside++
		}
	}
	out["dns"] = c
	return out
}

// domain is what a pod asks for names of.
func domain(of string) string {
	namespace, name, _ := strings.Cut(of, "/")
	return name + "." + namespace + ".leaks.test"
}

// again does something beside the scenarios, with a pause after each time, until the test ends, or who called ends it.
func (s *stage) again(pause time.Duration, do func(ctx context.Context)) (end func()) {
	ctx, stop := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	ended.Go(func() {
		for ; ctx.Err() == nil; time.Sleep(pause) {
			do(ctx)
		}
	})
	end = func() { stop(); ended.Wait() }
	s.Cleanup(end)
	return end
}

// back waits until the client's packets arrive from the VPN again, beyond those that have arrived now.
func (s *stage) back() error {
	before := s.counts(s.client())
	return world.Until(s.Context(), 3*time.Minute, func() string {
		now := s.counts(s.client())
		for _, kind := range kinds {
			if now[kind].Sent == 0 && kind != "dns" {
				return "nothing of " + kind + " is sent"
			}
		}
		// Nobody out there writes down who pings him. Who begins to send hears nothing until there is a way.
		if last := before["icmp4"]; now["icmp4"].Back == 0 || now["icmp4"].Back == last.Back && !now["icmp4"].anew(last) {
			return "no ping is answered"
		}
		if now["dns"].Also <= before["dns"].Also { // who asks tells of it a moment after the answer
			return "nobody has asked for a name since"
		}
		through := map[string]string{"tcp4": world.VPNAddress, "udp4": world.VPNAddress, "dns": world.VPNAddress}
		if s.method == "overlay" { // the other one carries no IPv6
			through["tcp6"], through["udp6"] = world.VPNAddress6, world.VPNAddress6
		}
		for kind, source := range through {
			if now[kind].Arrived[source] <= before[kind].Arrived[source] {
				return "nothing of " + kind + " has arrived since"
			}
		}
		return ""
	})
}

// state is how things stand, for whoever reads why a client did not come back.
func (s *stage) state() string {
	var all strings.Builder
	for _, ask := range []func() (string, error){
		func() (string, error) { return s.Juju(s.Context(), "status", "-m", s.model) },
		func() (string, error) { return s.Kubectl(s.Context(), "-n", s.model, "get", "pods", "-o", "wide") },
		func() (string, error) { return s.Kubectl(s.Context(), "-n", s.model, "get", "events") },
		func() (string, error) {
			return s.Kubectl(s.Context(), "-n", s.model, "logs", pod, "--all-containers", "--prefix", "--tail=60")
		},
		func() (string, error) {
			return s.Kubectl(s.Context(), "-n", s.model, "logs", "gluetun-0", "--all-containers", "--prefix", "--tail=60")
		},
	} {
		text, err := ask()
		if err != nil {
			text = err.Error()
		}
		all.WriteString(text + "\n")
	}
	return all.String()
}

// Record is one row of the result.
type Record struct {
	Scenario string  `json:"scenario"`
	Method   string  `json:"method"`
	Mesh     bool    `json:"mesh"`
	Probe    string  `json:"probe"`
	Sent     int     `json:"sent"`
	Uplink   int     `json:"packets_on_uplink"`
	Wrong    int     `json:"wrong_source"`
	Control  bool    `json:"control_seen"`
	Held     float64 `json:"held_s"` // until it was back, from the beginning of the scenario
	OK       bool    `json:"ok"`
}

// look counts all of the client's probes, and of the control's those that show that they would be seen.
func (s *stage) look() (own, plain map[string]count) {
	s.Helper()
	own, plain = s.counts(s.client()), s.counts(control)
	for kind, c := range s.announced() {
		own[kind], plain[kind] = c, plain[trackers[kind].like]
	}
	return own, plain
}

// observe plays a scenario until the client is back, and says what was seen of each probe meanwhile, and of the control's.
func (s *stage) observe(name string, play func()) (records []Record) {
	s.Helper()
	s.excused = nil
	own, plain := s.look()
	began := time.Now()
	play()
	if err := s.back(); err != nil {
		require.NoError(s, err, "%s:\n%s", name, s.state())
	}
	held := time.Since(began).Seconds()
	ownNow, plainNow := s.look()
	for _, kind := range append(slices.Sorted(maps.Keys(trackers)), kinds...) {
		r := Record{Scenario: name, Method: s.method, Mesh: s.mesh, Probe: kind, Held: float64(int(held*10)) / 10}
		r.Sent = ownNow[kind].Sent - own[kind].Sent
		if ownNow[kind].anew(own[kind]) {
			r.Sent = ownNow[kind].Sent
		}
		r.Sent += ownNow[kind].Also - own[kind].Also
		r.Uplink = max(ownNow[kind].Beside-s.seen[kind].Beside, ownNow[kind].Pod-s.seen[kind].Pod-s.excused[kind])
		for source, n := range ownNow[kind].Arrived {
			if !world.FromVPN(source) {
				r.Wrong += n - s.seen[kind].Arrived[source]
			}
		}
		r.Control = plainNow[kind].Beside > plain[kind].Beside
		_, rare := trackers[kind] // so that not every scenario has one
		r.OK = (r.Sent > 0 || rare) && r.Uplink == 0 && r.Wrong == 0 && r.Control
		records = append(records, r)
	}
	s.seen = ownNow
	return records
}

// stranger says whether a packet of any other pod has left the node beside the tunnel.
func (s *stage) strangers() error {
	seen, err := s.Strangers(s.Context())
	if err == nil && len(seen) > 0 {
		err = fmt.Errorf("packets left the node outside of the tunnel: %v", seen)
	}
	return err
}

func newStage(t *testing.T, method string, mesh bool) *stage {
	w, err := world.New("leaks")
	require.NoError(t, err)
	require.NoError(t, w.Up(t.Context()))
	s := &stage{World: w, T: t, method: method, mesh: mesh, model: "leaks-" + method, deploy: world.Deploy{World: w}, names: map[string]*beside{}}
	t.Cleanup(func() { require.NoError(t, errors.Join(w.Down(context.Background()))) })
	s.names[s.client()], _ = s.run(s.client(), app, s.guarded, "names", domain(s.client()))
	s.names[control], _ = s.run(control, "plain", func(context.Context) bool { return true }, "names", domain(control))
	s.beside, _ = s.run(s.client(), app, s.guarded, "beside")
	s.again(time.Second, func(ctx context.Context) { _ = s.announcer.ask(ctx, s) }) // while there is no pod there is nobody who could
	s.must(s.Juju(t.Context(), "add-model", s.model))
	if mesh {
		require.NoError(t, s.Enroll(t.Context(), s.model))
	}
	options := []string{"--config", "routing-method=" + method}
	if method == "overlay" { // the other one leads no ports
		options = append(options, "--config", "nat-pmp-server=10.2.0.1")
	}
	require.NoError(t, s.deploy.App(t.Context(), s.model, "gluetun", options...))
	require.NoError(t, s.deploy.App(t.Context(), s.model, app, "--config", "want-port=true"))
	s.must(s.Juju(t.Context(), "integrate", "-m", s.model, app, "gluetun:vpn-gateway"))
	return s
}
