package main

import (
	"context"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/charms/hook/hooktest"
)

// scripts is a folder with programs in the place of those that a script of ours calls.
type scripts struct {
	t   *testing.T
	dir string
}

func newScripts(t *testing.T, programs map[string]string) scripts {
	s := scripts{t, t.TempDir()}
	for name, body := range programs {
		s.write(name, "#!/bin/sh\ncd '"+s.dir+"' || exit 3\n"+body+"\n")
	}
	return s
}

func (s scripts) write(name, text string) string {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	require.NoError(s.t, os.WriteFile(path, []byte(text), 0o700))
	return path
}

func (s scripts) read(name string) string {
	data, _ := os.ReadFile(filepath.Join(s.dir, name)) // nothing was written
	return string(data)
}

// run runs a script, with these paths found in the folder, and returns how long it took and how it ended.
func (s scripts) run(script string, paths ...string) (took time.Duration, err error) {
	s.t.Helper()
	for _, p := range paths {
		script = strings.ReplaceAll(script, p, filepath.Join(s.dir, filepath.Base(p)))
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/bin/sh", s.write("script", script))
	cmd.Env = []string{"PATH=" + s.dir + ":" + os.Getenv("PATH")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	printed, err := os.Create(filepath.Join(s.dir, "printed"))
	require.NoError(s.t, err)
	defer printed.Close()
	cmd.Stdout = printed
	began := time.Now()
	err = cmd.Run()
	s.t.Cleanup(func() { // what it left behind, if it should not have: until it has gone it writes into the folder
		for n := 0; n < 100 && syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) == nil; n++ {
			time.Sleep(10 * time.Millisecond)
		}
	})
	return time.Since(began), err
}

// again waits until a program that writes a line for each run has run twice more: one run may be under way.
func (s scripts) again(lines string) {
	s.t.Helper()
	before := strings.Count(s.read(lines), "\n")
	require.Eventually(s.t, func() bool { return strings.Count(s.read(lines), "\n") > before+1 }, 10*time.Second, 10*time.Millisecond)
}

// One target that answers is enough, however many are silent, and within the time that Pebble gives the check.
func TestProbe(t *testing.T) {
	c, _ := options(t, "provider=nordvpn", "probe="+strings.Repeat("192.0.2.1:443,", 7)+"192.0.2.4:80")
	limit, err := time.ParseDuration(workload(c, Secret{}, hooktest.Network(t)).Layer.Checks[tunnelCheck].Timeout)
	require.NoError(t, err)
	const silent = "sleep 0.4; exit 1" // one after the other, eight of them would take longer than the limit
	const by = "192.0.2.4 via 169.254.1.1 dev "
	tests := []struct {
		summary  string
		ping, nc string
		tunnel   bool
		up       bool
		route    string
	}{
		{"the last of eight answers pings", `[ "$*" = "-c 1 -W 1 -I tun0 192.0.2.4" ] && exit 0; ` + silent, silent, true, true, by + "tun0  src 10.2.0.2"},
		{"the last of eight answers connections", silent, `[ "$*" = "-z -w 1 -s 10.2.0.2 192.0.2.4 80" ] && exit 0; ` + silent, true, true, by + "tun0 table 51820 src 10.2.0.2 uid 0"},
		{"all are silent", silent, silent, true, false, by + "tun0  src 10.2.0.2"},
		{"there is no tunnel: nothing is sent", "exit 0", "exit 0", false, false, by + "tun0  src 10.2.0.2"},
		{"its routes have gone: a bound packet is answered, clients are not", "exit 0", "exit 0", true, false, by + "eth0  src 10.42.0.7"},
		{"there is no route at all", "exit 0", "exit 0", true, false, ""},
	}
	for _, test := range tests {
		t.Run(test.summary, func(t *testing.T) {
			s := newScripts(t, map[string]string{"ping": test.ping, "nc": test.nc,
				"ip": `[ "$1 $2" = "route get" ] && [ "$3" != "${3#192.0.2.}" ] && echo "` + test.route + `"`})
			if test.tunnel {
				require.NoError(t, os.Mkdir(filepath.Join(s.dir, "tun0"), 0o700))
			}
			took, err := s.run(probeScript(c.ProbeTargets), "/sys/class/net/tun0")
			assert.Equal(t, test.up, err == nil, "%v", err)
			assert.Less(t, took, limit)
		})
	}
}

func TestProbeScript(t *testing.T) {
	assert.Contains(t, probeScript(targets{netip.MustParseAddrPort("1.1.1.1:443"), netip.MustParseAddrPort("[2620:fe::fe]:53")}), "in '1.1.1.1 443' '2620:fe::fe 53'; do")
}

var startPaths = []string{"/charm-probe.sh", "/gluetun-entrypoint", "/charm/bin/pebble", "/gluetun/piaportforward.json", "/tmp/gluetun", "/tmp/charm-printed", "/run/vpn-secrets"}

// started are the programs of a pod in which gluetun was killed once: its rules are still there.
func started() map[string]string {
	// Each of these is there twice.
	const twice = `echo "$0 $*" | sed 's|.*/||' >> done; [ "$(grep -c -- "$*" done)" -le 2 ]`
	return map[string]string{
		"ip": twice, "sleep": "exec /bin/sleep 0.05",
		"iptables":          `case $* in *-D*) ` + twice + `;; *) echo "iptables $*" >> done;; esac`,
		"killall":           `echo "killall $*" >> done; exit 1`, // there was none
		"ip6tables":         "exit 1",                            // no IPv6 here
		"ip6tables-save":    "exit 1",
		"ip6tables-restore": "cat > restored6",
		"iptables-save": `cat <<EOF
*filter
:INPUT DROP [0:0]
:OUTPUT DROP [0:0]
-A INPUT -i lo -j ACCEPT
-A INPUT -i lo -j ACCEPT
-A OUTPUT -d 10.42.0.0/16 -o eth0 -j ACCEPT
-A OUTPUT -d 198.51.100.200/32 -o eth0 -p udp -m udp --dport 51820 -j ACCEPT
-A OUTPUT -o tun0 -j ACCEPT
-A OUTPUT -d 10.42.0.0/16 -o eth0 -j ACCEPT
COMMIT
EOF`,
		"iptables-restore":   "cat > restored",
		"gluetun-entrypoint": "/bin/sleep 0.3; echo ended >> done",
		"charm-probe.sh":     "echo probe >> probes; exit 1",
		"pebble":             `echo "pebble $*" >> done`,
	}
}

// untilTheEnd is a gluetun that goes on until what begin returns is called.
const untilTheEnd = "until [ -e end ]; do /bin/sleep 0.05; done"

// begin runs the start script, with untilTheEnd as gluetun.
func (s scripts) begin() (end func()) {
	ended := make(chan error, 1)
	go func() { _, err := s.run(startScript, startPaths...); ended <- err }()
	return func() {
		s.t.Helper()
		s.write("end", "")
		require.NoError(s.t, <-ended)
	}
}

// gluetun comes up after a crash, its rules do not pile up, and those that Juju's agent needs are there even when gluetun
// ends before it has laid any.
func TestStart(t *testing.T) {
	s := newScripts(t, started())
	_, err := s.run(startScript, startPaths...)
	require.NoError(t, err)
	done := strings.Split(strings.TrimSpace(s.read("done")), "\n")
	var clamp string
	for line := range strings.Lines(postRules) {
		if rule, ok := strings.CutPrefix(strings.TrimSpace(line), "iptables -t mangle -A "); ok {
			clamp = "iptables -t mangle -D " + rule
		}
	}
	assert.Equal(t, []string{
		"iptables -P FORWARD DROP",
		"killall -q -KILL openvpn2.5 openvpn2.6",
		"ip -4 rule del priority 101", "ip -4 rule del priority 101", "ip -4 rule del priority 101",
		"ip -6 rule del priority 101", "ip -6 rule del priority 101", "ip -6 rule del priority 101",
		clamp, clamp, clamp,
		"ended",
	}, done)
	assert.Equal(t, `*filter
:INPUT DROP [0:0]
:OUTPUT DROP [0:0]
-A INPUT -i lo -j ACCEPT
-A OUTPUT -d 10.42.0.0/16 -o eth0 -j ACCEPT
-A OUTPUT -o tun0 -j ACCEPT
COMMIT
`, s.read("restored"))
	assert.Empty(t, s.read("restored6"), "what cannot be read is not written")

	// Whoever waits for the tunnel's first packet ends with this gluetun: the next start has a waiting one of its own.
	require.Eventually(t, func() bool {
		before := s.read("probes")
		time.Sleep(300 * time.Millisecond)
		return s.read("probes") == before
	}, 10*time.Second, 10*time.Millisecond)
	assert.NotEmpty(t, s.read("probes"))
	assert.NotContains(t, s.read("done"), "pebble")
}

// The first packet that comes back brings the charm a hook.
func TestStartTellsOfTheTunnel(t *testing.T) {
	programs := started()
	programs["charm-probe.sh"] = `echo probe >> probes; [ "$(grep -c probe probes)" -ge 3 ]`
	s := newScripts(t, programs)
	_, err := s.run(startScript, startPaths...)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return strings.Contains(s.read("done"), "pebble notify vpn.charmarr.io/tunnel\n") }, 10*time.Second, 50*time.Millisecond)
	assert.Equal(t, "probe\nprobe\nprobe\n", s.read("probes"))
}

