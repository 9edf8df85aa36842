package vpnk8slib

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// Names of interfaces inside a pod.
const (
	overlayInterface = "vxlan0"
	podInterface     = "eth0"
	tunnelInterface  = "tun0"
)

// Pod is this pod's own network, as any container in it can see it: all share one network namespace.
type Pod struct {
	Overlay bool // the overlay's interface is up and has an address
	Closed  bool // no way to the world but the overlay's, IPv4 and IPv6
	Patched bool // an unreachable default route is there, as our init container leaves them in every pod it has closed
	// Agent is what the agent of this very pod answers; nil where there is none, or it does not answer.
	Agent   *overlay.Report
	Address netip.Addr // the pod's own; zero where it is not known
	IPv6    bool       // the kernel knows IPv6 here
}

// Holds says whether nothing leaves this pod but by the overlay: its guard stands, or routes of ours say so.
func (p Pod) Holds() bool { return p.Guarded() || p.Patched && p.Closed }

// Guarded says whether the guard of this pod stands.
func (p Pod) Guarded() bool { return p.Agent != nil && p.Agent.Guard.Standing }

// Lacks is what a guard that stands cannot do on this node's kernel; empty: nothing.
func (p Pod) Lacks() string {
	if !p.Guarded() || p.Agent.Guard.Raw {
		return ""
	}
	return "the guard of this pod stands, but does not hold raw sockets: " + p.Agent.Guard.Error
}

// ReadPod looks at the network namespace of this process.
func ReadPod() (Pod, error) {
	v4, err := os.ReadFile("/proc/net/route")
	if err != nil {
		return Pod{}, fmt.Errorf("cannot read this pod's routes: %w", err)
	}
	v6, err := os.ReadFile("/proc/net/ipv6_route")
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // no IPv6 at all
		return Pod{}, fmt.Errorf("cannot read this pod's IPv6 routes: %w", err)
	}
	routes, err := parseRoutes(v4, v6)
	if err != nil {
		return Pod{}, err
	}
	p := see(routes)
	p.IPv6 = v6 != nil
	p.Overlay = overlayUp()
	p.Address = address(podInterface)
	p.Agent = askAgent(overlay.Socket, patience)
	return p, nil
}

// see judges routes. An IPv6 default behind ours does not open the pod, although a socket that is bound to eth0 finds it: a
// router may advertise one at any moment, the sidecar takes it away within milliseconds, and the NetworkPolicy stands
// behind it. A hook that looks in between must not stop the workload for that.
func see(routes []route) Pod {
	p := Pod{Closed: true}
	refused := uint64(math.MaxUint64) // from which metric on an IPv6 default is behind ours
	for _, r := range routes {
		switch {
		case r.reject && r.bits == 0 && r.v6:
			refused = min(refused, r.metric)
		case r.reject && r.bits == 0:
			p.Patched = true
		}
	}
	for _, r := range routes {
		shadowed := r.v6 && r.bits == 0 && r.metric > refused
		if !r.reject && !shadowed && r.wide() && r.dev != overlayInterface && r.dev != "lo" {
			p.Closed = false
		}
	}
	return p
}

func overlayUp() bool { return address(overlayInterface).Is4() }

// address is an interface's own, IPv4 if it has one; zero where it is down, or has none that others could use.
func address(device string) (found netip.Addr) {
	i, err := net.InterfaceByName(device)
	if err != nil || i.Flags&net.FlagUp == 0 {
		return found
	}
	addrs, err := i.Addrs()
	if err != nil {
		return found
	}
	for _, a := range addrs {
		p, err := netip.ParsePrefix(a.String())
		if err == nil && !p.Addr().IsLinkLocalUnicast() && (!found.IsValid() || p.Addr().Is4() && !found.Is4()) {
			found = p.Addr()
		}
	}
	return found
}

// sixBeside says whether this pod has an IPv6 address by which something could leave beside the overlay; it has where that is not known.
func sixBeside() bool {
	all, err := net.Interfaces()
	for _, i := range all {
		addrs, unread := i.Addrs()
		if err = cmp.Or(err, unread); i.Flags&net.FlagLoopback != 0 || i.Name == overlayInterface {
			continue
		}
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is6() && p.Addr().IsGlobalUnicast() { // no router passes others on
				return true
			}
		}
	}
	return err != nil
}

// patience is how long an agent may take that is to be there: it may just be starting, and nothing brings the charm another hook when
// it has.
const patience = 5 * time.Second

// askAgent asks the agent beside us, which has its socket in a folder that is there before it. One in another network than this pod's,
// whatever it says, is not this pod's.
func askAgent(socket string, patience time.Duration) *overlay.Report {
	if _, err := os.Stat(filepath.Dir(socket)); err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		report, err := overlay.Ask(ctx, socket)
		if err == nil {
			if here, err := overlay.Namespace(); err != nil || here != report.Namespace {
				return nil
			}
			return &report
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(50 * time.Millisecond):
		}
	}
}

type route struct {
	dev    string
	bits   int
	metric uint64 // of IPv6: the smallest wins
	v6     bool
	local  bool // fc00::/7 and the like: unique local, never the world
	reject bool
}

// wide is a route to the world: the default, or halves and eighths of it as VPN programs and some CNIs lay them.
func (r route) wide() bool { return r.bits < 8 && !r.local }

const (
	rtfUp     = 0x1
	rtfReject = 0x200
)

// parseRoutes reads the kernel's two tables: fields by position, hexadecimal (Linux, fib_trie.c and ipv6/route.c).
func parseRoutes(v4, v6 []byte) (routes []route, err error) {
	lines := bufio.NewScanner(bytes.NewReader(v4))
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) < 8 || f[0] == "Iface" {
			continue
		}
		flags, err1 := strconv.ParseUint(f[3], 16, 32)
		mask, err2 := strconv.ParseUint(f[7], 16, 32)
		if err := errors.Join(err1, err2); err != nil {
			return nil, fmt.Errorf("cannot read the route %q: %w", lines.Text(), err)
		}
		bits := 0
		for m := mask; m != 0; m &= m - 1 {
			bits++
		}
		if flags&rtfUp != 0 || flags&rtfReject != 0 {
			routes = append(routes, route{dev: f[0], bits: bits, reject: flags&rtfReject != 0})
		}
	}
	lines = bufio.NewScanner(bytes.NewReader(v6))
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) < 10 {
			continue
		}
		bits, err1 := strconv.ParseUint(f[1], 16, 16)
		flags, err2 := strconv.ParseUint(f[8], 16, 64)
		metric, err3 := strconv.ParseUint(f[5], 16, 32)
		if err := errors.Join(err1, err2, err3); err != nil {
			return nil, fmt.Errorf("cannot read the route %q: %w", lines.Text(), err)
		}
		// The kernel's own "nothing here" entry: a rejecting default of the highest metric on lo in every namespace. It is
		// not ours and says nothing.
		if f[9] == "lo" && f[5] == "ffffffff" {
			continue
		}
		local := strings.HasPrefix(f[0], "fc") || strings.HasPrefix(f[0], "fd")
		routes = append(routes, route{dev: f[9], bits: int(bits), metric: metric, v6: true, local: local, reject: flags&rtfReject != 0})
	}
	return routes, nil
}
