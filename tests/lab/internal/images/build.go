package images

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/charmarr/charmarr-go/tests/lab/internal/where"
)

const kubernetes = "v1.35.4"

var epoch = time.Unix(0, 0).UTC()

func sorted(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

// goProgram is one program and the module that it is built in.
type goProgram struct {
	name, module, pkg string
	flags             []string
}

func programs() []goProgram {
	stamp := "-s -w"
	for _, p := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		// A client that reads the server's version chokes on what an unstamped build says.
		stamp += fmt.Sprintf(" -X %[1]s.gitVersion=%[2]s -X %[1]s.gitMajor=1 -X %[1]s.gitMinor=35 -X %[1]s.gitTreeState=clean", p, kubernetes)
	}
	return []goProgram{
		{"hk", "tests/lab/node", ".", []string{"-ldflags=" + stamp}},
		{"coredns", "tests/lab/coredns", ".", nil},
		{"pause", "tests/lab", "./standins/pause", nil},
		{"probe", "tests/lab", "./standins/probe", nil},
		{"gluetun-standin", "tests/lab", "./standins/gluetun", nil},
		{"multimeter", ".", "./charms/multimeter-k8s/workload", nil},
		{"pebble", ".", "github.com/canonical/pebble/cmd/pebble", nil},
		{"containeragent", "tests/lab/juju", "./cmd/containeragent", nil},
		{"labcontroller", "tests/lab/juju", "./cmd/labcontroller", nil},
		{"jujuc", "tests/lab/juju", "github.com/juju/juju/cmd/jujuc", nil},
		{"juju", "tests/lab/juju", "github.com/juju/juju/cmd/juju", []string{"-tags", "minimal,provider_kubernetes"}},
	}
}

// Programs builds every program.
func Programs(ctx context.Context, lab where.Lab) error {
	for _, p := range programs() {
		if err := build(ctx, lab, p); err != nil {
			return err
		}
	}
	kubectl, err := where.Program("kubectl")
	if err != nil {
		return err
	}
	if _, err := os.Lstat(kubectl); err != nil {
		if err := os.Symlink("hk", kubectl); err != nil {
			return err
		}
	}
	return networkPolicies(ctx)
}

func build(ctx context.Context, lab where.Lab, p goProgram) error {
	out, err := where.Program(p.name)
	if err != nil {
		return err
	}
	began := time.Now()
	argv := []string{"go", "build", "-trimpath", "-o", out}
	if !strings.Contains(strings.Join(p.flags, " "), "-ldflags") {
		p.flags = append(p.flags, "-ldflags=-s -w")
	}
	argv = append(append(argv, p.flags...), p.pkg)
	if err := run(ctx, filepath.Join(lab.Root, p.module), []string{"CGO_ENABLED=0"}, argv...); err != nil {
		return err
	}
	if time.Since(began) > 2*time.Second {
		where.Say("built %s", p.name)
	}
	return nil
}

// networkPolicies builds the enforcer. It is its module's own main package, so it is built with that module's own
// requirements: no module of ours can hold them.
func networkPolicies(ctx context.Context) error {
	const module = "sigs.k8s.io/kube-network-policies@v1.1.0"
	out, err := where.Program("knp")
	if err != nil {
		return err
	}
	if _, err := os.Stat(out); err == nil {
		return nil // one version, one file
	}
	dir, err := moduleDir(ctx, module)
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
	err = run(ctx, dir, []string{"CGO_ENABLED=0"}, "go", "build", "-trimpath", "-mod=mod", "-modfile="+filepath.Join(tmp, "knp.mod"),
		"-ldflags=-s -w", "-o", out, "./cmd/kube-network-policies/standard")
	if err == nil {
		where.Say("built knp")
	}
	return err
}
