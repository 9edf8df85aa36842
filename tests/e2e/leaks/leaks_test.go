//go:build leaks

// Package leaks looks for a packet outside of the tunnel while things go wrong. A workload sends without end, of every kind, and
// so does a pod that nothing protects; all of both is counted at the pod and at the node's uplink, over all of their lives.
//
//	make leaks        writes build/leaks.json
package leaks

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/tests/e2e/world"
)

// scenario is one thing that goes wrong, and how it is put right again where it does not right itself.
type scenario struct {
	name string
	play func(s *stage)
	mend func(s *stage)
	only string // the routing method that it is of; empty: each
}

var scenarios = []scenario{
	{name: "client pod deleted", play: func(s *stage) { s.remove("qbittorrent-0") }},
	{name: "gateway pod deleted", play: func(s *stage) { s.remove("gluetun-0") }},
	{name: "both deleted", play: func(s *stage) { s.remove("gluetun-0", "qbittorrent-0") }},
	{name: "gateway pod deleted, and both while it starts", play: func(s *stage) {
		s.remove("gluetun-0")
		s.pass(2 * time.Second)
		s.remove("gluetun-0", "qbittorrent-0")
	}},
	{name: "gateway's VPN client killed", play: func(s *stage) { s.kill("/gluetun-entrypoint") }},
	{name: "gateway's container killed, and restarted", play: func(s *stage) { require.NoError(s, s.Kill(s.Context(), s.model+"/gluetun-0", "gluetun")) }},
	{name: "gateway's agent killed", play: func(s *stage) { s.kill("/agent gateway") }, only: "overlay"},
	{name: "tunnel stopped", play: func(s *stage) {
		s.gateway("ip", "link", "set", "tun0", "down")
		s.pass(5 * time.Second)
		s.nothing("through the tunnel", 5*time.Second)
		s.gateway("ip", "link", "set", "tun0", "up")
	}},
	{name: "tunnel silently dead",
		play: func(s *stage) {
			s.must(s.Lab(s.Context(), "tunnel", "down"))
			s.pass(10 * time.Second)
			s.nothing("through the tunnel", 5*time.Second)
		},
		mend: func(s *stage) { s.must(s.Lab(s.Context(), "tunnel", "up")) }},
	{name: "VXLAN interface deleted in the client", play: func(s *stage) { s.inside("ip", "link", "del", "vxlan0") }},
	{name: "default route put back by hand in the client", play: func(s *stage) { s.open() }},
	// By pod-gateway nobody comes: the gateway lets nothing out of the tunnel but answers.
	{name: "a peer has connected; then the interface is deleted, and a default route put back", play: func(s *stage) { s.peered() }, only: "overlay"},
	{name: "agent killed", play: func(s *stage) { s.kill("/agent client", "/agent guard") }},
	{name: "guard deleted by hand, the interface too, and a default route put back", play: func(s *stage) { s.unguarded() }},
	{name: "NetworkPolicy deleted by hand, the interface too, and a default route put back",
		play: func(s *stage) {
			s.must(s.Kubectl(s.Context(), "-n", s.model, "delete", "networkpolicy", "qbittorrent-vpn-killswitch"))
			require.NoError(s, s.GuardAlone(s.Context(), s.client(), 5*time.Second))
		},
		mend: func(s *stage) { // by the next hook
			s.must(s.Juju(s.Context(), "config", "-m", s.model, app, "timezone=Europe/Berlin"))
			s.must(s.Kubectl(s.Context(), "-n", s.model, "wait", "--for=create", "networkpolicy/qbittorrent-vpn-killswitch", "--timeout=60s"))
		}},
	{name: "a mark on every packet that leads it out, and is a mesh's too; the interface deleted, and a default route put back",
		play: func(s *stage) { s.marked() },
		mend: func(s *stage) { s.inside("nft", "delete", "table", "inet", "wrong") }},
	{name: "raw sockets and whole frames", play: func(s *stage) { s.around() }},
	{name: "a router advertises itself, and the pod listens",
		play: func(s *stage) {
			s.inside("sysctl", "-qw", "net.ipv6.conf.eth0.accept_ra=2")
			s.pass(10 * time.Second)
			led := strings.Fields("ip -6 route show proto ra")
			assert.NotEmpty(s, s.out(control, led...), "a pod that nobody guards is led by it")
			assert.Empty(s, s.out(s.client(), led...))
		},
		mend: func(s *stage) { s.inside("sysctl", "-qw", "net.ipv6.conf.eth0.accept_ra=0") }},
	{name: "bad databag",
		play: func(s *stage) {
			for _, config := range []string{"{", `{"routing_method":"tomorrow"}`} {
				require.NoError(s, world.Until(s.Context(), time.Minute, func() string { // a hook of the gateway's says at any moment what it has to say
					s.say(config)
					if err := s.WaitStatus(s.Context(), 10*time.Second, s.model, app+"/0", "blocked", ""); err != nil {
						return err.Error()
					}
					return ""
				}))
				s.pass(5 * time.Second)
			}
			s.say("")
			s.pass(5 * time.Second)
		},
		mend: func(s *stage) { s.say(s.said) }},
	{name: "StatefulSet recreated as Juju makes it", play: func(s *stage) { s.recreate() }},
	{name: "node agents restarted", play: func(s *stage) {
		s.restart("containerd --config") // alone: the kubelet does not begin without it
		s.restart("hk kubelet", "hk kube-proxy", "knp --kubeconfig")
	}},
	{name: "relation removed",
		play: func(s *stage) { s.leave() },
		mend: func(s *stage) { s.integrate("gluetun") }},
	{name: "gateway switched", play: func(s *stage) { s.change("second") }}, // the last: others are the first gateway's
}

