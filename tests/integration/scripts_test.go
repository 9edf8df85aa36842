//go:build integration

package integration

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/vpnk8slib"
)

// netns is a pod as far as the scripts of the routing containers can tell: a network namespace with eth0 in it, the files
// of a plan's ConfigMap, and in place of the image's programs what the test says.
type netns struct {
	*testing.T
	dir string
}

// What the scripts are made of, as deployed.
func clientFiles(t *testing.T) map[string]string {
	t.Helper()
	protect, _, err := vpnk8slib.ClientPlans(vpnk8slib.Client{
		App: vpnk8slib.App{Name: app, Namespace: "downloads"}, Link: vpnk8slib.ReadLink(app, gateway(id)), Network: podNetwork(), Workloads: []string{app}, Trials: proven,
	})
	require.NoError(t, err)
	return protect[1].Apply.Data
}

func gatewayFiles(t *testing.T) map[string]string {
	t.Helper()
	protect, err := vpnk8slib.GatewayPlans(vpnk8slib.Gateway{
		App: vpnk8slib.App{Name: "gluetun", Namespace: "vpn"}, Data: vpnk8slib.ReadLink(app, gateway(id)).Gateway, Network: podNetwork(), Workload: "gluetun", Trials: proven,
		Endpoint: vpnk8slib.Endpoint{Addr: netip.MustParseAddr("198.51.100.200"), Ports: []uint16{51820}},
	})
	require.NoError(t, err)
	return protect[0].Apply.Data
}

// proven are the images that a template has.
var proven = vpnk8slib.Trials{Images: []string{vpnk8slib.PodGatewayImage, vpnk8slib.AgentImage}}

func podNetwork() vpnk8slib.Network {
	return vpnk8slib.Network{
		Services: vpnk8slib.CIDRs{netip.MustParsePrefix("10.43.0.0/16"), netip.MustParsePrefix("fd43::/112")},
		Pods:     vpnk8slib.CIDRs{netip.MustParsePrefix("10.42.0.0/16"), netip.MustParsePrefix("fd42::/48")},
		DNS:      []netip.Addr{netip.MustParseAddr("10.43.0.10")}, Domain: "cluster.local",
		APIServers: []netip.AddrPort{netip.MustParseAddrPort("10.44.0.1:6443")}, Controllers: []netip.AddrPort{netip.MustParseAddrPort("10.44.0.7:17070")},
	}
}

// soon shortens what the scripts wait for.
var soon = []string{"sleep 10", "sleep 0.1", "sleep 5", "sleep 0.1", "sleep 2", "sleep 0.1"}

// lay puts files and programs where run finds them.
func lay(t *testing.T, files, programs map[string]string, shorten ...string) netns {
	t.Helper()
	p := netns{t, t.TempDir()}
	replace := []string{"/config/", p.dir + "/"}
	for _, name := range []string{"client_init.sh", "client_sidecar.sh", "gateway_init.sh", "gateway_sidecar.sh"} {
		replace = append(replace, "/bin/"+name, filepath.Join(p.dir, "bin", name))
	}
	r := strings.NewReplacer(append(replace, shorten...)...)
	require.NoError(t, os.Mkdir(filepath.Join(p.dir, "bin"), 0o755))
	for name, text := range files {
		require.NoError(t, os.WriteFile(filepath.Join(p.dir, name), []byte(r.Replace(text)), 0o644))
	}
	for name, text := range programs {
		require.NoError(t, os.WriteFile(filepath.Join(p.dir, "bin", name), []byte("#!/bin/bash\n"+text+"\n"), 0o755))
	}
	return p
}

// words are what the tests ask a namespace with: ways are those to the world, until waits for one line of shell to hold.
const words = `
ways() { for f in 4 6; do ip -$f route show; done | awk '!/^unreachable/ && ($1 == "default" || $1 ~ "/[1-7]$")'; }
refusals() { ip -"$1" route show | grep -c '^unreachable default'; }
until_() { local end=$((SECONDS + 20)); until eval "$1"; do [ $SECONDS -lt $end ] || { echo "never: $1"; exit 1; }; sleep 0.02; done; }
ip link set lo up
ip link add eth0 type veth peer name peer
ip link set peer up
ip link set eth0 up
ip addr add 10.42.0.5/24 dev eth0
ip -6 addr add fd42::5/64 dev eth0 nodad
`

// run runs shell in the namespace, in the folder with the files, and returns what it prints.
func (p netns) run(shell string) string {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "/bin/bash", "-c", words+shell)
	cmd.Dir = p.dir
	cmd.Env = append(os.Environ(), "VPNK8S_NODE=10.44.0.9", "PATH="+filepath.Join(p.dir, "bin")+":"+os.Getenv("PATH"))
	var log strings.Builder
	cmd.Stderr = &log
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	require.NoError(p, err, "%s%s", out, &log)
	return string(out)
}