// So does each change of the ports that the provider grants, and of the address that the world sees, once, for as long as this gluetun runs.
func TestStartTellsOfPorts(t *testing.T) {
	programs := started()
	programs["charm-probe.sh"] = "exit 0"
	programs["wget"] = `echo wget >> asked; cat metrics`
	programs["gluetun-entrypoint"] = untilTheEnd
	s := newScripts(t, programs)
	s.write("metrics", "charmarr_vpn_gateway_clients 1\n")
	end := s.begin()
	told := func() int { return strings.Count(s.read("done"), "pebble notify vpn.charmarr.io/ports\n") }
	s.again("asked")
	assert.Zero(t, told(), "nobody wants one")
	for n, port := range []string{"40001", "0", "40001"} {
		whole := s.write("metrics.new", "charmarr_vpn_gateway_clients 1\ncharmarr_vpn_gateway_forwarded_port{name=\"vpn-gateway-1\"} "+port+"\n")
		require.NoError(t, os.Rename(whole, filepath.Join(s.dir, "metrics"))) // half of it would be another text
		s.again("asked")
		assert.Equal(t, n+1, told())
	}
	s.again("asked")
	assert.Equal(t, 3, told())
	require.NoError(t, os.Mkdir(filepath.Join(s.dir, "gluetun"), 0o700))
	for n, address := range []string{"192.0.2.2", "192.0.2.3"} {
		require.NoError(t, os.Rename(s.write("ip.new", address), filepath.Join(s.dir, "gluetun", "ip")))
		s.again("asked")
		assert.Equal(t, 4+n, told(), "the world sees another address")
	}
	end()
}

