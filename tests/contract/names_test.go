package contract

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// machine is what belongs to the machine that somebody worked on, not to the repository: paths of a home or a workspace,
// and the hosts that packages came through, which everybody configures for themselves.
var machine = regexp.MustCompile(`(?:^|[^\w.$}/-])/(?:work|root|home/\w+|Users)/` +
	`|(?:proxy|sum)\.golang\.org|\bpypi\.org|registry\.npmjs\.org|\bGOPROXY=|\b(?:deb|snapshot)\.debian\.org|\.internal\b[:/]`)

func TestNothingOfTheMachineIsWrittenDown(t *testing.T) {
	n := 0
	for _, f := range tracked(t) {
		if f == "tests/contract/names_test.go" {
			continue
		}
		data, err := os.ReadFile(filepath.Join(root, f))
		require.NoError(t, err)
		n++
		for i, line := range strings.Split(string(data), "\n") {
			assert.NotRegexp(t, machine, line, "%s:%d", f, i+1)
		}
	}
	assert.Greater(t, n, 100)
}

func TestMachineNamesAreFound(t *testing.T) {
	for text, found := range map[string]bool{
		"cd /work/repo":                          true,
		`open("/root/notes")`:                    true,
		"see /home/me/notes":                     true,
		"export GOPROXY=https://example.org":     true,
		"deb https://deb.debian.org/debian":      true,
		"curl http://mirror.internal:8080/":      true,
		"ghcr.io/qdm12/gluetun:v3.41.1":          false,
		"vpnk8slib/internal/x, charms/internal/": false,
		"root:x:0:0:root:/root:/bin/sh":          false,
		"$WORK/root/bin":                         false,
		"the network /work":                      false,
	} {
		assert.Equal(t, found, machine.MatchString(text), text)
	}
}

// What may be embedded in any charm says so where it stands.
func TestLicences(t *testing.T) {
	for path, title := range map[string]string{
		"LICENSE":            "GNU AFFERO GENERAL PUBLIC LICENSE",
		"vpnk8slib/LICENSE":  "Apache License",
		"interfaces/LICENSE": "Apache License",
	} {
		text, err := os.ReadFile(filepath.Join(root, path))
		require.NoError(t, err)
		first, _, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
		assert.Equal(t, title, strings.TrimSpace(first), path)
	}
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	require.NoError(t, err)
	assert.Contains(t, string(readme), "AGPL-3.0; `vpnk8slib` and `interfaces` Apache-2.0.")
}
