package node

import (
	"context"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
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
	// The oldest, which is there as long as the pod: another may end before it is entered, or not have come to the pod's network yet.
	oldest, since := "", uint64(math.MaxUint64)
	for _, g := range groups {
		data, err := os.ReadFile(g)
		if err != nil || !strings.Contains(string(data), "pod"+string(uid)) {
			continue
		}
		pid := filepath.Base(filepath.Dir(g))
		n, err := strconv.Atoi(pid)
		if err != nil {
			return nil, err
		}
		if began, err := strconv.ParseUint(startTime(n), 10, 64); err == nil && began < since {
			oldest, since = pid, began
		}
	}
	if oldest == "" {
		return nil, fmt.Errorf("cannot find a process of pod %s: it is not running", pod)
	}
	return exec.CommandContext(ctx, "nsenter", append([]string{"-t", oldest, "-n", "--"}, argv...)...), nil
}
