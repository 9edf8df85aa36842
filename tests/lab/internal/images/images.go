// Package images builds what the lab runs: programs from Go modules at pinned versions, and images from those and from
// Debian's packages. Everything lands in a cache outside the tree; Go's own build cache, and a hash of an image's content,
// decide what is built again.
package images

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/charmarr/charmarr-go/tests/lab/internal/where"
)

// Image is what an image holds.
type Image struct {
	Name       string            // lab.local/pause:1
	Root       string            `json:"-"` // a folder
	Entrypoint []string          `json:",omitempty"`
	Env        []string          `json:",omitempty"`
	files      map[string]string // path in the image: program of ours
}

// Write writes the image as a docker archive into the cache, if it is not there already, and leads this tree's link to it.
func (i Image) Write(lab where.Lab) error {
	data, err := i.layer()
	if err != nil {
		return fmt.Errorf("cannot build image %s: %w", i.Name, err)
	}
	config, err := json.Marshal(i)
	if err != nil {
		return err
	}
	ref, err := name.ParseReference(i.Name)
	if err != nil {
		return err
	}
	short := filepath.Base(ref.Context().RepositoryStr())
	cached, err := where.Cache("images", short, contentKey(append(config, data...)))
	if err != nil {
		return err
	}
	if _, err := os.Stat(cached); err == nil {
		return where.Link(cached, lab.Image(short))
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil })
	if err != nil {
		return err
	}
	image, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return err
	}
	image, err = mutate.ConfigFile(image, &v1.ConfigFile{Architecture: runtime.GOARCH, OS: "linux",
		RootFS: must(image.ConfigFile()).RootFS, Config: v1.Config{Entrypoint: i.Entrypoint, Env: i.Env}})
	if err != nil {
		return err
	}
	half := fmt.Sprintf("%s.%d", cached, os.Getpid())
	if err := tarball.WriteToFile(half, ref, image); err != nil {
		return fmt.Errorf("cannot write image %s: %w", i.Name, err)
	}
	if err := os.Rename(half, cached); err != nil {
		return err
	}
	where.Say("built image %s", i.Name)
	return where.Link(cached, lab.Image(short))
}

func must(c *v1.ConfigFile, err error) *v1.ConfigFile {
	if err != nil {
		return &v1.ConfigFile{}
	}
	return c
}

// layer is the image's one layer: the root folder, and programs of ours. Times and owners are the same each time.
func (i Image) layer() ([]byte, error) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	if i.Root != "" {
		err := filepath.WalkDir(i.Root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || path == i.Root {
				return err
			}
			rel, err := filepath.Rel(i.Root, path)
			if err != nil {
				return err
			}
			return add(w, rel, path)
		})
		if err != nil {
			return nil, err
		}
	}
	for _, to := range sorted(i.files) {
		program, err := filepath.EvalSymlinks(i.files[to])
		if err != nil {
			return nil, fmt.Errorf("%w; run: lab build", err)
		}
		if err := add(w, to, program); err != nil {
			return nil, err
		}
	}
	return buf.Bytes(), w.Close()
}

func add(w *tar.Writer, as, path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	link := ""
	if info.Mode()&fs.ModeSymlink != 0 {
		if link, err = os.Readlink(path); err != nil {
			return err
		}
	}
	h, err := tar.FileInfoHeader(info, link)
	if err != nil {
		return err
	}
	h.Name, h.Uid, h.Gid, h.Uname, h.Gname = as, 0, 0, "", ""
	h.ModTime, h.AccessTime, h.ChangeTime = epoch, epoch, epoch
	if info.IsDir() {
		h.Name += "/"
	}
	if err := w.WriteHeader(h); err != nil || !info.Mode().IsRegular() {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, f)
	return err
}

// run runs a build step and keeps its words for when it fails.
func run(ctx context.Context, dir string, env []string, argv ...string) error {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("cannot run %v: %w\n%s", argv, err, out)
	}
	return nil
}