var only = flag.String("scenario", "", "play those alone whose name matches this; no file is then written, nor where -run leaves something out")

func TestLeaks(t *testing.T) {
	var all []Record
	whole := *only == ""
	for _, mesh := range []bool{false, true} {
		for _, method := range []string{"overlay", "pod-gateway"} {
			name, played := method, false
			if mesh {
				name += " in the mesh"
			}
			t.Run(name, func(t *testing.T) {
				all = append(all, leaks(t, method, mesh)...)
				played = true
			})
			whole = whole && played // -run may leave some out
		}
	}
	if whole {
		data, err := json.MarshalIndent(all, "", "  ")
		require.NoError(t, err)
		root, err := world.Root()
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(root, "build", "leaks.json"), append(data, '\n'), 0o644))
	}
	require.NotEmpty(t, all)
	for _, r := range all {
		assert.True(t, r.OK, "%+v", r)
	}
}

// leaks plays everything with one routing method.
func leaks(t *testing.T, method string, mesh bool) (all []Record) {
	s := newStage(t, method, mesh)
	note := func(records []Record) {
		all = append(all, records...)
		t.Logf("%-80s held %5.1f s  %s", records[0].Scenario, records[0].Held, summary(records))
	}
	note(s.observe("first deploy", func() {
		require.NoError(t, s.deploy.Subscribe(t.Context(), s.model, "gluetun", 0))
	}))
	for _, c := range scenarios {
		if !regexp.MustCompile(*only).MatchString(c.name) || c.only != "" && c.only != method {
			continue
		}
		note(s.observe(c.name, func() {
			c.play(s)
			if c.mend != nil {
				c.mend(s)
			}
		}))
	}
	for kind, c := range s.announced() {
		assert.NotZero(t, c.Arrived[world.VPNAddress], "%s: qBittorrent has announced nothing", kind)
	}
	assert.NoError(t, s.strangers())
	return all
}

func summary(records []Record) string {
	var bad []string
	for _, r := range records {
		if !r.OK {
			bad = append(bad, fmt.Sprintf("%s (%d sent, %d beside the tunnel, %d from elsewhere, control seen: %t)", r.Probe, r.Sent, r.Uplink, r.Wrong, r.Control))
		}
	}
	if len(bad) == 0 {
		return "nothing left"
	}
	return "NOT OK: " + strings.Join(bad, ", ")
}