const (
	v4 = "ip route add default via 10.42.0.1\n"
	ra = "ip -6 route add default via fe80::1 dev eth0 proto ra metric 1024 expires 100\n"
)

// Whatever way a CNI or a router laid, after the init container there is none, and what the agent needs is still there.
func TestClosedPod(t *testing.T) {
	tests := []struct{ summary, routes, way4, way6 string }{
		{"a bridge, and a router's advertisement", v4 + ra, "via 10.42.0.1 dev eth0", "via fe80::1 dev eth0"},
		{"no gateway", "ip route add default dev eth0 scope link; ip -6 route add default dev eth0", "dev eth0", "dev eth0"},
		{"a gateway that is not on the link", "ip addr flush dev eth0 scope global; ip addr add 10.42.0.5/32 dev eth0; ip route add default via 169.254.1.1 dev eth0 onlink\n" + ra,
			"via 169.254.1.1 dev eth0", "via fe80::1 dev eth0"},
		{"a gateway with a route of its own", "ip addr flush dev eth0 scope global; ip addr add 10.42.0.5/32 dev eth0; ip route add 169.254.1.1 dev eth0; ip route add default via 169.254.1.1\n" + ra,
			"via 169.254.1.1 dev eth0", "via fe80::1 dev eth0"},
		{"several defaults, halves and eighths", v4 + ra + "ip route add default via 10.42.0.2 metric 7; ip route add 0.0.0.0/1 via 10.42.0.1; ip route add 96.0.0.0/3 via 10.42.0.1\n" +
			"ip route add 64.0.0.0/7 via 10.42.0.1; ip -6 route add 2000::/3 via fe80::1 dev eth0; ip -6 route add default via fe80::2 dev eth0 metric 5", "via 10.42.0.1 dev eth0", "via fe80::"},
		{"several next hops", "ip route add default nexthop via 10.42.0.1 dev eth0 nexthop via 10.42.0.2 dev eth0; ip -6 route add default nexthop via fe80::1 dev eth0 nexthop via fe80::2 dev eth0",
			"via 10.42.0.1 dev eth0", "via fe80::1 dev eth0"},
	}
	for _, test := range tests {
		t.Run(test.summary, func(t *testing.T) {
			p := lay(t, clientFiles(t), map[string]string{"client_init.sh": "exit 1"})
			out := p.run(test.routes + `
				[ -n "$(ways)" ] || echo "the routes are none"
				bash ./client-init.sh >&2 || echo "init fails: $?"
				echo "ways: $(ways | tr '\n' ';')"
				echo "refusals: $(refusals 4) $(refusals 6)"
				ip route get 203.0.113.1 && echo "a way to the world"
				ip -6 route get 2001:db8::1 && echo "a way to the world"
				ip route show; ip -6 route show`)
			assert.NotContains(t, out, "init fails")
			assert.NotContains(t, out, "the routes are none")
			assert.NotContains(t, out, "a way to the world")
			assert.Contains(t, out, "ways: \n")
			assert.Contains(t, out, "refusals: 2 2\n")
			for _, to := range []string{"10.43.0.0/16", "10.44.0.1", "10.44.0.7", "10.44.0.9", "169.254.7.127"} {
				assert.Contains(t, out, "\n"+to+" "+test.way4)
			}
			assert.Contains(t, out, "\nfd43::/112 "+test.way6)
		})
	}
}

// A route whose carrier is down is none, and comes back with the carrier.
func TestClosedPodWithoutACarrier(t *testing.T) {
	p := lay(t, clientFiles(t), map[string]string{"client_init.sh": "exit 1"})
	out := p.run(v4 + `
		ip link set peer down
		until_ 'ip route show default | grep -q linkdown'
		bash ./client-init.sh
		ip link set peer up
		echo "ways: $(ways)"`)
	assert.Contains(t, out, "ways: \n")
}

// The image deletes a default route of each family whenever it connects. It meets our refusals, and leaves one of each: a
// hook that looks at that moment sees a pod that is closed, and closed by us.
func TestTheImageDeletesARefusal(t *testing.T) {
	p := lay(t, clientFiles(t), map[string]string{"client_init.sh": `ip route del 0/0; ip -6 route del default; echo "left: $(grep -c '^\*.*0201' /proc/net/route) $(ip -6 route show | grep -c '^unreachable')"`})
	out := p.run(v4 + ra + "bash ./client-init.sh; echo \"after: $(refusals 4) $(refusals 6)\"")
	assert.Contains(t, out, "left: 1 1\n")
	assert.Contains(t, out, "after: 2 2\n")
}

