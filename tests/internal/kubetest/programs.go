package kubetest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
)

// Variables that name programs that are built already.
const (
	hkVar      = "LAB_HK"
	jujustsVar = "LAB_JUJUSTS"
)

type programs struct{ hk, jujusts string }

// stamp is what the lab stamps its Kubernetes with: a client that reads the server's version chokes on an unstamped one.
// The same flags as the lab's give the same file in the same cache, so that neither builds it again for the other.
func stamp() string {
	flags := "-s -w"
	for _, p := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		flags += fmt.Sprintf(" -X %[1]s.gitVersion=v1.35.4 -X %[1]s.gitMajor=1 -X %[1]s.gitMinor=35 -X %[1]s.gitTreeState=clean", p)
	}
	return flags
}

// buildPrograms builds the two programs into the lab's cache. Go links again only what has changed.
func buildPrograms() (p programs, err error) {
	if p.hk, err = program(hkVar, "hk", "tests/lab/node", ".", stamp()); err != nil {
		return p, err
	}
	p.jujusts, err = program(jujustsVar, "jujusts", "tests/lab/juju", "./cmd/jujusts", "-s -w")
	return p, err
}

func program(variable, name, module, pkg, ldflags string) (string, error) {
	if path := os.Getenv(variable); path != "" {
		return path, nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("cannot find a place for the cache: %w", err)
	}
	root, err := Root()
	if err != nil {
		return "", err
	}
	out := filepath.Join(cache, "charmarr-lab", "bin", name)
	cmd := exec.Command("go", "build", "-trimpath", "-o", out, "-ldflags="+ldflags, pkg)
	cmd.Dir = filepath.Join(root, module)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("cannot build %s (or set %s): %w\n%s", name, variable, err, text)
	}
	return out, nil
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
