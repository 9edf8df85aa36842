package contract

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/charms/hook"
	"github.com/charmarr/charmarr-go/charms/hook/hooktest"
)

// allCharms reads every charmcraft.yaml of the repository, by the charm's name.
func allCharms(t *testing.T) map[string]hooktest.Charm {
	t.Helper()
	charms := map[string]hooktest.Charm{}
	for dir, path := range charmFolders(t) {
		c := documents[hooktest.Charm](t, path, false)[0]
		assert.Equal(t, c.Name, filepath.Base(dir), "a charm's folder has its name")
		charms[c.Name] = c
	}
	return charms
}

// charmFolders are the folders of the charms from the root, each with the path of its charmcraft.yaml from here.
func charmFolders(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, f := range tracked(t) {
		if filepath.Base(f) == "charmcraft.yaml" && !strings.HasPrefix(f, "tests/") {
			out[filepath.Dir(f)] = filepath.Join(root, f)
		}
	}
	require.NotEmpty(t, out)
	return out
}

func speaks(endpoints map[string]hooktest.Endpoint, name string) bool {
	return slices.ContainsFunc(slices.Collect(maps.Values(endpoints)), func(e hooktest.Endpoint) bool { return e.Interface == name })
}

// Options, names, parameters and defaults are checked by hooktest.Charmcraft where the charm's own types are in reach: in
// its package. What is left to see from here is that no charm goes without, nor without being packed.
func TestEveryCharmIsCheckedAndPacked(t *testing.T) {
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	require.NoError(t, err)
	_, rest, _ := strings.Cut(string(makefile), "\nCHARMS := ")
	line, _, _ := strings.Cut(rest, "\n")
	folders := charmFolders(t)
	for dir := range folders {
		t.Run(dir, func(t *testing.T) {
			assert.Contains(t, strings.Fields(line), dir, "make pack does not know the charm")
			assert.True(t, callsCharmcraft(t, filepath.Join(root, dir)), "no test of %s calls hooktest.Charmcraft", dir)
			for _, f := range []string{"README.md", "icon.svg"} {
				assert.FileExists(t, filepath.Join(root, dir, f))
			}
		})
	}
	for _, dir := range strings.Fields(line) {
		assert.Contains(t, folders, dir, "make pack would pack what is not there")
	}
	assert.False(t, callsCharmcraft(t, "."), "this package has no charm: else the search finds what is not there")
}

// callsCharmcraft says whether a test function of the package in dir calls hooktest.Charmcraft.
func callsCharmcraft(t *testing.T, dir string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	require.NoError(t, err)
	found := false
	for _, path := range files {
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		require.NoError(t, err)
		ast.Inspect(f, func(n ast.Node) bool {
			if s, ok := n.(*ast.CallExpr); ok {
				if sel, ok := s.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "Charmcraft" {
					x, ok := sel.X.(*ast.Ident)
					found = found || ok && x.Name == "hooktest"
				}
			}
			return true
		})
	}
	return found
}

// The options that every consumer of the gateway has mean the same everywhere.
func TestSharedOptionsAreTheSame(t *testing.T) {
	var first hooktest.Charm
	for name, c := range allCharms(t) {
		if !speaks(c.Requires, "vpn-gateway") {
			continue
		}
		if first.Name == "" {
			first = c
		}
		for _, option := range []string{"unsafe-mode", "cluster-cidrs", "pod-gateway-image"} {
			a, b := first.Config.Options[option], c.Config.Options[option]
			assert.Equal(t, a.Type, b.Type, "type of %s, of %s and %s", option, first.Name, name)
			assert.Equal(t, a.Default, b.Default, "default of %s, of %s and %s", option, first.Name, name)
		}
		assert.Equal(t, false, c.Config.Options["unsafe-mode"].Default, "%s is closed unless somebody opens it", name)
		assert.Equal(t, 1, c.Requires["vpn-gateway"].Limit, "%s has one gateway", name)
	}
	require.NotEmpty(t, first.Name)
}

// Whoever has verified one consumer's egress, or measured it, knows how to do that with another's.
func TestEveryConsumerHasTheSameActions(t *testing.T) {
	for _, shared := range []string{hook.VerifyEgressAction, hook.SpeedtestAction} {
		all := map[string]any{}
		for name, c := range allCharms(t) {
			if speaks(c.Requires, "vpn-gateway") {
				require.Contains(t, c.Actions, shared, name)
				all[name] = c.Actions[shared]
			}
		}
		require.NotEmpty(t, all)
		for name, action := range all {
			assert.Equal(t, all["multimeter-k8s"], action, "%s of %s and multimeter-k8s", shared, name)
		}
	}
}

// A gateway's are asked for alike, but for a drill.
func TestGatewaysAreMeasuredAlike(t *testing.T) {
	charms := allCharms(t)
	assert.Equal(t, charms["multimeter-k8s"].Actions[hook.SpeedtestAction].Params, charms["gluetun-k8s"].Actions[hook.SpeedtestAction].Params)
}

// A drill takes a consumer's overlay down, and only when somebody asks for it. A gateway's would be that of all its consumers.
func TestOnlyConsumersHaveDrills(t *testing.T) {
	for name, c := range allCharms(t) {
		drill, has := c.Actions[hook.VerifyEgressAction].Params["drill"]
		assert.Equal(t, speaks(c.Requires, "vpn-gateway"), has, name)
		if has {
			assert.Equal(t, 0, drill.Default, name)
		}
	}
}

// Every charm has its hooks traced, by one who takes traces or by nobody.
func TestEveryCharmIsTraced(t *testing.T) {
	for name, c := range allCharms(t) {
		e := c.Requires[hook.TracingEndpoint]
		assert.Equal(t, "tracing", e.Interface, name)
		assert.Equal(t, 1, e.Limit, name)
		assert.Equal(t, new(true), e.Optional, name)
	}
}
