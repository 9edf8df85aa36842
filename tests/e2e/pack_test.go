//go:build e2e

package e2e

import (
	"archive/zip"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// buildCharm builds a Go program as a charm's dispatch, with the files of its folder "charm" beside it, and zips it.
func buildCharm(root, pkg, work string) error {
	folder := filepath.Join(work, filepath.Base(pkg))
	if err := os.CopyFS(folder, os.DirFS(filepath.Join(root, pkg, "charm"))); err != nil {
		return err
	}
	build := exec.Command("go", "build", "-trimpath", "-o", filepath.Join(folder, "dispatch"), "./"+pkg)
	build.Dir, build.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot build the charm %s: %w\n%s", pkg, err, out)
	}
	return pack(folder, folder+".charm")
}

// pack zips a charm whose dispatch is a script.
func pack(folder, file string) error {
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	defer out.Close()
	z := zip.NewWriter(out)
	files, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil {
		return err
	}
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		header := &zip.FileHeader{Name: filepath.Base(path), Method: zip.Deflate}
		header.SetMode(0o755)
		w, err := z.CreateHeader(header)
		if err != nil {
			return err
		}
		if _, err := w.Write(text); err != nil {
			return err
		}
	}
	return z.Close()
}
