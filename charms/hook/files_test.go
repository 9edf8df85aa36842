package hook

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A large file of a real Pebble's container is read as it comes, and only as far as somebody wants it.
func TestReadFile(t *testing.T) {
	env := startPebble(t, "web")
	path := filepath.Join(t.TempDir(), "large")
	none, err := SeeFile(env, "web", path)
	require.NoError(t, err)
	assert.Zero(t, none)
	require.NoError(t, os.WriteFile(path, []byte(strings.Repeat("0123456789abcdef", 1<<17)), 0o600))
	seen, err := SeeFile(env, "web", path)
	require.NoError(t, err)
	assert.EqualValues(t, 2<<20, seen.Size)

	n := int64(0)
	require.NoError(t, ReadFile(env, "web", path, func(r io.Reader) (err error) { n, err = io.Copy(io.Discard, r); return err }))
	assert.EqualValues(t, 2<<20, n)
	require.NoError(t, ReadFile(env, "web", path, func(r io.Reader) error { _, err := io.ReadFull(r, make([]byte, 10)); return err }), "enough is enough")
	assert.ErrorContains(t, ReadFile(env, "web", path, func(io.Reader) error { return errors.New("it is no list") }), "cannot read "+path+" in container web: it is no list")
	assert.ErrorContains(t, ReadFile(env, "web", path+"-no", func(r io.Reader) error { _, err := io.ReadAll(r); return err }), "cannot read "+path+"-no in container web")

	none, err = SeeFile(Env{Pebble: ContainerPebble}, "absent", path)
	require.NoError(t, err)
	assert.Zero(t, none)
}

// What was found is found once for a key.
func TestFound(t *testing.T) {
	t.Setenv("JUJU_CHARM_DIR", t.TempDir())
	asked := 0
	find := func() (string, error) { asked++; return "two\nlines", nil }
	for range 2 {
		found, err := Found(".found", "a key", find)
		require.NoError(t, err)
		assert.Equal(t, "two\nlines", found)
	}
	assert.Equal(t, 1, asked)
	_, err := Found(".found", "another", find)
	require.NoError(t, err)
	assert.Equal(t, 2, asked)
	_, err = Found(".found", "a third", func() (string, error) { return "", errors.New("away") })
	assert.Error(t, err)
	_, err = Found(".found", "a third", find)
	require.NoError(t, err)
	assert.Equal(t, 3, asked, "a failure is not kept")
}

// What runs is started again by a real Pebble, as another process.
func TestRestart(t *testing.T) {
	env := startPebble(t, "web")
	assert.ErrorContains(t, Restart(env, "web"), "nothing runs in container web")
	pids := filepath.Join(t.TempDir(), "pids")
	w := Workload{Container: "web", Mode: Running, Layer: Layer{Services: map[string]Service{
		"web": {Override: "replace", Startup: "enabled", Command: "/bin/sh -c 'echo $$ >> " + pids + "; exec sleep 60'"},
	}}}
	require.NoError(t, applyWorkload(env, w))
	require.NoError(t, Restart(env, "web"))
	text, err := os.ReadFile(pids)
	require.NoError(t, err)
	assert.Len(t, strings.Fields(string(text)), 2)
}