// nothing lets time pass in which nothing of what the workload goes on sending arrives anywhere.
func (s *stage) nothing(way string, d time.Duration) {
	s.Helper()
	before, sent := s.counts(s.client()), 0
	s.pass(d)
	for kind, now := range s.counts(s.client()) {
		assert.Equal(s, before[kind].Arrived, now.Arrived, "%s goes on %s", kind, way)
		sent += max(now.Sent-before[kind].Sent, 0) + now.Also - before[kind].Also
	}
	assert.Positive(s, sent, "nothing was sent meanwhile")
}

// pass lets time pass in which the workload goes on sending.
func (s *stage) pass(d time.Duration) { time.Sleep(d) }

func (s *stage) remove(pods ...string) {
	s.Helper()
	require.NoError(s, s.Remove(s.Context(), s.model, pods...))
}

// leave takes the client from its gateway.
func (s *stage) leave() {
	s.Helper()
	s.must(s.Juju(s.Context(), "remove-relation", "-m", s.model, app, "gluetun:vpn-gateway"))
	require.NoError(s, s.WaitStatus(s.Context(), 3*time.Minute, s.model, app+"/0", "blocked", "juju integrate"))
	s.still()
}

// change takes the client to another gateway. The first one stays.
func (s *stage) change(gateway string) {
	s.Helper()
	require.NoError(s, s.deploy.As(s.Context(), s.model, "gluetun", gateway, "--config", "routing-method="+s.method))
	require.NoError(s, s.deploy.Subscribe(s.Context(), s.model, gateway, 1))
	s.leave()
	s.integrate(gateway)
	// The other method makes the pod anew for it. The old one may be led by the first gateway until then, and is not meant.
	require.NoError(s, s.WaitStatus(s.Context(), 3*time.Minute, s.model, app+"/0", "active", "through gateway "+gateway))
	s.must(s.Kubectl(s.Context(), "-n", s.model, "rollout", "status", "statefulset/"+app, "--timeout=3m"))
}

// integrate relates the client to a gateway, once its last relation is gone on both sides.
func (s *stage) integrate(gateway string) {
	s.Helper()
	require.NoError(s, world.Until(s.Context(), time.Minute, func() string {
		if _, err := s.Juju(s.Context(), "integrate", "-m", s.model, app, gateway+":vpn-gateway"); err != nil {
			return err.Error()
		}
		return ""
	}))
}

// say makes the gateway's data in the relation something else, as Juju's own agent of it, and keeps what it said first.
func (s *stage) say(config string) {
	s.Helper()
	script := `ln -sf /charm/bin/containeragent /tmp/juju-exec
relation=$(/tmp/juju-exec gluetun/0 "relation-ids vpn-gateway" | head -1)
/tmp/juju-exec gluetun/0 "relation-get -r $relation --app config gluetun"
/tmp/juju-exec gluetun/0 "relation-set -r $relation --app config='$0'"`
	said, err := s.Kubectl(s.Context(), "-n", s.model, "exec", "gluetun-0", "-c", "charm", "--", "bash", "-euc", script, config)
	require.NoError(s, err)
	if s.said == "" {
		s.said = strings.TrimSpace(said)
	}
}

