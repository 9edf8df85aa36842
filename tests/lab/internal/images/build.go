package images

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/charmarr/charmarr-go/tests/lab/internal/where"
)

const kubernetes = "v1.35.4"

var epoch = time.Unix(0, 0).UTC()

func sorted(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

// goProgram is one program, the module that it is built in, and the paths whose content decides what it is: besides Go's
// version and the flags, everything that it is built from is in them or pinned by them.
type goProgram struct {
	name, module, pkg string
	from              []string
	flags             []string
}

func programs() []goProgram {
	stamp := "-s -w"
	for _, p := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		// A client that reads the server's version chokes on what an unstamped build says.
		stamp += fmt.Sprintf(" -X %[1]s.gitVersion=%[2]s -X %[1]s.gitMajor=1 -X %[1]s.gitMinor=35 -X %[1]s.gitTreeState=clean", p, kubernetes)
	}
	pinned := []string{"go.mod", "go.sum"}
	juju := []string{"tests/lab/juju/go.mod", "tests/lab/juju/go.sum"}
	own := append([]string{"tests/lab/juju"}, pinned...)
	return []goProgram{
		{"hk", "tests/lab/node", ".", []string{"tests/lab/node"}, []string{"-ldflags=" + stamp}},
		{"coredns", "tests/lab/coredns", ".", []string{"tests/lab/coredns"}, nil},
		// Without what finds targets in clouds, which is most of it.
		{"promtool", "tests/promtool", "github.com/prometheus/prometheus/cmd/promtool", []string{"tests/promtool"}, []string{"-tags", "remove_all_sd"}},
		{"pause", "tests/lab", "./standins/pause", []string{"tests/lab/standins/pause"}, nil},
		{"probe", "tests/lab", "./standins/probe", []string{"tests/lab/standins/probe", "tests/lab/internal/sender", "tests/lab/go.mod", "tests/lab/go.sum"}, nil},
		{"gluetun-standin", "tests/lab", "./standins/gluetun", []string{"tests/lab/standins/gluetun", "tests/lab/internal/openvpn", "tests/lab/internal/where", "tests/lab/go.mod", "tests/lab/go.sum"}, nil},
		{"multimeter", ".", "./charms/multimeter-k8s/workload", append([]string{"charms/multimeter-k8s/workload"}, pinned...), nil},
		{"agent", ".", "./vpnk8slib/agent/cmd", append([]string{"vpnk8slib/agent", "vpnk8slib/overlay"}, pinned...), nil},
		{"pebble", ".", "github.com/canonical/pebble/cmd/pebble", pinned, nil},
		{"containeragent", "tests/lab/juju", "./cmd/containeragent", own, nil},
		{"labcontroller", "tests/lab/juju", "./cmd/labcontroller", own, nil},
		{"jujusts", "tests/lab/juju", "./cmd/jujusts", own, nil},
		{"jujuc", "tests/lab/juju", "github.com/juju/juju/cmd/jujuc", juju, nil},
		{"juju", "tests/lab/juju", "github.com/juju/juju/cmd/juju", juju, []string{"-tags", "minimal,provider_kubernetes"}},
	}
}

// Programs builds every program that the cache does not hold.
func Programs(ctx context.Context, lab where.Lab) error {
	for _, p := range programs() {
		key, err := p.key(ctx, lab)
		if err != nil {
			return err
		}
		if err := build(lab, p.name, key, func(out string) error { return p.build(ctx, lab, out) }); err != nil {
			return err
		}
	}
	hk, err := os.Readlink(lab.Program("hk"))
	if err != nil {
		return err
	}
	if err := where.Link(hk, lab.Program("kubectl")); err != nil { // it goes by the name that it is called by
		return err
	}
	return build(lab, "knp", contentKey([]byte(policies)), func(out string) error { return networkPolicies(ctx, out) })
}

// key is a hash of all that decides what the program is.
func (p goProgram) key(ctx context.Context, lab where.Lab) (string, error) {
	version, err := exec.CommandContext(ctx, "go", "env", "GOVERSION", "GOOS", "GOARCH").Output()
	if err != nil {
		return "", fmt.Errorf("cannot ask Go for its version: %w", err)
	}
	all := fmt.Appendf(version, "%s %s %q\n", p.module, p.pkg, p.flags)
	for _, from := range p.from {
		err := filepath.WalkDir(filepath.Join(lab.Root, from), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			data, err := os.ReadFile(path)
			all = fmt.Appendf(all, "%s %x\n", strings.TrimPrefix(path, lab.Root), sha256.Sum256(data))
			return err
		})
		if err != nil {
			return "", fmt.Errorf("cannot read what %s is built from: %w", p.name, err)
		}
	}
	return contentKey(all), nil
}

func contentKey(data []byte) string { return fmt.Sprintf("%x", sha256.Sum256(data))[:16] }

// build puts a program into the cache, unless it is there, and leads this tree's link to it.
func build(lab where.Lab, name, key string, make func(out string) error) error {
	cached, err := where.Cache(name, key)
	if err != nil {
		return err
	}
	if _, err := os.Stat(cached); err != nil {
		began := time.Now()
		half := fmt.Sprintf("%s.%d", cached, os.Getpid()) // never half a program under the name of a whole one
		if err := make(half); err != nil {
			return err
		}
		if err := os.Rename(half, cached); err != nil {
			return err
		}
		where.Say("built %s in %.0f s", name, time.Since(began).Seconds())
	}
	return where.Link(cached, lab.Program(name))
}

func (p goProgram) build(ctx context.Context, lab where.Lab, out string) error {
	argv := []string{"go", "build", "-trimpath", "-o", out}
	if !strings.Contains(strings.Join(p.flags, " "), "-ldflags") {
		p.flags = append(p.flags, "-ldflags=-s -w")
	}
	return run(ctx, filepath.Join(lab.Root, p.module), []string{"CGO_ENABLED=0"}, append(append(argv, p.flags...), p.pkg)...)
}

// policies is the module of the enforcer of NetworkPolicies.
const policies = "sigs.k8s.io/kube-network-policies@v1.1.0"

// networkPolicies builds the enforcer. It is its module's own main package, so it is built with that module's own
// requirements: no module of ours can hold them.
func networkPolicies(ctx context.Context, out string) error {
	dir, err := moduleDir(ctx, policies)
	if err != nil {
		return err
	}
	tmp, err := os.MkdirTemp("", "knp")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	for _, f := range []string{"go.mod", "go.sum"} {
		data, err := os.ReadFile(filepath.Join(dir, f))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(tmp, strings.Replace(f, "go.", "knp.", 1)), data, 0o644); err != nil {
			return err
		}
	}
	return run(ctx, dir, []string{"CGO_ENABLED=0"}, "go", "build", "-trimpath", "-mod=mod", "-modfile="+filepath.Join(tmp, "knp.mod"),
		"-ldflags=-s -w", "-o", out, "./cmd/kube-network-policies/standard")
}
