package kubetest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

type programs struct{ hk, jujusts string }

// findPrograms finds the two programs that the lab builds.
func findPrograms() (p programs, err error) {
	root, err := Root()
	if err != nil {
		return p, err
	}
	p = programs{filepath.Join(root, "build", "programs", "hk"), filepath.Join(root, "build", "programs", "jujusts")}
	for _, path := range []string{p.hk, p.jujusts} {
		if _, err := os.Stat(path); err != nil {
			return p, fmt.Errorf("%w; run: make lab-build", err)
		}
	}
	return p, nil
}

// Root is the repository's folder, found from the working directory upwards.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		_, err := os.Stat(filepath.Join(dir, ".ci", "run"))
		if err == nil {
			return dir, nil
		}
		if !errors.Is(err, fs.ErrNotExist) || dir == filepath.Dir(dir) {
			return "", errors.New("cannot find the repository: run this inside it")
		}
		dir = filepath.Dir(dir)
	}
}
