package main

import (
	"archive/zip"
	"bytes"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const some = `name: some-k8s
type: charm
title: Some
summary: A charm.
description: It does something.
links: {contact: nobody}
assumes: [juju >= 3.6]
platforms: {ubuntu@24.04:amd64: , ubuntu@24.04:arm64: }
parts: {charm: {plugin: go}}
containers: {some: {resource: some-image}}
config:
  options:
    port: {type: int, default: 8080, description: A port.}
actions:
  go: {description: Go., params: {n: {type: integer, default: 1}}}
`

// folder is the least that can be packed.
func folder(t *testing.T, charmcraft string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"charmcraft.yaml": charmcraft, "README.md": "read me", "icon.svg": "<svg/>", "LICENSE": "the licence",
		"go.mod": "module some\n", "main.go": "package main\n\nfunc main() {}\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	return dir
}

func TestPack(t *testing.T) {
	out := t.TempDir()
	path, size, err := pack(folder(t, some), runtime.GOARCH, out)
	require.NoError(t, err)
	assert.Equal(t, filepath.Join(out, "some-k8s_"+runtime.GOARCH+".charm"), path)
	packed, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Len(t, packed, int(size))

	files := map[string]string{}
	modes := map[string]os.FileMode{}
	r, err := zip.NewReader(bytes.NewReader(packed), size)
	require.NoError(t, err)
	for _, f := range r.File {
		content, err := f.Open()
		require.NoError(t, err)
		data, err := io.ReadAll(content)
		require.NoError(t, err)
		files[f.Name], modes[f.Name] = string(data), f.Mode()
	}
	assert.Equal(t, []string{"LICENSE", "README.md", "actions.yaml", "config.yaml", "dispatch", "icon.svg", "manifest.yaml", "metadata.yaml"}, slices.Sorted(maps.Keys(files)))
	assert.Equal(t, os.FileMode(0o755), modes["dispatch"])
	assert.Equal(t, os.FileMode(0o644), modes["metadata.yaml"])
	assert.Equal(t, "the licence", files["LICENSE"])
	assert.YAMLEq(t, "{name: some-k8s, display-name: Some, summary: A charm., description: It does something., assumes: [juju >= 3.6], containers: {some: {resource: some-image}}}", files["metadata.yaml"])
	assert.YAMLEq(t, "{options: {port: {type: int, default: 8080, description: A port.}}}", files["config.yaml"])
	assert.YAMLEq(t, "{go: {description: Go., params: {n: {type: integer, default: 1}}}}", files["actions.yaml"])
	assert.YAMLEq(t, `{bases: [{name: ubuntu, channel: "24.04", architectures: [`+runtime.GOARCH+`]}]}`, files["manifest.yaml"])

	// Another folder with the same content gives the same bytes.
	again, _, err := pack(folder(t, some), runtime.GOARCH, t.TempDir())
	require.NoError(t, err)
	same, err := os.ReadFile(again)
	require.NoError(t, err)
	assert.True(t, bytes.Equal(packed, same), "packing is reproducible")
}

func TestPackRefuses(t *testing.T) {
	tests := []struct{ summary, charmcraft, arch, words string }{
		{"a platform that the charm does not have", some, "riscv64", "no platform ubuntu@24.04:riscv64"},
		{"a key that it does not know: it would be lost", some + "stroage: {}\n", "amd64", `nothing is known of "stroage"`},
		{"a charm without a name", "type: charm\n", "amd64", "it has no name"},
		{"no YAML", "a: [", "amd64", "cannot read"},
	}
	for _, test := range tests {
		t.Run(test.summary, func(t *testing.T) {
			_, _, err := pack(folder(t, test.charmcraft), test.arch, t.TempDir())
			assert.ErrorContains(t, err, test.words)
		})
	}
	t.Run("code that does not build", func(t *testing.T) {
		dir := folder(t, some)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte("package main\n"), 0o600))
		_, _, err := pack(dir, "amd64", t.TempDir())
		assert.ErrorContains(t, err, "cannot build")
	})
	t.Run("nothing", func(t *testing.T) { assert.Error(t, run(nil)) })
}