// withoutAnAgent is a pod whose tunnel is up, and in which a line is written for each look at gluetun's files.
func withoutAnAgent(t *testing.T) scripts {
	t.Helper()
	programs := started()
	programs["charm-probe.sh"] = "exit 0"
	programs["wget"] = "exit 1"
	programs["sleep"] = "echo look >> looked; exec /bin/sleep 0.05"
	programs["gluetun-entrypoint"] = untilTheEnd
	s := newScripts(t, programs)
	require.NoError(t, os.Mkdir(filepath.Join(s.dir, "gluetun"), 0o700))
	return s
}

// Where there is no agent, which is so by pod-gateway, the address that the world sees is told of all the same, and one that gluetun had before
// it was killed is none.
func TestStartTellsOfTheAddressWithoutAnAgent(t *testing.T) {
	s := withoutAnAgent(t)
	s.write("gluetun/ip", "192.0.2.2")
	end := s.begin()
	told := func() int { return strings.Count(s.read("done"), "pebble notify vpn.charmarr.io/ports\n") }
	s.again("looked")
	assert.Zero(t, told(), "it is another start's")
	for n, address := range []string{"192.0.2.2", "", "192.0.2.2"} { // it is emptied when the tunnel goes
		require.NoError(t, os.Rename(s.write("ip.new", address), filepath.Join(s.dir, "gluetun", "ip")))
		s.again("looked")
		assert.Equal(t, n+1, told(), "%q", address)
	}
	s.again("looked")
	assert.Equal(t, 3, told())
	end()
}

// What gluetun keeps of a port that it has had granted goes with the port, and not before: the first request is for another one then, where
// gluetun is started and where it connects anew by itself.
func TestStartForgetsAPortWithItsTunnel(t *testing.T) {
	s := withoutAnAgent(t)
	kept, port := "piaportforward.json", filepath.Join("gluetun", "forwarded_port")
	s.write(kept, "of an earlier start")
	s.write(port, "51413")
	end := s.begin()
	s.again("looked")
	assert.NoFileExists(t, filepath.Join(s.dir, kept))
	assert.NoFileExists(t, filepath.Join(s.dir, port))
	for range 2 {
		s.write(kept, "it is asking for one")
		s.again("looked")
		assert.FileExists(t, filepath.Join(s.dir, kept))
		s.write(port, "51413")
		s.again("looked")
		assert.FileExists(t, filepath.Join(s.dir, kept), "it has it")
		s.write(port, "")
		s.again("looked")
		assert.NoFileExists(t, filepath.Join(s.dir, kept), "the tunnel has gone")
	}
	end()
}

