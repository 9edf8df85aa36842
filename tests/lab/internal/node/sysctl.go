package node

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/charmarr/charmarr-go/tests/lab/internal/where"
)

// sysctls that the kubelet changes for the whole machine; there is no namespace for them.
var sysctls = []string{"vm.overcommit_memory", "vm.panic_on_oom", "kernel.panic", "kernel.panic_on_oops", "kernel.keys.root_maxkeys", "kernel.keys.root_maxbytes"}

func sysctlPath(name string) string {
	return filepath.Join("/proc/sys", strings.ReplaceAll(name, ".", "/"))
}

// shared is where labs that are up at the same time keep what they share: the values of before the first, and who is there.
// The first one saves, the last one restores.
const shared = "/run/charmarr-lab"

func entry(lab where.Lab) string { return filepath.Join(shared, "labs", lab.Cgroup()) }

// saveSysctls registers a lab, and keeps the machine's values if it is the first.
func saveSysctls(lab where.Lab) error {
	unlock, err := lockShared()
	if err != nil {
		return err
	}
	defer unlock()
	if others(lab) == 0 {
		for _, s := range sysctls {
			v, err := os.ReadFile(sysctlPath(s))
			if err != nil {
				continue // this kernel has none
			}
			if err := os.WriteFile(filepath.Join(shared, s), v, 0o644); err != nil {
				return fmt.Errorf("cannot keep the machine's settings: %w", err)
			}
		}
	}
	if err := os.MkdirAll(filepath.Dir(entry(lab)), 0o755); err != nil {
		return fmt.Errorf("cannot register the lab: %w", err)
	}
	return os.WriteFile(entry(lab), []byte(lab.Dir), 0o644)
}

// restoreSysctls takes a lab off the list, and puts the machine's values back if it was the last.
func restoreSysctls(lab where.Lab) error {
	unlock, err := lockShared()
	if err != nil {
		return err
	}
	defer unlock()
	if err := os.Remove(entry(lab)); errors.Is(err, os.ErrNotExist) {
		return nil // it never got as far
	} else if err != nil {
		return fmt.Errorf("cannot take the lab off the list: %w", err)
	}
	if others(lab) > 0 {
		return nil
	}
	var errs []error
	for _, s := range sysctls {
		if v, err := os.ReadFile(filepath.Join(shared, s)); err == nil {
			errs = append(errs, os.WriteFile(sysctlPath(s), v, 0o644))
		}
	}
	return errors.Join(append(errs, os.RemoveAll(shared))...)
}

// others counts the labs beside this one that are up. One that was not taken down, and whose processes are gone, is none.
func others(lab where.Lab) (n int) {
	files, _ := filepath.Glob(filepath.Join(shared, "labs", "*"))
	for _, f := range files {
		dir, err := os.ReadFile(f)
		if err != nil || f == entry(lab) {
			continue
		}
		if _, err := PID(where.Lab{Root: lab.Root, Dir: string(dir)}); err == nil {
			n++
		}
	}
	return n
}

func lockShared() (unlock func(), err error) {
	if err := os.MkdirAll(shared, 0o755); err != nil {
		return nil, fmt.Errorf("cannot make the labs' common folder (this needs root): %w", err)
	}
	f, err := os.OpenFile(shared+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot lock the labs' common folder: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return nil, fmt.Errorf("cannot lock the labs' common folder: %w", err)
	}
	return func() { _ = f.Close() }, nil
}
