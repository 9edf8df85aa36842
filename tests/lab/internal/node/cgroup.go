package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/charmarr/charmarr-go/tests/lab/internal/where"
)

const cgroupRoot = "/sys/fs/cgroup"

// hierarchies are the folders in which the lab's control group stands: one per controller with version 1, one in all with
// version 2 (which this project's own machines do not have: not run here).
func hierarchies() []string {
	if _, err := os.Stat(filepath.Join(cgroupRoot, "cgroup.controllers")); err == nil {
		return []string{cgroupRoot}
	}
	var out []string
	for _, c := range []string{"cpu", "cpuacct", "cpuset", "memory", "pids", "systemd", "blkio", "devices", "freezer"} {
		if _, err := os.Stat(filepath.Join(cgroupRoot, c)); err == nil {
			out = append(out, filepath.Join(cgroupRoot, c))
		}
	}
	return out
}

func makeCgroups(lab where.Lab) error {
	handDown := filepath.Join(cgroupRoot, "cgroup.subtree_control")
	if _, err := os.Stat(handDown); err == nil {
		// With version 2 the kubelet asks for these in its root; a group has those that its parent hands down.
		for _, c := range []string{"cpu", "cpuset", "memory", "hugetlb", "pids", "io"} {
			_ = os.WriteFile(handDown, []byte("+"+c), 0o644) // one that is missing the kubelet names
		}
	}
	for _, h := range hierarchies() {
		dir := filepath.Join(h, lab.Cgroup())
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("cannot make a control group (this needs root): %w", err)
		}
		// A new cpuset is empty, and no process may enter an empty one.
		for _, f := range []string{"cpuset.cpus", "cpuset.mems"} {
			if v, err := os.ReadFile(filepath.Join(h, f)); err == nil && filepath.Base(h) == "cpuset" {
				if err := os.WriteFile(filepath.Join(dir, f), v, 0o644); err != nil {
					return fmt.Errorf("cannot fill the control group's %s: %w", f, err)
				}
			}
		}
	}
	return nil
}

// removeCgroups removes the lab's groups, the innermost first. runc makes one under `unified` as well.
func removeCgroups(lab where.Lab) error {
	var errs []error
	for _, h := range append(hierarchies(), filepath.Join(cgroupRoot, "unified")) {
		var dirs []string
		_ = filepath.WalkDir(filepath.Join(h, lab.Cgroup()), func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				dirs = append(dirs, path)
			}
			return nil
		})
		slices.Reverse(dirs)
		for _, d := range dirs {
			// The last processes leave their group a moment after they were ended.
			err := os.Remove(d)
			for range 100 {
				if !errors.Is(err, syscall.EBUSY) {
					break
				}
				time.Sleep(50 * time.Millisecond)
				err = os.Remove(d)
			}
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}