// An agent that does not answer for a moment has taken no port back.
func TestStartKeepsPortsOfASilentAgent(t *testing.T) {
	programs := started()
	programs["charm-probe.sh"] = "exit 0"
	programs["wget"] = "echo wget >> asked; [ -e silent ] && exit 1; echo 'charmarr_vpn_gateway_forwarded_port{name=\"vpn-gateway-1\"} 40001'"
	programs["gluetun-entrypoint"] = untilTheEnd
	s := newScripts(t, programs)
	end := s.begin()
	s.again("asked")
	s.write("silent", "")
	s.again("asked")
	require.NoError(t, os.Remove(filepath.Join(s.dir, "silent")))
	s.again("asked")
	assert.Equal(t, 1, strings.Count(s.read("done"), "pebble notify vpn.charmarr.io/ports\n"))
	end()
}

// What gluetun prints goes on as it is, to its last word, but for the addresses that the subscription has; a refused account brings a hook.
// Pebble ends a service by a signal to all of its processes.
func TestStartReadsAlong(t *testing.T) {
	programs := started()
	programs["gluetun-entrypoint"] = `cat <<EOF
INFO Settings summary:
├── VPN settings:
|   └── Wireguard settings:
|       ├── Private key: AAA...AA=
|       ├── Interface addresses:
|       |   ├── 10.64.222.21/32
|       |   └── fc00:bbbb:bbbb:bb01::1:1/128
|       ├── Allowed IPs:
|       |   ├── 0.0.0.0/0
|       |   └── ::/0
├── Automatic port forwarding settings:
|   └── Credentials:
|       ├── Username: p1234567
|       └── Password: hu...r2
EOF
echo 'ERROR Get "https://10.0.0.1:19999/bindPort?payload=eyJ0b2tlbiI6&signature=c2ln": not JSON'
echo 'ERROR unmarshaling payload: parsing time: for payload: eyJ0b2tlbiI6'
echo 'ERROR unmarshaling payload: invalid character: for data: {"token":"eyJ0", "port":1}'
echo 'ERROR of another kind' >&2
echo 'AUTH: Received control message: AUTH_FAILED'
echo 'AUTH: Received control message: AUTH_FAILED'
trap "echo 'INFO Shutdown successful'; exit" TERM
kill -TERM 0
/bin/sleep 5`
	s := newScripts(t, programs)
	_, err := s.run(startScript, startPaths...)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return strings.Contains(s.read("printed"), "Shutdown successful\n") }, 5*time.Second, 10*time.Millisecond, s.read("printed"))
	assert.Equal(t, `INFO Settings summary:
├── VPN settings:
|   └── Wireguard settings:
|       ├── Private key: AAA...AA=
|       ├── Interface addresses:
|       |   ├── (hidden)
|       |   └── (hidden)
|       ├── Allowed IPs:
|       |   ├── 0.0.0.0/0
|       |   └── ::/0
├── Automatic port forwarding settings:
|   └── Credentials:
|       ├── Username: (hidden)
|       └── Password: hu...r2
ERROR Get "https://10.0.0.1:19999/bindPort?(hidden)&(hidden)": not JSON
ERROR unmarshaling payload: parsing time: (hidden)
ERROR unmarshaling payload: invalid character: (hidden)
ERROR of another kind
AUTH: Received control message: AUTH_FAILED
AUTH: Received control message: AUTH_FAILED
INFO Shutdown successful
`, s.read("printed"))
	assert.Equal(t, 1, strings.Count(s.read("done"), "pebble notify vpn.charmarr.io/login\n"), "each start brings a hook of its own")
	assert.Equal(t, 1, strings.Count(s.read("done"), "pebble notify --repeat-after=5m vpn.charmarr.io/login\n"))
}

// Without a firewall there is no gluetun.
func TestStartNeedsIptables(t *testing.T) {
	programs := started()
	programs["iptables"] = "exit 1"
	s := newScripts(t, programs)
	_, err := s.run(startScript, startPaths...)
	require.Error(t, err)
	assert.Empty(t, s.read("done"))
}

// A credential that nobody is told of any more goes with the next start; every one that is named stays.
func TestStartTakesFormerCredentialsAway(t *testing.T) {
	programs := started()
	programs["env"] = `echo "OPENVPN_CLIENTKEY_SECRETFILE=$PWD/vpn-secrets/key"`
	s := newScripts(t, programs)
	require.NoError(t, os.Mkdir(filepath.Join(s.dir, "vpn-secrets"), 0o700))
	for _, word := range []string{"key", "keys", "password"} {
		s.write("vpn-secrets/"+word, word)
	}
	_, err := s.run(startScript, startPaths...)
	require.NoError(t, err)
	left, err := filepath.Glob(filepath.Join(s.dir, "vpn-secrets", "*"))
	require.NoError(t, err)
	assert.Equal(t, []string{filepath.Join(s.dir, "vpn-secrets", "key")}, left)
}
