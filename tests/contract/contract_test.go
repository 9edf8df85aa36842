// Package contract checks the repository as a whole: what is said in one place and relied on in another.
package contract

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"
)

const (
	root   = "../.."
	module = "github.com/charmarr/charmarr-go"
)

// tracked lists the files of the repository that are not ignored, by their path from its root.
func tracked(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command("git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard").Output()
	require.NoError(t, err, "cannot list the files of the repository")
	var files []string
	for _, f := range strings.Split(strings.TrimRight(string(out), "\x00"), "\x00") {
		if _, err := os.Stat(filepath.Join(root, f)); err == nil { // not deleted, and not yet committed as such
			files = append(files, f)
		}
	}
	require.NotEmpty(t, files)
	return files
}

// What describes and joins is data: whoever reads interfaces/ and bundles/ runs nothing, and what tests them stands here.
func TestInterfacesAndBundlesAreData(t *testing.T) {
	seen := map[string]int{}
	for _, f := range tracked(t) {
		folder, _, _ := strings.Cut(f, "/")
		if folder != "interfaces" && folder != "bundles" {
			continue
		}
		seen[folder]++
		assert.Contains(t, []string{".yaml", ".md", ""}, filepath.Ext(f), f)
		info, err := os.Stat(filepath.Join(root, f))
		require.NoError(t, err)
		assert.Zero(t, info.Mode().Perm()&0o111, "%s can be run", f)
	}
	assert.Greater(t, seen["interfaces"], 10)
	assert.Positive(t, seen["bundles"])
}

// under lists what matches a pattern from the repository's root; a pattern that matches nothing checks nothing.
func under(t *testing.T, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(root, pattern))
	require.NoError(t, err)
	require.NotEmpty(t, paths, "nothing matches %s", pattern)
	return paths
}

// documents reads every YAML document of a file into a T. A key that T does not have is an error where strict.
func documents[T any](t *testing.T, path string, strict bool) []T {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	docs, err := parse[T](data, strict)
	require.NoError(t, err, path)
	require.NotEmpty(t, docs, path)
	return docs
}

func parse[T any](data []byte, strict bool) (docs []T, _ error) {
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(strict)
	for {
		var doc T
		if err := d.Decode(&doc); errors.Is(err, io.EOF) {
			return docs, nil
		} else if err != nil {
			return nil, err
		}
		docs = append(docs, doc)
	}
}
