package images

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/charmarr/charmarr-go/tests/lab/internal/where"
)

// debian is an image's root made from this machine's Debian packages: programs with the libraries that they are linked
// against, folders as they are, and links.
type debian struct {
	programs []string          // found on PATH or absolute, at the same place in the image
	folders  []string          // copied whole
	links    map[string]string // path in the image: target
	texts    map[string]string // path in the image: content
	dirs     map[string]fs.FileMode
	scripts  string // a folder of the repository, laid over bin/
}

// busybox are the words of a shell that the images use and that no package of its own brings.
var busybox = []string{"awk", "base64", "cat", "chmod", "cp", "cut", "date", "env", "false", "grep", "head", "hostname", "id", "kill", "killall", "ln", "ls", "mkdir", "mkfifo",
	"mktemp", "mv", "nc", "printf", "ps", "readlink", "rm", "sed", "seq", "sleep", "sort", "stat", "sysctl", "tail", "tee", "test", "touch", "tr", "true",
	"udhcpc", "uname", "wc", "wget", "which", "xargs"}

func shellRoot() debian {
	d := debian{
		programs: []string{"/bin/busybox", "/bin/bash", "/usr/bin/timeout"},
		links:    map[string]string{"bin/sh": "bash"},
		texts: map[string]string{
			// Juju's agent gives its logs to syslog and adm.
			"etc/passwd": "root:x:0:0:root:/root:/bin/sh\nsyslog:x:104:104::/:/bin/false\nnobody:x:65534:65534:nobody:/:/bin/false\n",
			"etc/group":  "root:x:0:\nadm:x:4:syslog\nsyslog:x:104:\nnogroup:x:65534:\n",
		},
		dirs: map[string]fs.FileMode{"tmp": 0o1777, "root": 0o700, "run": 0o755, "var/lib": 0o755, "proc": 0o755, "sys": 0o755, "dev": 0o755, "var/run": 0o755},
	}
	for _, w := range busybox {
		d.links["usr/local/bin/"+w] = "/bin/busybox"
	}
	return d
}

// netRoot adds what a container needs that changes its pod's network.
func netRoot() debian {
	d := shellRoot()
	d.programs = append(d.programs, "/usr/sbin/ip", "/usr/sbin/bridge", "/usr/sbin/xtables-nft-multi", "/usr/bin/ping")
	d.folders = append(d.folders, "/usr/lib/"+multiarch()+"/xtables")
	for _, w := range []string{"iptables", "ip6tables", "iptables-save", "ip6tables-save", "iptables-restore", "ip6tables-restore"} {
		d.links["usr/sbin/"+w] = "xtables-nft-multi"
	}
	d.links["sbin/ip"] = "/usr/sbin/ip"
	return d
}

func multiarch() string {
	return map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH] + "-linux-gnu"
}

// write makes the root from nothing.
func (d debian) write(lab where.Lab, root string) error {
	if err := os.RemoveAll(root); err != nil {
		return err
	}
	for dir, mode := range d.dirs {
		path := filepath.Join(root, dir)
		if err := os.MkdirAll(path, 0o755); err != nil {
			return err
		}
		if err := os.Chmod(path, mode.Perm()|mode&0o1000); err != nil {
			return err
		}
	}
	files := map[string]bool{}
	binaries := slices.Clone(d.programs)
	for _, folder := range d.folders {
		err := filepath.WalkDir(folder, func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			files[path] = true
			if strings.HasSuffix(path, ".so") {
				binaries = append(binaries, path)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	libs, err := libraries(binaries...)
	if err != nil {
		return err
	}
	for _, f := range append(libs, d.programs...) {
		files[f] = true
	}
	for f := range files {
		if err := copyFile(f, filepath.Join(root, f)); err != nil {
			return err
		}
	}
	for at, text := range d.texts {
		path := filepath.Join(root, at)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	for at, target := range d.links {
		path := filepath.Join(root, at)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if _, err := os.Lstat(path); err == nil {
			continue
		}
		if err := os.Symlink(target, path); err != nil {
			return err
		}
	}
	if d.scripts == "" {
		return nil
	}
	return filepath.WalkDir(filepath.Join(lab.Root, d.scripts), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		rel, err := filepath.Rel(filepath.Join(lab.Root, d.scripts), path)
		if err != nil {
			return err
		}
		return copyFile(path, filepath.Join(root, rel))
	})
}

// libraries are the shared objects that programs load, the loader among them; none for a static one.
func libraries(programs ...string) ([]string, error) {
	if len(programs) == 0 {
		return nil, nil
	}
	// ldd ends with an error where one of them is static; what it says of the others is right all the same.
	out, err := exec.Command("ldd", programs...).CombinedOutput()
	if strings.Contains(string(out), "not found") || strings.Contains(string(out), "No such file") || len(out) == 0 {
		return nil, fmt.Errorf("cannot find the libraries of %v: %w: %s", programs, err, out)
	}
	var libs []string
	for _, f := range strings.Fields(string(out)) {
		if strings.HasPrefix(f, "/") && !strings.HasSuffix(f, ":") { // that one is the program that the lines are of
			libs = append(libs, f)
		}
	}
	return libs, nil
}

// copyFile copies what a path leads to.
func copyFile(from, to string) error {
	info, err := os.Stat(from)
	if err != nil {
		return fmt.Errorf("%w; run: tests/lab/deps.sh", err)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, info.Mode().Perm())
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	return out.Close()
}
