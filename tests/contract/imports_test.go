package contract

import (
	"fmt"
	"go/parser"
	"go/token"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// rule is one sentence about who may import what. Every rule that speaks of a package binds it.
type rule struct {
	why  string
	in   func(pkg string) bool // packages of this repository, by folder
	deny func(imported string) bool
}

var libraryMayUse = []string{"k8s.io/api", "k8s.io/apimachinery", "k8s.io/client-go", "sigs.k8s.io/structured-merge-diff", "github.com/go-playground/validator"}

// The import rules of the architecture. They bind what ships: tests may use what they like, but nothing imports tests/.
var rules = []rule{
	{
		"the library is for any charm: it uses the standard library, Kubernetes' client and the validator only",
		func(pkg string) bool { return pkg == "vpnk8slib" },
		func(i string) bool { return !standard(i) && !below(i, append(libraryMayUse, module+"/vpnk8slib")...) },
	},
	{
		"the agent is a program of the library's: what it needs of the network (netlink, nftables) stays out of every charm",
		func(pkg string) bool { return pkg == "vpnk8slib" },
		func(i string) bool { return below(i, module+"/vpnk8slib/agent") },
	},
	{
		"charm and agent share words, not what either is made of: overlay uses the standard library only",
		func(pkg string) bool { return below(pkg, "vpnk8slib/overlay") },
		func(i string) bool { return !standard(i) },
	},
	{
		"the agent is small, and in every pod: it knows no Kubernetes",
		func(pkg string) bool { return below(pkg, "vpnk8slib/agent") },
		func(i string) bool {
			return below(i, "k8s.io") || below(i, module) && !below(i, module+"/vpnk8slib/agent", module+"/vpnk8slib/overlay")
		},
	},
	{
		"the library and its agent start no program",
		func(pkg string) bool { return below(pkg, "vpnk8slib") },
		func(i string) bool { return i == "os/exec" },
	},
	{
		"no part of the library knows a charm, hook tools or Pebble",
		func(pkg string) bool { return below(pkg, "vpnk8slib") },
		func(i string) bool {
			return below(i, hookTools...) || below(i, module) && !below(i, module+"/vpnk8slib")
		},
	},
	{
		"hook tools and Pebble have one door: charms/hook",
		func(pkg string) bool { return pkg != "charms/hook" },
		func(i string) bool { return below(i, hookTools...) },
	},
	{
		"the product does not rest on its tests",
		func(string) bool { return true },
		func(i string) bool { return below(i, module+"/tests", module+"/charms/hook/hooktest") },
	},
	{
		"a charm does not rest on another charm",
		func(pkg string) bool { return isCharm(pkg) || below(pkg, "charms/hook") },
		func(i string) bool {
			return below(i, module) && !below(i, module+"/vpnk8slib", module+"/charms/hook", module+"/charms/relations")
		},
	},
	{
		"the full client of Kubernetes doubles the size of a charm",
		func(string) bool { return true },
		func(i string) bool { return below(i, "k8s.io/client-go/kubernetes") },
	},
}

var hookTools = []string{"github.com/gruyaume/goops", "github.com/canonical/pebble"}

func isCharm(pkg string) bool {
	return strings.HasSuffix(strings.Split(strings.TrimPrefix(pkg, "charms/"), "/")[0], "-k8s")
}

// below says whether an import path or folder is one of roots or inside it.
func below(p string, roots ...string) bool {
	return slices.ContainsFunc(roots, func(r string) bool { return p == r || strings.HasPrefix(p, r+"/") })
}

// standard: the first part of a path from elsewhere is a host name, with a dot.
func standard(i string) bool { return !strings.Contains(strings.Split(i, "/")[0], ".") }

// offences reads a file's imports and says which rules they break.
func offences(file string, source any) (broken []string, imports int, _ error) {
	f, err := parser.ParseFile(token.NewFileSet(), file, source, parser.ImportsOnly)
	if err != nil {
		return nil, 0, err
	}
	pkg := path.Dir(filepath.ToSlash(file))
	pkg = strings.TrimPrefix(pkg, root+"/")
	for _, spec := range f.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, 0, err
		}
		for _, r := range rules {
			if r.in(pkg) && r.deny(imported) {
				broken = append(broken, fmt.Sprintf("%s imports %s: %s", pkg, imported, r.why))
			}
		}
	}
	return broken, len(f.Imports), nil
}