// recreate makes the client's StatefulSet anew without anything of ours, as Juju makes it. Somebody sends from its pod until that is ours again:
// it may leave the pod, and not the node.
func (s *stage) recreate() {
	s.Helper()
	text, err := s.Kubectl(s.Context(), "-n", s.model, "get", "statefulset", app, "-o", "json")
	require.NoError(s, err)
	var set map[string]any
	require.NoError(s, json.Unmarshal([]byte(text), &set))
	metadata := set["metadata"].(map[string]any)
	for _, of := range []string{"uid", "resourceVersion", "managedFields", "creationTimestamp", "generation"} {
		delete(metadata, of)
	}
	delete(set, "status")
	template := set["spec"].(map[string]any)["template"].(map[string]any)
	spec := template["spec"].(map[string]any)
	for _, list := range []string{"initContainers", "containers", "volumes"} {
		spec[list] = slices.DeleteFunc(spec[list].([]any), func(c any) bool { return strings.HasPrefix(c.(map[string]any)["name"].(string), "vpn-") })
	}
	for _, list := range []string{"initContainers", "containers"} {
		for _, c := range spec[list].([]any) {
			c := c.(map[string]any)
			mounts, _ := c["volumeMounts"].([]any)
			c["volumeMounts"] = slices.DeleteFunc(mounts, func(m any) bool { return strings.HasPrefix(m.(map[string]any)["name"].(string), "vpn-") })
			if c["name"] == app {
				delete(c["securityContext"].(map[string]any), "capabilities")
			}
		}
	}
	data, err := json.Marshal(set)
	require.NoError(s, err)
	file := filepath.Join(s.TempDir(), "statefulset.json")
	require.NoError(s, os.WriteFile(file, data, 0o644))
	before := s.counts(s.client())
	// Of the pod that has nothing of ours the kill switch is left.
	bare, end := s.run(s.client(), app, func(ctx context.Context) bool { return !s.guarded(ctx) }, "beside")
	s.must(s.Kubectl(s.Context(), "-n", s.model, "delete", "statefulset", app, "--wait=false"))
	require.NoError(s, world.Until(s.Context(), time.Minute, func() string {
		if _, err := s.Kubectl(s.Context(), "create", "-f", file); err != nil {
			return err.Error()
		}
		return ""
	}))
	require.NoError(s, world.Until(s.Context(), 3*time.Minute, func() string { // by the charm, at its next hook
		containers, err := s.Kubectl(s.Context(), "-n", s.model, "get", "statefulset", app, "-o", "jsonpath={..initContainers[*].name}")
		if err != nil || !strings.Contains(containers, "vpn-guard") {
			return "the StatefulSet is not patched again"
		}
		if !s.guarded(s.Context()) {
			return "its pod is not another yet"
		}
		return ""
	}))
	end()
	s.excused = map[string]int{}
	for kind, now := range s.counts(s.client()) {
		if kind != "dns" { // nobody asks there
			assert.Positive(s, bare.sent(kind), "nothing of %s was sent from the pod that has nothing of ours", kind)
			s.excused[kind] = now.Pod - before[kind].Pod
			assert.Positive(s, s.excused[kind], "the policy is not asked: no packet of %s has left the pod", kind)
		}
	}
}

// restart ends programs of the node, without a chance to say anything, and starts them again as they were.
func (s *stage) restart(programs ...string) {
	s.Helper()
	for _, p := range programs {
		script := `pid=$(pgrep -f -- "$0" | grep -vx $$ | head -1)
mapfile -d '' command < /proc/$pid/cmdline
kill -KILL $pid
setsid -f "${command[@]}" >/dev/null 2>&1 </dev/null`
		s.must(s.Lab(s.Context(), "exec", "--", "bash", "-euc", script, p))
	}
	s.pass(5 * time.Second)
}

// open leads the client's pod out of its own interface, by hand: without the overlay, and by routes of either family. The guard drops what is
// led so, of each kind.
func (s *stage) open() {
	s.Helper()
	before := s.dropped()
	s.led()
	for kind, n := range s.dropped() {
		assert.Greater(s, n, before[kind], "the guard is not asked: of %s", kind)
	}
}

// led leads the client's pod out of its own interface, and looks at nothing.
func (s *stage) led() {
	s.Helper()
	back, err := s.Astray(s.Context(), s.client())
	require.NoError(s, err)
	s.pass(3 * time.Second)
	require.NoError(s, back())
}

// gateway runs a command in the gateway pod's network, as root.
func (s *stage) gateway(command ...string) {
	s.Helper()
	s.must(s.Lab(s.Context(), append([]string{"exec", "--pod", s.model + "/gluetun-0", "--"}, command...)...))
}

// kill ends the lab's processes of these command lines, without a chance to say or do anything.
func (s *stage) kill(commands ...string) {
	s.Helper()
	s.must(s.Lab(s.Context(), "exec", "--", "pkill", "-KILL", "-f", "^[^ ]*("+strings.Join(commands, "|")+")"))
}
