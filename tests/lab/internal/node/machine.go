package node

// What a lab changes of the machine outside its namespaces, and puts back.

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

// saveMachine registers a lab, and keeps what the first one changes of the machine. What an earlier lab kept and did not
// come to put back is the machine's as well, and stays kept.
func saveMachine(lab where.Lab) error {
	unlock, err := lockShared()
	if err != nil {
		return err
	}
	defer unlock()
	keep := func(name string, value []byte) error {
		path := filepath.Join(shared, name)
		if _, err := os.Stat(path); err == nil {
			return nil
		}
		if err := os.WriteFile(path, value, 0o644); err != nil {
			return fmt.Errorf("cannot keep the machine's settings: %w", err)
		}
		return nil
	}
	for _, s := range sysctls {
		v, err := os.ReadFile(sysctlPath(s))
		if err != nil {
			continue // this kernel has none
		}
		if err := keep(s, v); err != nil {
			return err
		}
	}
	var absent []string
	for _, dir := range mountPoints() {
		if _, err := os.Stat(dir); err != nil {
			absent = append(absent, dir)
		}
	}
	if err := keep("absent", []byte(strings.Join(absent, "\n"))); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(entry(lab)), 0o755); err != nil {
		return fmt.Errorf("cannot register the lab: %w", err)
	}
	return os.WriteFile(entry(lab), []byte(lab.Dir), 0o644)
}

// restoreMachine takes a lab off the list, and with it those that were killed, and what they left; if no other one is up it puts
// back what was kept.
func restoreMachine(lab where.Lab) error {
	unlock, err := lockShared()
	if err != nil {
		return err
	}
	defer unlock()
	if err := os.Remove(entry(lab)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("cannot take the lab off the list: %w", err)
	}
	up, killed := registered(lab.Root)
	var errs []error
	for _, k := range killed {
		errs = append(errs, removeCgroups(k), os.Remove(entry(k)))
	}
	if len(up) > 0 {
		return errors.Join(errs...)
	}
	for _, s := range sysctls {
		if v, err := os.ReadFile(filepath.Join(shared, s)); err == nil {
			errs = append(errs, os.WriteFile(sysctlPath(s), v, 0o644))
		}
	}
	absent, err := os.ReadFile(filepath.Join(shared, "absent"))
	if err != nil && !errors.Is(err, os.ErrNotExist) { // there is none where no lab got as far
		errs = append(errs, err)
	}
	for _, dir := range strings.Fields(string(absent)) {
		if err := os.Remove(dir); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(append(errs, os.RemoveAll(shared))...)
}

// registered are the labs on the list: those that are up, and those whose processes are gone without having been taken down.
func registered(root string) (up, killed []where.Lab) {
	files, _ := filepath.Glob(filepath.Join(shared, "labs", "*"))
	for _, f := range files {
		dir, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		l := where.Lab{Root: root, Dir: string(dir)}
		if _, err := PID(l); err == nil {
			up = append(up, l)
		} else {
			killed = append(killed, l)
		}
	}
	return up, killed
}

func lockShared() (unlock func(), err error) {
	f, err := os.Open(filepath.Dir(shared)) // a folder that stays: a lock file would be left behind
	if err != nil {
		return nil, fmt.Errorf("cannot lock the labs' common folder: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot lock the labs' common folder: %w", err), f.Close())
	}
	if err := os.MkdirAll(shared, 0o755); err != nil { // behind the lock: the last lab that goes removes it
		return nil, errors.Join(fmt.Errorf("cannot make the labs' common folder (this needs root): %w", err), f.Close())
	}
	return func() { _ = f.Close() }, nil
}