func TestImports(t *testing.T) {
	files, imports := 0, 0
	for _, f := range tracked(t) {
		if !strings.HasSuffix(f, ".go") || strings.HasSuffix(f, "_test.go") || strings.HasPrefix(f, "tests/") || below(f, "charms/hook/hooktest") {
			continue
		}
		broken, n, err := offences(filepath.Join(root, f), nil)
		require.NoError(t, err)
		assert.Empty(t, broken)
		files, imports = files+1, imports+n
	}
	assert.Greater(t, files, 40, "the files of the product were looked at")
	assert.Greater(t, imports, files)
}

// The agent starts no program, and has nothing in it that would: at rest it is one process, whatever others' code it is made of. The library
// cannot be asked that: Kubernetes' client starts programs for credentials.
func TestNothingInTheAgentStartsAProgram(t *testing.T) {
	list := exec.Command("go", "list", "-deps", "./vpnk8slib/agent/cmd")
	list.Dir = root
	out, err := list.Output()
	require.NoError(t, err)
	all := strings.Fields(string(out))
	for _, there := range []string{module + "/vpnk8slib/agent/guard", "github.com/miekg/dns", "net/http"} {
		assert.Contains(t, all, there, "what it is made of was looked at")
	}
	assert.NotContains(t, all, "os/exec")
}

// What somebody in a hurry would write, and what the rules say.
func TestImportRulesBite(t *testing.T) {
	const m = module
	tests := []struct{ file, imported, why string }{
		{"vpnk8slib/a.go", "github.com/gruyaume/goops", "for any charm"},
		{"vpnk8slib/a.go", "github.com/gruyaume/goops", "no part of the library knows"},
		{"vpnk8slib/a.go", "github.com/vishvananda/netlink", "for any charm"},
		{"vpnk8slib/a.go", m + "/vpnk8slib/agent", "stays out of every charm"},
		{"vpnk8slib/a.go", m + "/charms/hook", "no part of the library knows"},
		{"vpnk8slib/overlay/a.go", m + "/vpnk8slib", "share words"},
		{"vpnk8slib/overlay/a.go", "github.com/go-playground/validator/v10", "share words"},
		{"vpnk8slib/agent/guard/a.go", m + "/vpnk8slib", "knows no Kubernetes"},
		{"vpnk8slib/agent/guard/a.go", m + "/vpnk8slib/overlay", ""},
		{"vpnk8slib/agent/cmd/a.go", "k8s.io/apimachinery/pkg/types", "knows no Kubernetes"},
		{"vpnk8slib/agent/a.go", "github.com/canonical/pebble/client", "no part of the library knows"},
		{"vpnk8slib/agent/cmd/a.go", m + "/tests/lab", "does not rest on its tests"},
		{"charms/qbittorrent-k8s/a.go", "github.com/gruyaume/goops", "one door"},
		{"charms/relations/a.go", "github.com/canonical/pebble/client", "one door"},
		{"gluetun-k8s/a.go", "github.com/canonical/pebble/client", "one door"},
		{"gluetun-k8s/a.go", m + "/charms/qbittorrent-k8s", "another charm"},
		{"charms/multimeter-k8s/workload/a.go", m + "/gluetun-k8s", "another charm"},
		{"charms/hook/a.go", m + "/charms/multimeter-k8s", "another charm"},
		{"charms/hook/a.go", m + "/tests/internal/kubetest", "does not rest on its tests"},
		{"charms/hook/a.go", "k8s.io/client-go/kubernetes", "doubles the size"},
		{"vpnk8slib/a.go", "net/netip", ""},
		{"vpnk8slib/a.go", "k8s.io/client-go/rest", ""},
		{"vpnk8slib/a.go", m + "/vpnk8slib/wire", ""},
		{"vpnk8slib/agent/a.go", "github.com/vishvananda/netlink", ""},
		{"vpnk8slib/agent/a.go", m + "/vpnk8slib", "knows no Kubernetes"},
		{"charms/hook/a.go", "github.com/gruyaume/goops", ""},
		{"charms/hook/a.go", "github.com/canonical/pebble/client", ""},
		{"charms/qbittorrent-k8s/a.go", m + "/charms/hook", ""},
		{"gluetun-k8s/a.go", m + "/vpnk8slib", ""},
	}
	for _, test := range tests {
		t.Run(test.file+" "+test.imported, func(t *testing.T) {
			broken, n, err := offences(test.file, fmt.Sprintf("package a\n\nimport _ %q\n", test.imported))
			require.NoError(t, err)
			require.Equal(t, 1, n)
			if test.why == "" {
				assert.Empty(t, broken)
			} else {
				assert.Contains(t, strings.Join(broken, "\n"), test.why)
			}
		})
	}
}
