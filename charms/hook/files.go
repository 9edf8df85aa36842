package hook

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/canonical/pebble/client"
)

// FileSeen tells one state of a file from another. The zero value is that of none.
type FileSeen struct {
	Size     int64
	Modified time.Time
}

// SeeFile looks at a file in a container. A Pebble that is not there has none.
func SeeFile(env Env, container, path string) (FileSeen, error) {
	p, err := env.Pebble(container)
	if errors.Is(err, errDown) {
		return FileSeen{}, nil
	}
	if err != nil {
		return FileSeen{}, err
	}
	infos, err := p.ListFiles(&client.ListFilesOptions{Path: path, Itself: true})
	switch {
	case notFound(err):
		return FileSeen{}, nil
	case err != nil:
		return FileSeen{}, fmt.Errorf("cannot look at %s in container %s: %w", path, container, err)
	case len(infos) != 1:
		return FileSeen{}, nil
	}
	return FileSeen{infos[0].Size(), infos[0].ModTime().UTC()}, nil
}

// ReadFile reads a file in a container, as it comes: some are many times what a hook may take. What read leaves is not waited for.
func ReadFile(env Env, container, path string, read func(io.Reader) error) error {
	p, err := env.Pebble(container)
	if err != nil {
		return err
	}
	out, in := io.Pipe()
	pulled := make(chan error, 1)
	go func() {
		err := p.Pull(&client.PullOptions{Path: path, Target: in})
		_ = in.CloseWithError(err) // nil: the end of the file
		pulled <- err
	}()
	err = read(out)
	_ = out.Close()
	if pull := <-pulled; pull != nil && err == nil && !errors.Is(pull, io.ErrClosedPipe) { // closed: read has enough
		err = pull
	}
	if err != nil {
		return fmt.Errorf("cannot read %s in container %s: %w", path, container, err)
	}
	return nil
}

// Found is what find found when it was last asked with another key; an answer that cannot be kept is asked for again.
func Found(name, key string, find func() (string, error)) (string, error) {
	const end = "\n"
	if text, err := os.ReadFile(inPod(name)); err == nil {
		if kept, same := strings.CutPrefix(string(text), key+end); same {
			return kept, nil
		}
	}
	found, err := find()
	if err == nil {
		_ = os.WriteFile(inPod(name), []byte(key+end+found), 0o600)
	}
	return found, err
}
