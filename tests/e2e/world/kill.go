package world

import (
	"context"
	"fmt"
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
