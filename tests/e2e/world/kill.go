package world

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Kill kills a container's first process, without a chance to say anything, and waits until the kubelet has started it again.
func (w World) Kill(ctx context.Context, pod, container string) error {
	namespace, name, _ := strings.Cut(pod, "/")
	started := func() (string, error) {
		return w.Kubectl(ctx, "-n", namespace, "get", "pod", name, "-o",
			fmt.Sprintf(`jsonpath={.status.containerStatuses[?(@.name=="%s")].state.running.startedAt} {.status.containerStatuses[?(@.name=="%[1]s")].containerID}`, container))
	}
	before, err := started()
	if err != nil {
		return err
	}
	_, id, _ := strings.Cut(strings.TrimSpace(before), "containerd://")
	if id == "" {
		return fmt.Errorf("cannot kill container %s of %s: it does not run", container, pod)
	}
	if _, err := w.Lab(ctx, "exec", "--", "ctr", "-n", "k8s.io", "tasks", "kill", "-s", "SIGKILL", id); err != nil {
		return err
	}
	return Until(ctx, time.Minute, func() string {
		now, err := started()
		if err != nil {
			return err.Error()
		}
		if now == before || !strings.HasPrefix(now, "20") {
			return "container " + container + " of " + pod + " does not come back"
		}
		return ""
	})
}

// crash kills gluetun's process again and again, and says when it has come back as another one with packets through its tunnel.
const crash = `running() { grep -l gluetun-entrypo /proc/[0-9]*/comm 2>/dev/null; }
i=0; while [ $i -lt $1 ]; do i=$((i+1)); old=$(running); /charm/bin/pebble signal KILL gluetun
until new=$(running) && [ "$new" != "$old" ] && /charm-probe.sh; do sleep 0.2; done; echo back; done`

// Crash kills the process gluetun of a pod n times, each time when it has come back.
func (w World) Crash(ctx context.Context, pod string, n int) error {
	namespace, name, _ := strings.Cut(pod, "/")
	ctx, cancel := context.WithTimeout(ctx, 4*time.Minute)
	defer cancel()
	said, err := w.Kubectl(ctx, "-n", namespace, "exec", name, "-c", "gluetun", "--", "sh", "-uc", crash, "sh", strconv.Itoa(n))
	if back := strings.Count(said, "back"); err == nil && back != n {
		err = fmt.Errorf("gluetun of %s has come back %d times of %d: %s", pod, back, n, said)
	}
	return err
}
