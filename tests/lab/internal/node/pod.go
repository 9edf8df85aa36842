package node

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/charmarr/charmarr-go/tests/lab/internal/where"
)

// InPod is a command of this machine in a pod's network (NAMESPACE/POD): for what no container of the pod could do itself.
func InPod(ctx context.Context, lab where.Lab, pod string, argv ...string) (*exec.Cmd, error) {
	namespace, name, ok := strings.Cut(pod, "/")
	if !ok {
		return nil, fmt.Errorf("cannot find pod %q: name it NAMESPACE/POD", pod)
	}
	uid, err := Kubectl(ctx, lab, "-n", namespace, "get", "pod", name, "-o", "jsonpath={.metadata.uid}").Output()
	if err != nil {
		return nil, fmt.Errorf("cannot find pod %s: %w", pod, err)
	}
	groups, err := filepath.Glob("/proc/[0-9]*/cgroup")
	if err != nil {
		return nil, err
	}
	for _, g := range groups {
		data, err := os.ReadFile(g)
		if err == nil && strings.Contains(string(data), "pod"+string(uid)) {
			pid := filepath.Base(filepath.Dir(g))
			return exec.CommandContext(ctx, "nsenter", append([]string{"-t", pid, "-n", "--"}, argv...)...), nil
		}
	}
	return nil, fmt.Errorf("cannot find a process of pod %s: it is not running", pod)
}
