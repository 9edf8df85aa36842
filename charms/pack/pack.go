package main

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"
)

// When every file was changed, as far as an archive says: the oldest time that zip can express.
var epoch = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

// pack builds one folder for one architecture and returns the archive's path and size.
func pack(dir, arch, out string) (path string, size int64, err error) {
	c, err := readCharmcraft(filepath.Join(dir, "charmcraft.yaml"))
	if err != nil {
		return "", 0, err
	}
	files, err := c.files(arch)
	if err != nil {
		return "", 0, err
	}
	for _, name := range []string{"README.md", "icon.svg"} {
		if files[name], err = os.ReadFile(filepath.Join(dir, name)); err != nil {
			return "", 0, fmt.Errorf("cannot read what Charmhub shows: %w", err)
		}
	}
	if files["LICENSE"], err = license(dir); err != nil {
		return "", 0, err
	}
	if files["dispatch"], err = build(dir, arch); err != nil {
		return "", 0, err
	}
	path = filepath.Join(out, fmt.Sprintf("%s_%s.charm", c.Name, arch))
	archive, err := archive(files)
	if err != nil {
		return "", 0, err
	}
	if err := os.WriteFile(path, archive, 0o644); err != nil {
		return "", 0, fmt.Errorf("cannot write the archive: %w", err)
	}
	return path, int64(len(archive)), nil
}

// license is the nearest LICENSE, from the charm's folder upwards.
func license(dir string) ([]byte, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot find the licence: %w", err)
	}
	for {
		data, err := os.ReadFile(filepath.Join(dir, "LICENSE"))
		if !errors.Is(err, fs.ErrNotExist) {
			return data, err
		}
		if dir == filepath.Dir(dir) {
			return nil, errors.New("cannot find a LICENSE in the charm's folder or above")
		}
		dir = filepath.Dir(dir)
	}
}

// lean is a build tag of the validator's that leaves out its rule validateFn, which calls a method by a name that only the
// running program knows. With such a call in it a program keeps every exported method of every type it has use for: an
// eighth of a charm. No charm asks for that rule: tests/contract sees to it.
const lean = "validator_novalidatefn"

// build makes the charm's dispatch: static, without paths of the machine that built it.
func build(dir, arch string) ([]byte, error) {
	temp, err := os.MkdirTemp("", "pack-")
	if err != nil {
		return nil, fmt.Errorf("cannot make a folder to build in: %w", err)
	}
	defer os.RemoveAll(temp)
	program := filepath.Join(temp, "dispatch")
	cmd := exec.Command("go", "build", "-tags="+lean, "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid=", "-o", program, ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("cannot build: %w\n%s", err, stderr.String())
	}
	return os.ReadFile(program)
}

// archive zips files in the order of their names.
func archive(files map[string][]byte) ([]byte, error) {
	var buffer bytes.Buffer
	z := zip.NewWriter(&buffer)
	z.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestCompression) })
	for _, name := range slices.Sorted(maps.Keys(files)) {
		header := &zip.FileHeader{Name: name, Method: zip.Deflate, Modified: epoch}
		header.SetMode(0o644)
		if name == "dispatch" {
			header.SetMode(0o755)
		}
		w, err := z.CreateHeader(header)
		if err == nil {
			_, err = w.Write(files[name])
		}
		if err != nil {
			return nil, fmt.Errorf("cannot add %s to the archive: %w", name, err)
		}
	}
	if err := z.Close(); err != nil {
		return nil, fmt.Errorf("cannot finish the archive: %w", err)
	}
	return buffer.Bytes(), nil
}