// What comes while the pod runs is gone at once, and nothing goes round in circles.
func TestTheSidecarClosesWhatComes(t *testing.T) {
	p := lay(t, clientFiles(t), map[string]string{
		"client_init.sh": "exit 1", "client_sidecar.sh": "exec sleep 100",
		"ip": `echo "$*" >> asked; exec /usr/sbin/ip "$@"`,
	})
	const calm = "until_ ': > asked; sleep 0.2; [ ! -s asked ]'\n" // what went before is over, and nothing goes on by itself
	shell := v4 + ra + "bash ./client-init.sh >&2; bash ./client-sidecar.sh & until_ 'grep -q monitor asked'\n"
	for _, route := range []string{
		"-6 route add default via fe80::1 dev eth0 proto ra metric 1024 expires 1800", "-6 route add default via fe80::1 dev eth0 metric 3",
		"route add default via 10.42.0.1", "route add default via 10.42.0.1 metric 7",
		"route add 0.0.0.0/1 via 10.42.0.1", "route add 32.0.0.0/4 via 10.42.0.1", "route add 64.0.0.0/7 via 10.42.0.1", "-6 route add 2000::/3 via fe80::1 dev eth0",
		"-6 route add 2000::/5 via fe80::1 dev eth0", "route del 0/0", "-6 route del default",
	} {
		shell += calm + fmt.Sprintf("/usr/sbin/ip %s || echo refused; until_ '[ -z \"$(ways)\" ] && [ $(refusals 4)$(refusals 6) = 22 ]'\n", route)
	}
	assert.NotContains(t, p.run(shell+calm), "refused")
}

// The kubelet brings a changed list of networks while the pod runs. The default route is long gone; the way is that of the
// routes which are there.
func TestNetworksChangeWhileThePodRuns(t *testing.T) {
	p := lay(t, clientFiles(t), map[string]string{"client_init.sh": "exit 1", "client_sidecar.sh": "exec sleep 100"}, soon...)
	out := p.run(v4 + ra + `
		ip route add 192.0.2.0/24 via 10.42.0.1 # not ours
		bash ./client-init.sh >&2; bash ./client-sidecar.sh &
		[ -z "$(ways)" ] || echo "not closed"
		sed -i 's#10.44.0.1/32#10.44.0.2/32 10.60.1.0/24#; s#fd43::/112#fd43::/112 fd60::/64#' networks.sh
		until_ 'ip route show | grep -q "^10.60.1.0/24"'
		until_ '[ -z "$(ip route show 10.44.0.1)" ]'
		until_ 'ip -6 route show | grep -q "^fd60::/64"'
		ip route show; ip -6 route show; ways`)
	for _, route := range []string{
		"10.44.0.2 via 10.42.0.1 dev eth0", "10.60.1.0/24 via 10.42.0.1 dev eth0", "fd60::/64 via fe80::1 dev eth0", "10.43.0.0/16 via 10.42.0.1 dev eth0",
		"10.44.0.7 via 10.42.0.1 dev eth0", "10.44.0.9 via 10.42.0.1 dev eth0", "10.42.0.0/24 dev eth0", "192.0.2.0/24 via 10.42.0.1 dev eth0",
	} {
		assert.Contains(t, out, route)
	}
	assert.NotContains(t, out, "not closed")
	assert.NotContains(t, out, "\ndefault")
}

// The gateway's rules come first. Where they cannot be laid, in time, the pod has no way out; its agent has the ones that
// it needs. Either way the container ends, and with success.
func TestGatewayInit(t *testing.T) {
	const done = `echo "overlay"`
	hang := "trap '' TERM; while :; do sleep 1; done"
	tests := []struct {
		summary  string
		programs map[string]string
		shell    string
		laid     bool
		overlay  bool
		shorten  []string
	}{
		{"all well", map[string]string{"gateway_init.sh": done}, "", true, true, nil},
		{"a second time", map[string]string{"gateway_init.sh": done}, "bash ./gateway-init.sh >/dev/null\n", true, true, nil},
		{"the overlay fails", map[string]string{"gateway_init.sh": "exit 1"}, "", true, false, nil},
		{"the overlay never ends", map[string]string{"gateway_init.sh": hang}, "", true, false, []string{"timeout -k 2 11", "timeout -k 0.1 0.3"}},
		{"the rules are refused", map[string]string{"gateway_init.sh": done}, "echo nonsense > drop4.rules\n", false, true, nil},
		{"the rules of IPv6 are refused", map[string]string{"gateway_init.sh": done}, "echo nonsense > drop6.rules\n", false, true, nil},
		{"the rules never end", map[string]string{"gateway_init.sh": done, "iptables-restore": hang}, "", false, true, []string{"timeout -k 2 14", "timeout -k 0.1 0.3"}},
		{"the hooks are refused", map[string]string{"gateway_init.sh": done, "ip6tables": "exit 1"}, "", false, true, nil},
	}
	for _, test := range tests {
		t.Run(test.summary, func(t *testing.T) {
			p := lay(t, gatewayFiles(t), test.programs, test.shorten...)
			out := p.run(v4 + ra + test.shell + `
				bash ./gateway-init.sh || echo "init fails: $?"
				echo "ways: $(ways | wc -l)"
				for v in "" 6; do PATH=/usr/sbin:$PATH ip${v}tables -t mangle -S | grep -c -e '-j VPNK8S'; done | tr '\n' ' '
				echo; ip route show`)
			assert.NotContains(t, out, "init fails")
			assert.Equal(t, test.overlay, strings.Contains(out, "overlay\n"))
			for _, to := range []string{"10.43.0.0/16", "10.44.0.1", "10.44.0.7", "10.44.0.9"} {
				assert.Contains(t, out, "\n"+to+" via 10.42.0.1 dev eth0")
			}
			if test.laid {
				assert.Contains(t, out, "ways: 2\n")
				assert.Contains(t, out, "\n4 4 \n", "each chain hangs in one place, however often it is hung up")
			} else {
				assert.Contains(t, out, "ways: 0\n")
			}
		})
	}
}

// The gateway's resident container lays changed rules in the running pod, keeps those it has where the new ones are refused,
// and does not pile up what the image's program leaves behind.
func TestGatewaySidecar(t *testing.T) {
	p := lay(t, gatewayFiles(t), map[string]string{
		"gateway_init.sh":    "exit 0",
		"gateway_sidecar.sh": "echo round >> rounds; sleep 1000 & sleep 0.02 & wait -n; exit 1",
	}, soon...)
	out := p.run(v4 + `
		bash ./gateway-init.sh >&2; bash ./gateway-sidecar.sh >&2 &
		sed -i 's/198.51.100.200/198.51.100.201/' drop4.rules
		until_ 'iptables -t mangle -S VPNK8S-OUT | grep -q 198.51.100.201'
		echo "before: $(iptables -t mangle -S | grep -c -e '-j VPNK8S') $(iptables -t mangle -S VPNK8S-OUT | grep -c 198.51.100.200)"
		sed -i 's/198.51.100.201/198.51.100.999/' drop4.rules
		sed -i 's#10.44.0.1/32#10.44.0.2/32#' networks.sh
		until_ 'ip route show | grep -q "^10.44.0.2 "'
		echo "kept: $(iptables -t mangle -S VPNK8S-OUT | grep -c 198.51.100.201)"
		sed -i 's/198.51.100.999/198.51.100.202/' drop4.rules
		until_ 'iptables -t mangle -S VPNK8S-OUT | grep -q 198.51.100.202'
		iptables -t mangle -D POSTROUTING -j VPNK8S-OUT; iptables -t mangle -F VPNK8S-IN
		until_ 'iptables -t mangle -C POSTROUTING -j VPNK8S-OUT && iptables -t mangle -S VPNK8S-IN | grep -q -e -A'
		echo "hung up again: $(iptables -t mangle -S | grep -c -e '-j VPNK8S')"
		until_ '[ $(wc -l < rounds) -gt 8 ]'
		until_ '[ $(grep -cz "^sleep" /proc/[0-9]*/cmdline | grep -c ":1") -lt 6 ]'
		left=0; for c in /proc/[0-9]*/cmdline; do case $(tr '\0' ' ' < $c) in "sleep 1000 ") left=$((left + 1)) ;; esac; done 2>/dev/null
		[ $left -le 1 ] && echo "no more than one is left" || echo "left: $left"`)
	assert.Contains(t, out, "before: 4 0\n")
	assert.Contains(t, out, "kept: 1\n")
	assert.Contains(t, out, "hung up again: 4\n")
	assert.Contains(t, out, "no more than one is left\n")
}

// Where the rules could not be laid in time the pod lost its way out. It has it again when they stand, and not before.
func TestGatewayReopens(t *testing.T) {
	p := lay(t, gatewayFiles(t), map[string]string{"gateway_init.sh": "exit 0", "gateway_sidecar.sh": "sleep 1000"}, soon...)
	out := p.run(v4 + `
		cp drop4.rules good; echo nonsense > drop4.rules
		bash ./gateway-init.sh >&2; bash ./gateway-sidecar.sh >&2 &
		sleep 1; echo "refused: $(ip route show default | grep -c eth0)"
		cp good drop4.rules
		until_ 'ip route show default | grep -q "via 10.42.0.1 dev eth0"'
		echo "laid: $(iptables -t mangle -S | grep -c -e '-j VPNK8S') $(ip route get 198.51.100.200 | grep -c 'via 10.42.0.1 dev eth0')"`)
	assert.Contains(t, out, "refused: 0\n")
	assert.Contains(t, out, "laid: 4 1\n")
}
